"""HMDB-51 from its own split files."""

import shutil

import pytest

from datamodules import DataError, HMDB51DataModule


@pytest.fixture
def module(ready):
    """Sets up HMDB-51 under some root."""
    return lambda root, **settings: ready(HMDB51DataModule, root, **settings)


def test_splits_do_not_overlap_and_differ(module, synthetic_root):
    tests = []
    for split in (1, 2, 3):
        data = module(synthetic_root, split=split)
        parts = (data.datasets["train"], data.test_datasets[0])
        train, test = ({record.video_id for record in part.records} for part in parts)
        assert not train & test and len(train) == 40 and len(test) == 20
        tests.append(test)
    assert not tests[0] & tests[1] and not tests[1] & tests[2]


def test_flat_layout_gives_the_same_draw(module, synthetic_root, tmp_path):
    for file in synthetic_root.rglob("*.*"):
        shutil.copy(file, tmp_path / file.name)
    nested, flat = (module(root, num_shots=2).datasets["train"].records for root in (synthetic_root, tmp_path))
    assert len(nested) == 20
    assert [r.video_id.split("/")[-1] for r in nested] == [r.video_id for r in flat]


def test_raises_on_a_clip_listed_twice(module, synthetic_root, tmp_path):
    root = shutil.copytree(synthetic_root, tmp_path / "twice")
    with (root / "annotations" / "a_star_moving_left_test_split1.txt").open("a") as file:
        file.write("a_star_moving_left_0.mp4 1 \n")
    with pytest.raises(DataError, match=r"left_test_split1\.txt lists a_star_moving_left_0\.mp4 twice"):
        module(root)


def test_unused_clips_are_in_neither_part(module, synthetic_root, tmp_path):
    root = tmp_path / "unused"
    shutil.copytree(synthetic_root, root)
    file = root / "annotations" / "a_star_moving_left_test_split1.txt"
    file.write_text(file.read_text().replace("_3.mp4 1", "_3.mp4 0"))
    data = module(root)
    assert len(data.datasets["train"]) == 39 and len(data.test_datasets[0]) == 20
