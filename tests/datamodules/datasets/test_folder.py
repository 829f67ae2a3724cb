"""Your own videos in class folders."""

import pytest

from datamodules import DataError, EvaluationSuite, FolderDataModule
from datamodules.splits.lookup import scan_root
from datamodules.splits.split import UNLABELED


@pytest.fixture
def folders(made, tmp_path):
    made.touch(tmp_path, *(f"{name}/{n}.mp4" for name in ("dig", "rake_leaves") for n in range(10)))
    made.write(tmp_path, {"dig/notes.txt": "not a video"})
    return tmp_path


def test_a_share_of_each_class_is_held_out(folders, ready, video_ids):
    data, again, other = (ready(FolderDataModule, folders, **s) for s in ({}, {"seed": 7}, {"split": 2}))
    assert data.class_names == ["dig", "rake leaves"] and data.test_sets[0].name == "folder/split1"
    train, test = (video_ids(part) for part in (data.datasets["train"], data.test_datasets[0]))
    assert len(train) == 2 * 8 and len(test) == 2 * 2 and not train & test
    assert video_ids(again.test_datasets[0]) == test != video_ids(other.test_datasets[0])
    assert len(ready(FolderDataModule, folders, test_share=0.5, num_shots=3).datasets["train"]) == 2 * 3
    assert len(data.summary()["splits"]["train"]["sha256"]) == 64


def test_halves_of_the_classes(folders, ready, made):
    made.touch(folders, *(f"{name}/{n}.mp4" for name in ("swim", "walk") for n in range(10)))
    data = ready(FolderDataModule, folders, setting="base_to_novel", num_shots=4)
    assert [(entry.name, len(entry.class_names)) for entry in data.test_sets] == [
        ("folder/base", 2),
        ("folder/novel", 2),
    ]


def test_a_half_of_one_class_is_refused_before_the_training(folders, ready, made):
    made.touch(folders, *(f"swim/{n}.mp4" for n in range(10)))
    with pytest.raises(DataError, match=r"^Only one class, '[a-z ]+', is in .*; at least 2 are needed\.$"):
        ready(FolderDataModule, folders, setting="base_to_novel", stage="fit")


def test_train_and_val_folders_are_the_splits(made, ready, video_ids, tmp_path):
    made.touch(tmp_path, *(f"train/{name}/{n}.webm" for name in "ab" for n in range(3)), "val/b/9.webm", "val/a/8.webm")
    data = ready(FolderDataModule, tmp_path)
    assert video_ids(data.test_datasets[0]) == {"val/a/8.webm", "val/b/9.webm"} and len(data.datasets["train"]) == 6
    made.touch(tmp_path, "test/c/7.webm")
    (tmp_path / "train" / "c").mkdir()
    scan_root(tmp_path, refresh=True)
    with pytest.raises(DataError, match=r"class folder .*train/c has no video"):
        ready(FolderDataModule, tmp_path)


@pytest.mark.parametrize(
    ("clips", "sentence"),
    [
        (["a/1.mp4", "a/2.mp4", "b.mp4"], r"1 videos \(such as b\.mp4\) are outside class folders"),
        (["a/1.txt"], "There are no videos in class folders"),
        (["a/1.mp4", "b/1.mp4", "b/2.mp4"], "'a' in .* has one clip"),
        (["brush_hair/1.mp4", "brush hair/1.mp4", "b/2.mp4"], "'brush hair' and 'brush_hair' in .* are one name"),
        (["train/a/1.mp4"], "no clips to evaluate on"),
        (["train/a/1.mp4", "test/b/1.mp4"], "class 'b' in .*test has no folder"),
        (["a/1.mp4", "a/2.mp4"], "Only one class, 'a', is in .*; at least 2 are needed"),
    ],
)
def test_raises_on_a_wrong_layout(made, ready, tmp_path, clips, sentence):
    made.touch(tmp_path, *clips)
    with pytest.raises(DataError, match=sentence):
        ready(FolderDataModule, tmp_path)


def test_raises_on_an_empty_class_folder_or_a_bad_share(folders, ready):
    (folders / "swim").mkdir()
    with pytest.raises(DataError, match="swim has no video"):
        ready(FolderDataModule, folders)
    (folders / "swim").rmdir()


def test_share_is_checked_where_nothing_is_held_out_too(made, ready, tmp_path):
    made.touch(tmp_path, *(f"{part}/{name}/{n}.mp4" for part in ("train", "test") for name in "ab" for n in range(2)))
    assert ready(FolderDataModule, tmp_path).num_classes == 2
    sentence = r"^--data\.test_share is 1\.5; it must be between 0 and 1\.$"
    with pytest.raises(DataError, match=sentence):
        ready(FolderDataModule, tmp_path, test_share=1.5)
    for data in (FolderDataModule(str(tmp_path), 1.5), EvaluationSuite({"a": FolderDataModule(str(tmp_path), 1.5)})):
        with pytest.raises(DataError, match=sentence):
            data.requests  # what `tcclip check` reads


def test_other_files_in_class_folders_are_one_warning(folders, ready, made):
    made.touch(folders, "dig/a.gif", "dig/b.GIF")
    scan_root(folders, refresh=True)
    sentence = r"^Files under .* are not read: 2 \.gif, 1 \.txt, such as dig/a\.gif\.$"
    with pytest.warns(UserWarning, match=sentence) as noted:
        data = ready(FolderDataModule, folders)
    assert len(noted) == 1 and len(data.datasets["train"]) + len(data.test_datasets[0]) == 20


@pytest.mark.parametrize("classes", ["dig, rake leaves ,swim", ["dig", "rake leaves", "swim"]])
def test_loose_videos_are_predicted_among_given_classes(made, ready, video_ids, tmp_path, classes):
    made.touch(tmp_path, "b.mp4", "deep/a.WEBM", "note.txt")
    data = ready(FolderDataModule, tmp_path, stage="predict", classes=classes)
    assert data.class_names == ["dig", "rake leaves", "swim"] == data.test_sets[0].class_names
    found = [record[1:] for record in data.test_datasets[0].records]
    assert found == [("b.mp4", UNLABELED), ("deep/a.WEBM", UNLABELED)]
    assert len(data.predict_dataloader()) == 1 and data.num_classes == 3
    for stage in ("fit", "test"):
        with pytest.raises(DataError, match=r"^Videos with --data\.classes have no labels; use `tcclip predict`"):
            ready(FolderDataModule, tmp_path, stage=stage, classes=classes)


@pytest.mark.parametrize("classes", ["a,,b", "a b, A_b"])
def test_raises_on_empty_or_equal_class_names(made, ready, tmp_path, classes):
    made.touch(tmp_path, "b.mp4")
    with pytest.raises(DataError, match="give different names"):
        ready(FolderDataModule, tmp_path, stage="predict", classes=classes)


def test_raises_without_a_video_to_predict(made, ready, tmp_path):
    made.touch(tmp_path, "b.txt")
    with pytest.raises(DataError, match="There is no video under"):
        ready(FolderDataModule, tmp_path, stage="predict", classes="a,b")
