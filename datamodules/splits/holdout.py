"""A split of clips into training and test ones, where a dataset comes without."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError

NamedClip = tuple[str, str]  # a clip and the name of its class


def share_out(
    clips: Sequence[NamedClip], test_share: float, number: int, source: Path
) -> tuple[list[NamedClip], list[NamedClip]]:
    """Sets a share of each class aside for testing.

    The clips of a class are ordered by a hash of the number and their names, so that the split is the same on any
    machine and whatever the seed of the run.

    Args:
        clips: The clips.
        test_share: Share of the test clips in each class, between 0 and 1; at least one clip is left on either side.
        number: Number of the split; another one gives another split.
        source: Where the clips come from, for the message.

    Returns:
        Training and test clips.

    Raises:
        DataError: The share is not between 0 and 1, or a class has only one clip.
    """
    if not 0 < test_share < 1:
        raise DataError(f"--data.test_share is {test_share}; it must lie between 0 and 1.")
    of_class: dict[str, list[NamedClip]] = {}
    for clip in clips:
        of_class.setdefault(clip[1], []).append(clip)
    train, test = [], []
    for name, members in of_class.items():
        if len(members) < 2:
            raise DataError(f"The class {name!r} in {source} has one clip, which cannot be both trained on and tested.")
        members.sort(key=lambda clip: hashlib.sha256(f"{number}/{clip[0]}".encode()).digest())
        num_test = min(max(1, round(test_share * len(members))), len(members) - 1)
        test += members[:num_test]
        train += members[num_test:]
    return train, test
