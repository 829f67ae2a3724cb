"""Small datasets written by the tests: videos whose frames carry their numbers, and annotations as published."""

import csv
import json
import re
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import av
import numpy as np
import pytest

from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from datamodules.transcode.copy import open_copy
from datamodules.transcode.video import VideoSettings

BITS = 8


def numbered_frame(number, width, height):
    """Draws the bits of `number` as black and white columns."""
    columns = np.arange(width) * BITS // width
    row = np.where((number >> columns) & 1, 235, 20).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def read_number(image):
    """Reads the number off a (H, W, 3) picture."""
    height, width = image.shape[:2]
    centers = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    strip = image[height // 4 : -(height // 4), :].mean(axis=(0, 2))
    return int(sum((strip[center] > 127) << bit for bit, center in enumerate(centers)))


def write_numbered(path, count, codec="libx264", options=None, size=(128, 64), gap=None, pix_fmt="yuv420p", mux=None):
    """Writes `count` numbered frames; `gap(number)` gives the milliseconds until the next frame."""
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        if gap:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        time = 0
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, *size), format="rgb24")
            if gap:
                frame.pts, frame.time_base = time, Fraction(1, 1000)
                time += gap(number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


HEAD = b"\0\0\0\x18ftypmp42"  # begins as a video does


def touch(root, *names):
    """Makes clips that pass for videos until one is decoded."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(HEAD)


def write(folder, files):
    """Writes `{path: text or JSON content}`."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def labels(*names):
    """The text of a label CSV."""
    return "id,name\n" + "".join(f'{label},"{name}"\n' for label, name in enumerate(names))


def listed(**clips):
    """The text of a list: `listed(a=3)` has 3 clips `a_0.avi` ... of label 0, and so on for the next classes."""
    return "".join(
        f"{name}_{n}.avi {label}\n" for label, (name, count) in enumerate(clips.items()) for n in range(count)
    )


UCF_CLASSES = ("ApplyEyeMakeup", "BasketballDunk", "YoYo")


def ucf101(root, flat=False, classes=UCF_CLASSES):
    """UCF-101 with a few classes of 4 training and 2 test clips in each of two splits."""
    lists = {"lists/classInd.txt": "".join(f"{n} {name}\r\n" for n, name in enumerate(classes, start=1))}
    for split in (1, 2):
        train = test = ""
        for label, name in enumerate(classes, start=1):
            clips = [f"v_{name}_g{g:02d}_c01.avi" for g in range(1, 7)]
            touch(root, *(clip if flat else f"UCF-101/{name}/{clip}" for clip in clips))
            held_out = clips[2 * split - 2 : 2 * split]
            test += "".join(f"{name}/{clip}\r\n" for clip in held_out)
            train += "".join(f"{name}/{clip} {label}\r\n" for clip in clips if clip not in held_out)
        lists |= {f"lists/trainlist0{split}.txt": train, f"lists/testlist0{split}.txt": test}
    return write(root, lists)


SSV2_CLASSES = ("Pushing something from left to right", "Holding something", "Tearing something into two pieces")
SSV2_TEMPLATES = (
    "Pushing [something] from left to right",
    "Holding [something]",
    "Tearing [something] into two pieces",
)


def ssv2(root, prefix="something-something-v2-", folder=""):
    """SSv2 with 3 classes of 4 training and 2 validation clips."""
    parts = {"train": range(100, 112), "validation": range(200, 206)}
    for ids in parts.values():
        touch(root, *(f"{folder}{number}.webm" for number in ids))
    entries = {
        part: [{"id": str(n), "label": "pushing a cup", "template": SSV2_TEMPLATES[n % 3]} for n in ids]
        for part, ids in parts.items()
    }
    names = {name: str(label) for label, name in enumerate(SSV2_CLASSES)}
    return write(root, {f"{prefix}{part}.json": content for part, content in {**entries, "labels": names}.items()})


KINETICS_CLASSES = ("abseiling", "massaging person's head", "yoga", "zumba")


def kinetics(root, folders=False):
    """Kinetics with 4 classes of 5 training and 2 validation clips, and one unlabeled test clip each."""
    for part, split, count in (("train", "train", 5), ("val", "validate", 2), ("test", "test", 1)):
        rows = [("label", "youtube_id", "time_start", "time_end", "split")]
        for label, name in enumerate(KINETICS_CLASSES):
            for n in range(count):
                video = f"-{part[:2]}_{label}{n}abcdef"
                rows.append((name, video, 7 * n, 7 * n + 10, split))
                touch(root, f"{part}/{f'{name}/' if folders else ''}{video}_{7 * n:06d}_{7 * n + 10:06d}.mp4")
        with (root / f"{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
    return root


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory):
    """A small generated dataset: 8 classes of 4 training and 2 test clips."""
    folder = tmp_path_factory.mktemp("synthetic")
    return write_synthetic_dataset(folder / "data", DEMO, unseen=(), train_films=4, test_films=2)


@pytest.fixture(scope="session")
def videos():
    """The functions above, for test modules."""

    class Videos:
        write, number = staticmethod(write_numbered), staticmethod(read_number)

    return Videos


@pytest.fixture(scope="session")
def made():
    """The functions above that write annotations, for test modules."""
    return SimpleNamespace(**{f.__name__: f for f in (touch, write, labels, listed, ucf101, ssv2, kinetics)})


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves files, and the bytes of them that are asked for, as object stores do."""

    ranges = True

    def do_GET(self):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        file = Path(self.translate_path(self.path))
        if not self.ranges or wanted is None or not file.is_file():
            super().do_GET()
            return
        first, last = map(int, wanted.groups())
        content = file.read_bytes()[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Serves a folder by HTTP; returns its URL."""
    servers = []

    def start(folder, ranges=True):
        kind = type("Handler", (RangeHandler,), {"ranges": ranges})
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(folder)))
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def copy_dataset(source, folder, shard_bytes=None, settings=VideoSettings()):
    """Copies a dataset in this process; returns the finished `DatasetCopy` and the files in order."""

    def map_here(work, items, num_workers, crashed):
        yield from ((item, work(item)) for item in items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datamodules.transcode.copy.map_in_processes", map_here)
        with open_copy(source, folder, settings, shard_bytes) as copy:
            return copy, [task.name for task in copy.run(1)]


@pytest.fixture(scope="session")
def copy():
    """The function above, for test modules."""
    return copy_dataset


@pytest.fixture(scope="session")
def copies(synthetic_root, tmp_path_factory):
    """The generated dataset as a tree of small videos, and in shards of a few clips."""
    folder = tmp_path_factory.mktemp("copies")
    copy_dataset(synthetic_root, folder / "tree")
    copy_dataset(synthetic_root, folder / "shards", shard_bytes=200_000)
    return folder
