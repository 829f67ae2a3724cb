"""Labels, class names and class folders that do not belong together are refused."""

from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.splits.split import VideoRecord
from datamodules.splits.validation import (
    check_classes_in_use,
    check_every_class_trains,
    check_folders,
    check_labels,
    check_order,
    find_misplaced,
)


def test_raises_on_a_label_outside_the_classes(split_of):
    check_labels(split_of([("a.avi", 1)]), ["x", "y"])
    with pytest.raises(DataError, match=r"b\.avi the label 2, but there are only 2 classes"):
        check_labels(split_of([("a.avi", 1), ("b.avi", 2)]), ["x", "y"])


def test_every_class_needs_training_clips(split_of):
    split = split_of([("a.avi", 0), ("b.avi", 0), ("c.avi", 1)])
    check_every_class_trains(split, ["x", "y"])
    with pytest.raises(DataError, match=r"1 of the 3 classes have no training clip in list\.txt: 'z'; use"):
        check_every_class_trains(split, ["x", "y", "z"])
    with pytest.raises(DataError, match=r"'x' has 2 clips in list\.txt, not the 1 shots"):
        check_every_class_trains(split, ["x", "y"], num_shots=1)


@pytest.mark.parametrize(("num_empty", "named"), [(5, "'3', '4'; use"), (6, r"'3', '4', \.\.\.; use")])
def test_names_five_classes_without_clips(split_of, num_empty, named):
    with pytest.raises(DataError, match=named):
        check_every_class_trains(split_of([("a.avi", num_empty)]), [*map(str, range(num_empty)), "full"])


def test_a_list_of_a_half_is_not_read_with_all_labels(split_of):
    half = split_of([("a.avi", 0), ("b.avi", 1)])
    check_classes_in_use(half, ["x", "y"])
    check_classes_in_use(split_of([("a.avi", 0), ("b.avi", 2)]), ["x", "y", "z", "u"])  # classes without test clips
    with pytest.raises(DataError, match="classes 0 to 1, but there are 3 class names"):
        check_classes_in_use(half, ["x", "y", "z"])
    with pytest.raises(DataError, match="no clip to evaluate on"):
        check_classes_in_use(split_of([]), ["x"])


def test_label_files_keep_the_label_order():
    file = Path("names.json")
    check_order(["a person runs", "Brush_Hair"], ["run", "brush hair"], file)
    with pytest.raises(DataError, match="class 0 is 'walk' there, but 'run' in the dataset"):
        check_order(["walk", "run"], ["run", "walk"], file)
    with pytest.raises(DataError, match="names 1 classes, but the dataset has 2"):
        check_order(["run"], ["run", "walk"], file)


def record(video_id, label):
    return VideoRecord(f"/root/{video_id}", video_id, label)


def test_clips_in_the_folders_of_other_classes():
    records = [record("run/0.avi", 0), record("deep/Run/1.avi", 1), record("walk/2.avi", 1), record("3.avi", 0)]
    names = ["run", "walk"]
    assert find_misplaced(records, names) == ([records[1]], 3)
    check_folders(records, names, Path("list.txt"))  # a few relabeled clips are no mistake
    check_folders([records[1], records[2]], names, Path("list.txt"))  # nor is half of them
    with pytest.raises(DataError, match=r"Run/1\.avi the label 1, which is 'walk', and 2 of 2 clips"):
        check_folders([records[1], record("walk/4.avi", 0)], names, Path("list.txt"))
