"""The latest seconds of a camera or a stream, again and again, without a queue: a slow reader misses windows."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from torch import Tensor

from datamodules.errors import DataError, describe
from datamodules.video.frame_sampling import multi_view
from datamodules.video.windows import GRID, TOLERANCE, PictureMaker, Window, WindowSampling, stack_views

TIMEOUT = 10.0
"""Seconds without a frame after which a stream counts as stopped."""
OVERSAMPLING = 2
"""Frames kept between two instants of a window, so that the frame of an instant is late by half of their distance."""


class LiveWindows:
    """Iterates over the windows of a stream while a thread reads it.

    The thread keeps the frames of one window, small already, whatever the reader does: neither memory nor delay grows.
    A local file is read at its own speed, as a camera would deliver it.

    Args:
        url: What FFmpeg opens: ``rtsp://...``, ``/dev/video0``, a file.
        length: Of a window, in seconds.
        stride: From the end of a window to the end of the next, in seconds; more where the reader is slower.
        sampling: How their clips are made.
    """

    def __init__(self, url: str, length: float, stride: float, sampling: WindowSampling) -> None:
        self.url, self.length, self.stride, self.sampling = url, length, stride, sampling
        num_frames, num_views = sampling.num_frames, sampling.num_views
        self._instants = multi_view(GRID, num_frames, num_views) / GRID * length
        self._spacing = length / (num_frames * num_views * OVERSAMPLING)
        self._frames: deque[tuple[float, Tensor]] = deque()
        self._now = 0.0  # seconds of the stream that were read
        self._error: Exception | None = None
        self._has_ended = False
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[Window]:
        """Yield a window whenever `stride` seconds have passed; the last one when the stream ends.

        Raises:
            DataError: The stream cannot be opened, or it stopped.
        """
        thread = threading.Thread(target=self._read, name="stream", daemon=True)
        thread.start()
        try:
            yield from self._windows()
        finally:
            with self._changed:
                self._has_ended = True
            thread.join(TIMEOUT)

    def _windows(self) -> Iterator[Window]:
        answered = -1.0
        due = self.length
        while True:
            with self._changed:
                while not self._has_ended and self._now + TOLERANCE < due:
                    self._changed.wait()
                now, frames, is_last = self._now, list(self._frames), self._has_ended
            if frames and now > answered + TOLERANCE:
                yield self._cut(frames, now)
                answered = now
            if is_last:
                break
            due = now + self.stride
        if self._error is not None:
            seen = f"stopped after {now:.1f} s" if frames else "cannot be opened"
            raise DataError(f"The stream {self.url} {seen} ({describe(self._error)}); check it and start again.")

    def _cut(self, frames: list[tuple[float, Tensor]], now: float) -> Window:
        start = max(0.0, now - self.length)
        times = np.array([time for time, _ in frames])
        scale = (now - start) / self.length  # a stream that ended before its first window was full
        numbers = np.searchsorted(times, start + scale * self._instants.ravel() + TOLERANCE, side="right") - 1
        clip = stack_views((frames[number][1] for number in numbers.clip(0)), self.sampling.num_views)
        return Window(start, now, clip)

    def _read(self) -> None:
        """Read frames until the stream or the reader ends; runs in the thread."""
        try:
            self._read_frames()
        except (av.FFmpegError, OSError, DataError) as error:
            self._error = error
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify()

    def _read_frames(self) -> None:
        with av.open(self.url, timeout=TIMEOUT, **_format(self.url)) as container:
            stream = container.streams.best("video")
            if stream is None:
                raise DataError("it has no video")
            stream.thread_type = "AUTO"
            make = PictureMaker(self.sampling)
            begin, first, last = time.monotonic(), None, -self._spacing
            for frame in container.decode(stream):
                first = frame.time or 0.0 if first is None else first
                now = time.monotonic() - begin if frame.time is None else frame.time - first
                if Path(self.url).is_file():
                    time.sleep(max(0.0, now - (time.monotonic() - begin)))
                if self._has_ended:
                    return
                is_kept = now - last + TOLERANCE >= self._spacing
                self._add(now, make(frame) if is_kept else None)
                last = now if is_kept else last

    def _add(self, now: float, picture: Tensor | None) -> None:
        with self._changed:
            if picture is not None:
                self._frames.append((now, picture))
            while len(self._frames) > 1 and self._frames[1][0] <= now - self.length:
                self._frames.popleft()
            self._now = now
            self._changed.notify()


def _format(url: str) -> dict[str, Any]:
    return {"format": "v4l2"} if url.startswith("/dev/video") else {}
