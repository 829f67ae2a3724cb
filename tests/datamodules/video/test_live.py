"""A stream read in real time: windows of its latest seconds, however slow the reader."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from datamodules.errors import DataError
from datamodules.video import live
from datamodules.video.live import LiveWindows
from datamodules.video.windows import WindowSampling

from ..conftest import read_number, write_numbered


def identity(frame):
    return frame


def numbers(window):
    return [read_number(frame.movedim(0, -1).numpy()) for frame in window.clip[0]]


@contextmanager
def stalled_server(content):
    """Serves content over HTTP, then falls silent with the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve():
            connection, _ = server.accept()
            held.append(connection)
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + content)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        for connection in held:
            connection.close()


def test_windows_come_in_real_time(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 50)  # 2 s
    began, arrivals = time.monotonic(), []
    for window in LiveWindows(str(path), 0.8, 0.4, WindowSampling(num_frames=2, num_views=1, transform=identity)):
        arrivals.append((time.monotonic() - began, window))
    ends = [window.end for _, window in arrivals]
    assert ends[:3] == pytest.approx([0.8, 1.2, 1.6], abs=0.05) and ends[-1] == pytest.approx(1.96)
    for arrival, window in arrivals:
        assert window.end - 0.05 < arrival < window.end + 1.0
        expected = [25 * (window.end - 0.8 + instant) for instant in (0.2, 0.6)]
        assert numbers(window) == pytest.approx(expected, abs=6)  # a frame of 0.2 s before, at most


def test_slow_reader_misses_windows_but_is_not_late(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 75)  # 3 s
    stream = LiveWindows(str(path), 0.4, 0.2, WindowSampling(num_frames=2, num_views=1, transform=identity))
    began, windows = time.monotonic(), []
    for window in stream:
        assert time.monotonic() - began - window.end < 0.5
        windows.append(window)
        assert len(stream._frames) <= 2 * 2 + 2
        time.sleep(0.9)
    assert len(windows) <= 5


@pytest.mark.parametrize("count", [1, 10])
def test_stream_shorter_than_a_window_is_one(tmp_path, count):
    path = write_numbered(tmp_path / "a.mp4", count)
    (window,) = LiveWindows(str(path), 5.0, 5.0, WindowSampling(num_frames=2, num_views=1, transform=identity))
    assert window.start == 0 and window.end == pytest.approx((count - 1) * 0.04)


@pytest.mark.parametrize("url", ["no.mp4", "rtsp://127.0.0.1:1/none"])
def test_what_is_no_stream_is_said(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"The stream .* cannot be opened \(.*\); check it and start again"):
        list(LiveWindows(url, 1.0, 1.0, WindowSampling(2, 1, identity)))


def test_stream_that_stalls_ends_with_its_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "TIMEOUT", 1.0)
    content = write_numbered(tmp_path / "a.ts", 100, options={"g": "10"}).read_bytes()
    windows = []
    stopped = pytest.raises(DataError, match=r"stopped after [1-3]\.\d s")
    with stalled_server(content[: len(content) // 2]) as url, stopped:
        windows.extend(LiveWindows(url, 1.0, 0.5, WindowSampling(2, 1, identity)))
    assert windows
