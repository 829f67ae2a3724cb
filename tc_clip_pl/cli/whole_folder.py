"""Writes a folder whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tc_clip_pl.cli.errors import UserError


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a new, empty folder to write into, which becomes `target` when the block ends without an error.

    An interruption must not leave a partial folder that a later command would take for a whole one.

    Args:
        target: A folder that does not exist.

    Raises:
        UserError: If it cannot be written.
    """
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # of a command that was killed
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}): name another folder.") from error
    try:
        yield unfinished
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
