"""Splits and class names come from published files, or from the dataset's own annotations."""

import json
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.splits.class_names import split_underscores
from datamodules.splits.published import PublishedFiles
from datamodules.splits.source import ListReader, SplitSource
from datamodules.splits.split import Annotations, Entry, Split

PUBLISHED = PublishedFiles(
    "labels/l.csv", "lists/train{split}.txt", "lists/train{split}_few_shot_{num_shots}.txt", "lists/val{split}.txt"
)


def own_annotations(index, split):
    clips = [(f"{name}{n}.avi", name) for name in ("brush_hair", "run") for n in range(5)]
    return Annotations({"train": clips, "test": clips[:1] + clips[-1:]}, (Path(__file__),))


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    contents = {
        "labels/l.csv": "id,name\n0,run\n1,brush hair\n",
        "lists/train1_few_shot_2.txt": "run0.avi 0\nrun1.avi 0\nbrush_hair0.avi 1\nbrush_hair1.avi 1\n",
        "lists/train1_few_shot_16.txt": "run0.avi 0\n",
        "lists/val1.txt": "run4.avi 0\n",
    }
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def source(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.avi").touch()

    def make(splits_dir=None, label_file=None, split=1):
        return SplitSource(
            PUBLISHED, own_annotations, split_underscores, tmp_path / "root", splits_dir, label_file, split
        )

    return make


def write_names(folder, *names):
    file = folder / "names.json"
    file.write_text(json.dumps(dict(enumerate(names))))
    return file


def test_own_annotations_without_splits_dir(source):
    found = source()
    assert found.class_names == ["brush hair", "run"]
    assert len(found.training_split(None, 0).entries) == 10
    assert found.test_split().entries == [("brush_hair0.avi", 0), ("run4.avi", 1)]
    drawn = found.training_split(3, 0).entries
    assert [entry.label for entry in drawn] == [0, 0, 0, 1, 1, 1]


def test_published_lists(source, published):
    found = source(published)
    assert found.class_names == ["run", "brush hair"]
    assert found.training_split(2, 0).entries[2] == ("brush_hair0.avi", 1)
    assert found.test_split().entries == [("run4.avi", 0)]


def test_whole_training_split_falls_back_to_annotations_with_published_labels(source, published):
    assert source(published).training_split(None, 0).entries[0] == ("brush_hair0.avi", 1)
    (published / "lists" / "train1.txt").write_text("run3.avi 0\nbrush_hair3.avi 1\n")
    assert source(published).training_split(None, 0).entries == [("run3.avi", 0), ("brush_hair3.avi", 1)]


def test_an_error_about_missing_lists_names_those_that_exist(source, published):
    with pytest.raises(DataError, match=r"\(train1_few_shot_2\.txt, train1_few_shot_16\.txt\), or, if --data"):
        source(published).training_split(5, 0)
    with pytest.raises(DataError, match=r"val1\.txt"):
        source(published, split=7).test_split()
    with pytest.raises(DataError, match="does not exist"):
        source(published / "gone").class_names


def test_label_file_rephrases_the_names(source, published, tmp_path):
    names = write_names(tmp_path, "a person who runs", "somebody brushing hair")
    assert source(published, names).class_names == ["a person who runs", "somebody brushing hair"]
    assert source(published, names).training_split(2, 0).entries[0].label == 0


def test_label_file_sets_the_order_of_own_annotations(source, tmp_path):
    found = source(label_file=write_names(tmp_path, "run", "brush_hair"))
    assert found.class_names == ["run", "brush hair"]
    assert found.test_split().entries == [("brush_hair0.avi", 1), ("run4.avi", 0)]


def test_raises_on_a_label_file_of_another_order_or_length(source, published, tmp_path):
    with pytest.raises(DataError, match="another order"):
        source(published, write_names(tmp_path, "brush hair", "run")).class_names
    with pytest.raises(DataError, match="names 3 classes"):
        source(published, write_names(tmp_path, "a", "b", "c")).class_names


def test_label_file_of_all_classes_serves_a_part_of_them(source, published, tmp_path):
    found = source(published, write_names(tmp_path, "hugging", "running", "brushing"))
    found.read_whole_names = lambda: ["hug", "run", "brush hair"]
    assert found.class_names == ["running", "brushing"]
    found = source(published, write_names(tmp_path, "hugging", "brushing", "waving"))
    found.read_whole_names = lambda: ["hug", "brush hair", "wave"]
    with pytest.raises(DataError, match="The class 'run' is not among the 3 of the dataset"):
        found.class_names


def test_raises_on_a_label_outside_the_label_file(source, published):
    (published / "lists" / "val1.txt").write_text("run4.avi 2\n")
    with pytest.raises(DataError, match=r"run4\.avi the label 2"):
        source(published).test_split()


def test_another_reader_replaces_the_strict_one(source, published):
    (published / "lists" / "val1.txt").write_text("run4.avi 2\n")
    seen = []

    def read(file):
        seen.append(file.name)
        return Split([Entry("run4.avi", 5)], (file,))

    reader = ListReader(read, lambda split, names: seen.append((split.entries[0].label, names)))
    assert source(published).test_split(reader).entries == [("run4.avi", 5)]
    assert seen == ["val1.txt", (5, ["run", "brush hair"])]
