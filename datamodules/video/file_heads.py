"""Finds files that cannot be videos, by a quick look at the first bytes of each and without decoding."""

from __future__ import annotations

from collections.abc import Sequence

from datamodules.errors import DataError
from datamodules.parallel import map_in_threads
from datamodules.splits.split import VideoRecord
from datamodules.video.clip_files import clip_version, is_in_shard

HEAD_BYTES = 512


def check_heads(records: Sequence[VideoRecord], skips_bad: bool = False) -> None:
    """Check that every clip can be opened and is neither empty nor a text file.

    Args:
        records: The clips.
        skips_bad: Whether a run leaves such clips out (and reports them as it reads them), unless no other is left.

    Raises:
        DataError: Some are not; the message has their number, the first five, and what is wrong with the first.
    """
    errors = map_in_threads(_check_head, [record.path for record in records])
    bad = [(record.video_id, error) for record, error in zip(records, errors, strict=True) if error]
    if bad and (not skips_bad or len(bad) == len(records)):
        names = ", ".join(name for name, _ in bad[:5]) + (", ..." if len(bad) > 5 else "")
        advice = "replace them, or skip them with --data.on_bad_video skip"
        raise DataError(
            f"{len(bad)} of the {len(records)} clips cannot be videos (the first is {bad[0][1]}): {names}; "
            f"{'replace them, since skipping would leave no clip' if skips_bad else advice}."
        )


def _check_head(path: str) -> str | None:
    """Return what is wrong with a file, or None."""
    try:
        if is_in_shard(path):
            clip_version(path)  # for another request for each clip, a bucket would need minutes
            return None
        with open(path, "rb", buffering=0) as file:  # unbuffered takes half the time
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"unreadable ({error.strerror or type(error).__name__})"
    except DataError as error:
        return f"unreadable ({error})"
    if not head:
        return "an empty file"
    # Every video container has zero bytes among its first numbers. A text, such as a saved error page, has none.
    return None if b"\0" in head else "a text file"
