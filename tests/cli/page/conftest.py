"""A served page, and films to drop on it."""

import re
import socket
import subprocess
import sys
from contextlib import contextmanager

import av
import pytest
from gradio_client import Client, handle_file

from tc_clip_pl import Recognizer

LEFT, DISC = "a star moving left", "showing a red disc"
MAX_MB, MAX_SECONDS = 1, 30


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@contextmanager
def serving(folder, *argv):
    """Run `tcclip demo`, with its uploads in a folder; yield the process and the address of the page."""
    command = [sys.executable, "-m", "tc_clip_pl", "demo", "--port", str(free_port()), *argv]
    environment = {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    )
    try:
        line = process.stdout.readline()
        yield process, re.match(r"(http://127\.0\.0\.1:\d+) \(Ctrl-C ends it\)", line)[1]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uploads")
    with serving(folder, "--max_mb", str(MAX_MB), "--max_seconds", str(MAX_SECONDS)) as (_, address):
        yield address


@pytest.fixture(scope="module")
def ask(url, tmp_path_factory):
    client = Client(url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))

    def ask(video, labels=f"{LEFT}, {DISC}", window=10):
        file = None if video is None else handle_file(str(video))
        ranking, timeline, picture, text = client.predict(file, labels, window, api_name="/recognize")
        return {entry["label"]: entry["confidence"] for entry in ranking["confidences"]}, timeline, picture, text

    return ask


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.from_pretrained("world", "cpu", num_workers=0)


@pytest.fixture(scope="module")
def film(demo):
    return next((demo / "data/videos/a_star_moving_left").glob("*.mp4"))


@pytest.fixture(scope="module")
def long_film(demo, film, tmp_path_factory):
    """Ten seconds of a star, then ten of a disc."""
    disc = next((demo / "data/videos/showing_a_red_disc").glob("*.mp4"))
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", [*frames(film, 80), *frames(disc, 80)])


def frames(path, count):
    with av.open(str(path)) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [images[n % len(images)] for n in range(count)]


def write_video(path, images, rate=8):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate, width=images[0].shape[1], height=images[0].shape[0])
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path
