"""Libraries that need not be installed: which frames they return, and what is said where they do not work."""

import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from datamodules.errors import DataError
from datamodules.video.decoding import DECODERS, decode_frames

WRONG = {  # every seventh frame: known to be others, or refused
    "decord": {
        *("mkv_open_gop", "avi_mpeg4_b_frames", "avi_h264_b_frames", "mp4_mpeg4_b_frames", "transport_stream"),
    },
    "torchcodec": {"avi_mpeg4_b_frames", "avi_h264_b_frames", "transport_stream"},
}
READ = """
import sys
import numpy as np
from datamodules.errors import DataError
from datamodules.video.decoding import decode_frames
for path in sys.argv[1:]:
    for short_side in (None, 40):
        try:
            frames = decode_frames(path, lambda n: np.arange(0, n, 7)[None], "torchcodec", short_side)
            np.save(f"{path}.{short_side}.npy", frames)
        except DataError as error:
            print(error)
"""


def every_seventh(n):
    return np.arange(0, n, 7)[None]


def resized(frames, short_side):
    small = v2.Resize(short_side, antialias=True)(torch.from_numpy(frames).movedim(-1, -3))
    return small.movedim(-3, -1).numpy()


@pytest.fixture(scope="module")
def ffmpeg(tmp_path_factory):
    """The environment of a process that finds an FFmpeg: that of PyAV's wheel, by the names that a system has."""
    bundled, folder = Path(av.__file__).parent.parent / "av.libs", tmp_path_factory.mktemp("ffmpeg")
    for library in bundled.glob("*.so.*"):
        name, version = re.fullmatch(r"(.+)-\w+\.so\.(\d+)[.\d]*", library.name).groups()
        (folder / f"{name}.so.{version}").symlink_to(library)
    return {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{bundled}:{os.environ.get('LD_LIBRARY_PATH', '')}"}


@pytest.fixture(scope="module")
def read(ffmpeg):
    """Reads files by torchcodec in one process of its own; returns what it says of those that it refuses."""

    def read(*paths):
        command = [sys.executable, "-c", READ, *map(str, paths)]
        process = subprocess.run(command, env=ffmpeg, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        return process.stdout

    return read


@pytest.fixture(scope="module")
def read_once(tmp_path_factory, videos, containers, read):
    """Every kind of video, read by torchcodec, and what it says of two files that are none."""
    pytest.importorskip("torchcodec")
    paths = {}
    for kind, settings in containers.items():
        folder = tmp_path_factory.mktemp(kind)
        paths[kind] = videos.write(folder / settings["name"], **{k: v for k, v in settings.items() if k != "name"})
    folder = tmp_path_factory.mktemp("broken")
    (folder / "text.mp4").write_text("not a video\n" * 20)
    return paths, read(*paths.values(), folder / "text.mp4", folder / "gone.mp4")


@pytest.fixture
def written(read_once):
    return read_once[0]


def test_torchcodec_returns_the_right_frames_but_for_containers_without_times(written):
    found = set()
    for kind, path in written.items():
        frames = Path(f"{path}.None.npy")
        if not frames.exists() or not np.array_equal(np.load(frames), decode_frames(path, every_seventh)):
            found.add(kind)
    assert found == WRONG["torchcodec"]  # if it grows empty, `auto` may choose torchcodec


def test_torchcodec_shrinks_as_torchvision_does(written):
    path = written["mp4_b_frames_key_frames"]
    shrunk = np.load(f"{path}.40.npy")
    assert shrunk.shape == (1, 9, 40, 80, 3) and np.array_equal(shrunk, resized(np.load(f"{path}.None.npy"), 40))


def test_torchcodec_refuses_a_broken_file(read_once):
    said = read_once[1].splitlines()[-4:]
    assert all("torchcodec cannot decode" in line for line in said)
    assert "text.mp4" in said[0] and "gone.mp4" in said[2]


def hide(monkeypatch, name):
    """Makes Python forget that it has imported a library."""
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)


@pytest.mark.parametrize("name", ["decord", "torchcodec"])
def test_says_what_to_do_if_a_library_is_missing(tmp_path, monkeypatch, name):
    hide(monkeypatch, name)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=f"^{name} is not installed; .*use --data.decoder pyav"):
        decode_frames(tmp_path / "a.mp4", np.arange, name)


def test_says_what_to_do_if_torchcodec_finds_no_ffmpeg(tmp_path, monkeypatch):
    """At its import as in older versions; newer ones raise the same error at the first file."""
    hide(monkeypatch, "torchcodec")
    (tmp_path / "torchcodec").mkdir()
    (tmp_path / "torchcodec" / "__init__.py").write_text("raise RuntimeError('Could not load libtorchcodec.\\n' * 99)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"^torchcodec does not find FFmpeg's shared libraries.*; install FFmpeg, or"):
        decode_frames(tmp_path / "a.mp4", np.arange, "torchcodec")


def test_decord_returns_the_right_frames_but_where_it_is_known_not_to(numbered, request):
    pytest.importorskip("decord")
    path, _ = numbered
    expected, found = decode_frames(path, every_seventh), decode_frames(path, every_seventh, "decord")
    assert np.array_equal(found, expected) == (request.node.callspec.params["numbered"] not in WRONG["decord"])


def test_decord_shrinks_as_torchvision_does(videos, tmp_path):
    pytest.importorskip("decord")
    path = videos.write(tmp_path / "a.mp4", 10)
    shrunk = decode_frames(path, every_seventh, "decord", short_side=40)
    assert np.array_equal(shrunk, resized(decode_frames(path, every_seventh, "decord"), 40))


def test_decord_names_a_missing_file(tmp_path):
    pytest.importorskip("decord")
    with pytest.raises(DataError, match=r"gone\.mp4"):
        decode_frames(tmp_path / "gone.mp4", np.arange, "decord")


def test_auto_is_the_decoder_that_is_right_everywhere():
    assert DECODERS["auto"] is DECODERS["pyav"]
