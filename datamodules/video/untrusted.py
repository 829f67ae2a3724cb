"""Files from strangers: only containers that hold the video themselves are opened."""

from __future__ import annotations

from pathlib import Path

import av
from av.stream import Disposition

from datamodules.errors import DataError, describe
from datamodules.video.windows import measure_duration

CONTAINERS = "mov,matroska,avi,asf,flv,gif,mpeg,mpegts,ogg"
"""FFmpeg's names; mov is also MP4, matroska also WebM. A playlist (HLS, concat) would open other files by name."""


def measure_untrusted(path: str | Path) -> float:
    """Measure the seconds of a video that may be anything: a picture, a sound, a playlist, another file.

    Raises:
        DataError: It is no video, or none that can be decoded.
    """
    try:
        with av.open(str(path), options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}) as container:
            stream = container.streams.best("video")
            if stream is None or stream.disposition & Disposition.attached_pic:  # the cover of a song
                raise DataError(f"{path} has no moving picture; choose a video, such as an MP4 or a WebM file.")
        return measure_duration(path)
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path} is no video ({describe(error)}); choose an MP4 or a WebM file.") from error
