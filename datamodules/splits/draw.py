"""Seeded draws: K-shot lists, base and novel halves of the classes, and clips held out for testing.

Every draw sorts by a hash and takes the first few. The order depends on nothing but a seed and names, so a draw is the
same on every machine and in every directory layout, and a smaller draw is contained in a larger one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from datamodules.errors import DataError
from datamodules.options import check_share
from datamodules.splits.class_names import normalize
from datamodules.splits.split import Entry, Split

NamedClip = tuple[str, str]  # a clip and the name of its class


def hash_rank(seed: int, text: str) -> bytes:
    """Return the sort key of every draw: the SHA-256 of seed and text."""
    return hashlib.sha256(f"{seed}/{text}".encode()).digest()


def draw_shots(
    split: Split, num_shots: int, seed: int, class_names: Sequence[str], option: str = "--data.num_shots"
) -> Split:
    """Draw `num_shots` clips of each class.

    Clips are ranked by base name, so that class folders do not change the draw.

    Args:
        split: The training split to draw from.
        num_shots: Number K of clips per class, at least 1.
        seed: Another seed gives another draw.
        class_names: Y names; the draw has K x Y entries, class by class.
        option: The option that sets K, for the error message.

    Raises:
        DataError: A class has fewer than K clips.
    """
    of_class: dict[int, list[Entry]] = {label: [] for label in range(len(class_names))}
    for entry in split.entries:
        of_class[entry.label].append(entry)
    for label, entries in of_class.items():
        if len(entries) < num_shots:
            raise DataError(
                f"Class {class_names[label]!r} has {len(entries)} training clips, fewer than the {num_shots} shots "
                f"asked for; set {option} to {min(map(len, of_class.values()))} or less."
            )

    def rank(entry: Entry) -> bytes:
        return hash_rank(seed, PurePosixPath(entry.name).name)

    drawn = [entry for entries in of_class.values() for entry in sorted(entries, key=rank)[:num_shots]]
    return Split(drawn, split.files)


def halve_classes(class_names: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Draw base and novel classes; with an odd number of classes, base gets one more.

    Classes are ranked by normalized name, so that neither spelling nor label order changes the draw.

    Args:
        class_names: Y names, at least 2.
        seed: Another seed gives other halves.

    Returns:
        The labels of the base classes and those of the novel classes, each in ascending order.

    Raises:
        DataError: There are fewer than two classes.
    """
    if len(class_names) < 2:
        raise DataError("The dataset has fewer than two classes and cannot be halved; use --base_novel false.")
    order = sorted(range(len(class_names)), key=lambda label: hash_rank(seed, normalize(class_names[label])))
    num_base = (len(order) + 1) // 2
    return sorted(order[:num_base]), sorted(order[num_base:])


def base_list_seed(seed: int, number: int) -> int:
    """Return the seed of base training list `number`, which counts from 1."""
    return int.from_bytes(hash_rank(seed, f"base list {number}")[:4], "big")


def keep_classes(split: Split, classes: Sequence[int]) -> Split:
    """Keep the clips of some classes, relabeled from 0 in the order of `classes`."""
    # Label files of the halves count from 0, so their lists must too.
    new_label = {label: number for number, label in enumerate(classes)}
    kept = [Entry(entry.name, new_label[entry.label]) for entry in split.entries if entry.label in new_label]
    return Split(kept, split.files)


def hold_out(
    clips: Sequence[NamedClip], test_share: float, number: int, source: Path
) -> tuple[list[NamedClip], list[NamedClip]]:
    """Hold out a share of each class for testing.

    The draw depends on `number` and not on the seed of the run, so that runs with different seeds test the same clips.

    Args:
        clips: The clips.
        test_share: Share of test clips in each class, between 0 and 1; at least one clip stays on either side.
        number: Number of the split; another one gives another draw.
        source: Where the clips come from, for the error message.

    Returns:
        Training and test clips.

    Raises:
        DataError: The share is not between 0 and 1, or a class has only one clip.
    """
    check_share("test_share", test_share)
    of_class: dict[str, list[NamedClip]] = {}
    for clip in clips:
        of_class.setdefault(clip[1], []).append(clip)
    train, test = [], []
    for name, members in of_class.items():
        if len(members) < 2:
            raise DataError(
                f"The class {name!r} in {source} has one clip, too few for a training and a test clip; add clips."
            )
        # Ranked by the whole path: base names such as `0.mp4` may repeat from class to class.
        members.sort(key=lambda clip: hash_rank(number, clip[0]))
        # A share of a small class may round to none or to all of its clips.
        num_test = min(max(1, round(test_share * len(members))), len(members) - 1)
        test += members[:num_test]
        train += members[num_test:]
    return train, test
