"""Class folders and list files of anyone's own videos."""

import pytest

from datamodules import CSVDataModule, DataError, FolderDataModule
from datamodules.splits.lookup import scan_root


def ready(data, stage=None):
    data.setup(stage)
    return data


def video_ids(dataset):
    return {record.video_id for record in dataset.records}


@pytest.fixture
def folders(made, tmp_path):
    made.touch(tmp_path, *(f"{name}/{n}.mp4" for name in ("dig", "rake_leaves") for n in range(10)))
    made.write(tmp_path, {"dig/notes.txt": "no video"})
    return str(tmp_path)


def test_class_folders_are_split_by_a_draw(folders):
    data, again, other = (ready(FolderDataModule(folders, **s)) for s in ({}, {"seed": 7}, {"split": 2}))
    assert data.class_names == ["dig", "rake leaves"] and data.test_sets[0].name == "folder/split1"
    train, test = (video_ids(part) for part in (data.datasets["train"], data.test_datasets[0]))
    assert len(train) == 2 * 8 and len(test) == 2 * 2 and not train & test
    assert video_ids(again.test_datasets[0]) == test != video_ids(other.test_datasets[0])
    assert len(ready(FolderDataModule(folders, 0.5, num_shots=3)).datasets["train"]) == 2 * 3
    assert len(data.summary()["splits"]["train"]["sha256"]) == 64


def test_class_folders_in_halves(folders, made, tmp_path):
    data = ready(FolderDataModule(folders, setting="base_to_novel", num_shots=4))
    assert [(entry.name, len(entry.class_names)) for entry in data.test_sets] == [
        ("folder/base", 1),
        ("folder/novel", 1),
    ]


def test_folders_train_and_val(made, tmp_path):
    made.touch(tmp_path, *(f"train/{name}/{n}.webm" for name in "ab" for n in range(3)), "val/b/9.webm", "val/a/8.webm")
    data = ready(FolderDataModule(str(tmp_path)))
    assert video_ids(data.test_datasets[0]) == {"val/a/8.webm", "val/b/9.webm"} and len(data.datasets["train"]) == 6
    made.touch(tmp_path, "test/c/7.webm")
    (tmp_path / "train" / "c").mkdir()
    scan_root(tmp_path, refresh=True)
    with pytest.raises(DataError, match=r"class folder .*train/c has no video"):
        ready(FolderDataModule(str(tmp_path)))


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        (["a/1.mp4", "a/2.mp4", "b.mp4"], r"1 videos, such as b\.mp4, lie beside"),
        (["a/1.txt"], "No video lies beside"),
        (["a/1.mp4", "b/1.mp4", "b/2.mp4"], "'a' in .* has one clip"),
        (["train/a/1.mp4"], "no clips to evaluate on"),
        (["train/a/1.mp4", "test/b/1.mp4"], "class 'b' in .*test has no folder"),
    ],
)
def test_faults_in_folders(made, tmp_path, clips, words):
    made.touch(tmp_path, *clips)
    with pytest.raises(DataError, match=words):
        ready(FolderDataModule(str(tmp_path)))


def test_a_class_folder_without_videos(folders, tmp_path):
    (tmp_path / "swim").mkdir()
    with pytest.raises(DataError, match="swim has no video"):
        ready(FolderDataModule(folders))
    with pytest.raises(DataError, match=r"test_share is 1\.5"):
        (tmp_path / "swim").rmdir()
        ready(FolderDataModule(folders, test_share=1.5))


@pytest.fixture
def lists(made, tmp_path):
    made.touch(tmp_path / "clips", *(f"{name}_{n}.avi" for name in ("x", "y") for n in range(10)))
    rows = "".join(f'"sub, dir/y_{n}.avi",1\nx_{n}.avi,0\n' for n in range(4))
    files = {
        "labels.csv": made.labels("xylophone", "yo-yo"),
        "all.txt": made.listed(x=10, y=10),
        "test.csv": "path,label\n" + rows,
    }
    made.write(tmp_path, files | {"train.txt": "".join(f"x_{n}.avi 0\ny_{n}.avi 1\n" for n in range(4, 10))})
    return tmp_path


def csv_module(folder, train=None, test=None, **settings):
    train, test = (name and str(folder / name) for name in (train, test))
    return CSVDataModule(str(folder / "clips"), str(folder / "labels.csv"), train, test, **settings)


def test_lists_of_both_forms(lists):
    data = ready(csv_module(lists, "train.txt", "test.csv"))
    assert data.class_names == ["xylophone", "yo-yo"] and data.test_sets[0].name == "csv/split1"
    assert len(data.datasets["train"]) == 2 * 6
    assert [(r.video_id, r.label) for r in data.test_datasets[0].records][:2] == [("y_0.avi", 1), ("x_0.avi", 0)]
    assert len(ready(csv_module(lists, "train.txt", "test.csv", num_shots=2)).datasets["train"]) == 2 * 2


def test_one_list_is_split_and_a_test_list_is_enough_to_test(lists):
    data = ready(csv_module(lists, "all.txt", test_share=0.3))
    assert len(data.datasets["train"]) == 2 * 7 and len(data.test_datasets[0]) == 2 * 3
    assert len(ready(csv_module(lists, test="test.csv"), "test").test_datasets[0]) == 8
    with pytest.raises(DataError, match="2 of the 2 classes have no training clip"):
        ready(csv_module(lists, test="test.csv"), "fit")


FAULTS = {
    "path,label\n": "needs a first line `path,label`",
    "": "needs a first line",
    "x_0.avi,0\n": "needs a first line",
    "path,label\nx_0.avi,zero\n": r"test\.csv, line 2: 'x_0\.avi,zero'",
    "path,label\nx_0.avi\n": "line 2",
    "path,label\nx_0.avi,0\nx_0.avi,1\n": r"lists x_0\.avi twice",
    "path,label\nx_4.avi,0\ny_0.avi,1\n": r"lists x_4\.avi twice",
    "path,label\nx_0.avi,2\n": r"x_0\.avi the label 2, but there are only 2 classes",
}


@pytest.mark.parametrize(("text", "words"), FAULTS.items())
def test_faults_in_lists(lists, text, words):
    (lists / "test.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        ready(csv_module(lists, "train.txt", "test.csv"))


def test_faults_in_what_is_given(lists):
    with pytest.raises(DataError, match="There is no list of clips"):
        ready(csv_module(lists))
    with pytest.raises(DataError, match=r"gone\.csv"):
        ready(csv_module(lists, "gone.csv"))
    (lists / "labels.csv").write_text("id,name\n0,C\n1,C++\n")
    with pytest.raises(DataError, match="'C' differs from another one in nothing but spelling"):
        ready(csv_module(lists, "train.txt"))
