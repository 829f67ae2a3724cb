"""The generated dataset on disk: every setting reads it, it is the world of the tensors, and it is whole or absent."""

import hashlib
from pathlib import Path

import pytest

from datamodules import HMDB51DataModule, SyntheticDataModule, SyntheticFilesDataModule, write_synthetic_dataset
from datamodules.check.lists import read_lists
from datamodules.check.run import CheckSettings, check_files
from datamodules.errors import DataError
from datamodules.synthetic import write_dataset
from datamodules.synthetic.actions import SEEN, UNSEEN

# Two static actions, one in each half, two relational ones and an order pair of base, an order pair of novel.
SMALL = {"actions": (*SEEN[:2], *SEEN[12:14], *SEEN[24:28]), "unseen": UNSEEN[:2], "train_films": 5, "test_films": 2}
SMALL["size"] = 16
FILES = {"num_frames": 8, "image_size": 16, "num_workers": 0, "num_temporal_views": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_synthetic_dataset(tmp_path_factory.mktemp("world") / "data", **SMALL)


def files_module(root, **settings):
    data = SyntheticFilesDataModule(str(root), **FILES, **settings)
    data.setup()
    return data


def clips(records):
    """`class/number` of some records, which is what films as tensors are called."""
    return ["/".join(Path(record.video_id).stem.rsplit("_", 1)) for record in records]


@pytest.mark.parametrize(
    ("setting", "trained", "tested"),
    [
        ("standard", 8, {"split1": 8}),
        ("zero_shot", 8, {"seen": 8, "unseen": 2}),
        ("base_to_novel", 5, {"base": 5, "novel": 3}),
        ("temporal", 6, {"temporal": 6}),
        ("static", 2, {"static": 2}),
    ],
)
def test_every_setting_reads_its_lists(root, setting, trained, tested):
    data = files_module(root, setting=setting)
    assert data.num_classes == trained and len(data.datasets["train"]) == 5 * trained
    assert {test.part: len(test.class_names) for test in data.test_sets} == tested
    assert [len(dataset) for dataset in data.test_datasets] == [2 * count for count in tested.values()]


def test_a_test_batch_has_the_labels_of_the_actions(root):
    data = files_module(root, setting="zero_shot")
    assert data.class_names == [action.name for action in SMALL["actions"]]
    (seen, unseen) = data.test_datasets
    assert [record.label for record in seen.records] == [label for label in range(8) for _ in range(2)]
    assert [record.video_id.split("/")[:2] for record in unseen.records[::2]] == [
        ["unseen", action.name.replace(" ", "_")] for action in SMALL["unseen"]
    ]
    assert next(iter(data.test_dataloader()[1])).video.shape == (4, 1, 8, 3, 16, 16)


@pytest.mark.parametrize("split", [1, 2, 3])
@pytest.mark.parametrize("setting", ["standard", "base_to_novel"])
def test_files_and_tensors_have_the_same_films(root, setting, split):
    shared = {"setting": setting, "split": split, "num_shots": 4 if setting == "base_to_novel" else 2}
    files = files_module(root, **shared)
    tensors = SyntheticDataModule(**shared, train_films=5, test_films=2)
    tensors.setup()
    names = {action.name.replace(" ", "_") for action in SMALL["actions"]}  # the files have only these
    trained, tested = (
        {clip for part in parts for clip in tensors.datasets[part].video_ids if clip.split("/")[0] in names}
        for parts in (["train"], [test.name for test in tensors.test_sets])
    )
    assert set(clips(files.datasets["train"].records)) == trained
    assert {clip for dataset in files.test_datasets for clip in clips(dataset.records)} == tested


def test_it_is_laid_out_like_hmdb51(root):
    """Without its lists, and without the unseen actions."""
    tests = set()
    for split in (1, 2, 3):
        data = HMDB51DataModule(str(root), split=split, **FILES)
        data.setup()
        assert data.class_names == sorted(action.name for action in SMALL["actions"])
        train, test = (set(clips(each.records)) for each in (data.datasets["train"], data.test_datasets[0]))
        assert len(train) == 5 * 8 and len(test) == 2 * 8 and not train & test
        tests |= test
    assert len(tests) == 6 * 8  # no film is tested in two splits


def test_check_finds_nothing(root, tmp_path):
    settings = ("standard", "zero_shot", "base_to_novel", "temporal", "static")
    requests = [SyntheticFilesDataModule(str(root), setting=setting, **FILES).request for setting in settings]
    report = check_files(read_lists(requests), CheckSettings("header", 8, "auto", 1, tmp_path / "cache.jsonl"))
    assert report.num_files == 8 * 7 + 2 * 2 and not any(checked.problems for checked in report.lists)


def digest(root):
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in root.rglob("*")
        if file.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_films(tmp_path):
    small = {"actions": SEEN[:2], "unseen": UNSEEN[:1], "train_films": 1, "test_films": 1, "size": 16}
    one, same, other = (
        digest(write_synthetic_dataset(tmp_path / name, **small, world_seed=seed))
        for name, seed in (("one", 0), ("same", 0), ("other", 1))
    )
    assert one == same and one.keys() == other.keys()
    assert all((one[file] != other[file]) == file.endswith(".mp4") for file in one)


def test_an_interrupted_run_leaves_no_dataset_and_is_remade(tmp_path, monkeypatch, root):
    write_films, calls = write_dataset.write_films, []

    def interrupted(folder, *args):
        calls.append(folder)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write_films(folder, *args)

    monkeypatch.setattr(write_dataset, "write_films", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic_dataset(tmp_path / "data", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["data.unfinished"]
    (tmp_path / "data.unfinished" / "half.mp4").write_bytes(b"half")
    monkeypatch.undo()
    write_synthetic_dataset(tmp_path / "data", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["data"] and digest(tmp_path / "data") == digest(root)


def test_an_empty_directory_is_used_and_any_other_is_kept(tmp_path):
    (tmp_path / "empty").mkdir()
    small = {"actions": SEEN[:1], "unseen": (), "train_films": 1, "test_films": 1, "size": 16}
    assert len(list(write_synthetic_dataset(tmp_path / "empty", **small).rglob("*.mp4"))) == 2
    before = digest(tmp_path / "empty")
    with pytest.raises(
        DataError, match=r"empty exists and is not overwritten; remove it, or choose another directory\.$"
    ):
        write_synthetic_dataset(tmp_path / "empty", **small, world_seed=1)
    assert digest(tmp_path / "empty") == before


def test_raises_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(
        DataError, match=r"^Cannot write .*file/data \(.*\); choose a directory that can be written to\.$"
    ):
        write_synthetic_dataset(tmp_path / "file" / "data", **SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world_seed": "abc"}, "The world_seed is 'abc'; it must be a whole number from 0"),
        ({"size": 15}, "The size is 15; it must be even"),
        ({"size": 0}, "The size is 0; it must be at least 1"),
        ({"train_films": 0}, "The train_films is 0; it must be at least 1"),
        ({"test_films": 0}, "The test_films is 0; it must be at least 1"),
        ({"actions": ()}, "The number of actions is 0; it must be at least 1"),
    ],
)
def test_raises_on_wrong_arguments_before_anything_is_written(tmp_path, settings, message):
    with pytest.raises(DataError, match=message):
        write_synthetic_dataset(tmp_path / "data", **{**SMALL, **settings})
    assert not any(tmp_path.iterdir())
