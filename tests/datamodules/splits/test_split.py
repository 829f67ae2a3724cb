"""Annotations become splits, and splits and test sets say what they are."""

import hashlib

import pytest

from datamodules.errors import DataError
from datamodules.splits.list_files import read_list_file
from datamodules.splits.split import UNLABELED, Annotations, EvaluationSet
from datamodules.video.batch import PADDING_LABEL


def test_annotated_classes_become_labels(tmp_path):
    clips = {"train": [("a.avi", "brush_hair"), ("b.avi", "Run")], "test": [("c.avi", "run")]}
    annotations = Annotations(clips, (tmp_path / "x",))
    assert annotations.split("train", ["run", "brush hair"]).entries == [("a.avi", 1), ("b.avi", 0)]
    with pytest.raises(DataError, match="'Run'"):
        annotations.split("train", ["brush hair", "jump"])


def test_annotations_of_some_classes_keep_the_order(tmp_path):
    clips = {"train": [("a.avi", "walk"), ("b.avi", "Run"), ("c.avi", "hug")], "test": [("d.avi", "hug")]}
    some = Annotations(clips, (tmp_path / "x",), ("walk", "Run", "hug")).only(["run", "WALK"])
    assert some.classes() == ["walk", "Run"]
    assert some.clips == {"train": [("a.avi", "walk"), ("b.avi", "Run")], "test": []}


def test_summary_has_the_hash_of_the_file(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("a.avi 0\n")
    summary = read_list_file(file).summary()
    assert summary == {"files": ["list.txt"], "sha256": hashlib.sha256(b"a.avi 0\n").hexdigest(), "num_clips": 1}


def test_summary_of_class_folders_depends_on_the_clips(tmp_path, split_of):
    first, second = (type(s)(s.entries, (tmp_path,)) for s in (split_of([("a", 0)]), split_of([("b", 0)])))
    assert first.summary()["sha256"] != second.summary()["sha256"]


def test_evaluation_set_is_named_after_dataset_and_part():
    assert EvaluationSet("hmdb51", "split1", ["run"]).name == "hmdb51/split1"


def test_raises_on_classes_that_differ_only_in_spelling(tmp_path):
    with pytest.raises(DataError, match="'brush_hair' differs from another one only in spelling"):
        Annotations({"train": []}, (tmp_path / "x",)).split("train", ["run", "brush_hair", "brush hair"])


def test_clips_of_unknown_class_are_not_left_out_as_padding():
    assert UNLABELED < 0 and UNLABELED != PADDING_LABEL
