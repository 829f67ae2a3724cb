"""A dataset to draw from, and what to draw."""

import pytest

from datamodules.datasets.hmdb51 import HMDB51DataModule
from datamodules.make_splits.plan import DataSource, SplitPlan
from datamodules.splits.split import Entry, Split

NAMES = ["brush hair", "cartwheel", "draw sword", "ride bike", "shake hands"]


@pytest.fixture
def names():
    """The class names of both datasets below."""
    return list(NAMES)


@pytest.fixture
def plan():
    """Two K-shot lists, and two base lists of 3 shots."""
    return SplitPlan(seed=7, shots=(2, 4), base_shots=3, base_lists=2)


def entries(part, count):
    return [Entry(f"{name.replace(' ', '_')}/{part} {n}.avi", y) for y, name in enumerate(NAMES) for n in range(count)]


@pytest.fixture
def source(tmp_path):
    """A source of 5 classes with 6 training and 2 test clips each."""
    annotations = tmp_path / "annotations.txt"
    annotations.write_bytes(b"any annotations")
    train, test = Split(entries("train", 6), (annotations,)), Split(entries("test", 2), (annotations,))
    halves = HMDB51DataModule.other_settings["base_to_novel"]
    return DataSource("hmdb51", HMDB51DataModule.published, halves, 1, list(NAMES), train, test)


@pytest.fixture
def hmdb_root(tmp_path):
    """A tree like HMDB-51: 5 classes with 3 training and 2 test clips each."""
    root = tmp_path / "hmdb"
    for name in NAMES:
        folder = root / name.replace(" ", "_")
        folder.mkdir(parents=True)
        clips = [f"{folder.name} {n}.avi" for n in range(5)]
        for clip in clips:
            (folder / clip).write_bytes(b"RIFF\0")
        parts = "".join(f"{clip} {1 if n < 3 else 2}\n" for n, clip in enumerate(clips))
        (root / f"{folder.name}_test_split1.txt").write_text(parts)
    return root
