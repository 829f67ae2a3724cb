"""List files, K-shot draws, and what is said of bad ones."""

import hashlib

import pytest

from datamodules.errors import DataError
from datamodules.splits.records import find_records
from datamodules.splits.split import Annotations, Entry, Split, check_labels, draw_shots, read_list_file


@pytest.fixture
def listed(tmp_path):
    def write(text):
        file = tmp_path / "list.txt"
        file.write_bytes(text.encode())
        return file

    return write


def split_of(entries, tmp_path):
    return Split([Entry(*entry) for entry in entries], (tmp_path / "list.txt",))


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_list_splits_at_the_last_blank(listed, line_end):
    file = listed(line_end.join(["a b  c.avi 3", "", "train/x_[1] (2).mp4 0", "tab.avi\t12", ""]))
    assert read_list_file(file).entries == [("a b  c.avi", 3), ("train/x_[1] (2).mp4", 0), ("tab.avi", 12)]


@pytest.mark.parametrize("line", ["nolabel.avi", "a.avi -1", "a.avi one", "a.avi 1.5", "a.avi ²", "7"])
def test_raises_on_a_malformed_line(listed, line):
    with pytest.raises(DataError) as error:
        read_list_file(listed(f"good.avi 0\n{line}\n"))
    assert "list.txt, line 2" in str(error.value) and line in str(error.value)


def test_raises_on_an_empty_missing_or_repeated_list(listed, tmp_path):
    with pytest.raises(DataError, match="is empty"):
        read_list_file(listed("\n\n"))
    with pytest.raises(DataError, match=r"gone\.txt"):
        read_list_file(tmp_path / "gone.txt")
    with pytest.raises(DataError, match=r"lists a\.avi twice"):
        read_list_file(listed("a.avi 0\na.avi 1\n"))


def test_raises_on_a_binary_list(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="cannot be read"):
        read_list_file(tmp_path / "list.txt")


def test_draw_matches_plain_loop(tmp_path):
    split = split_of([(f"class{label}/v_{n}.avi", label) for label in range(3) for n in range(9)], tmp_path)
    drawn = draw_shots(split, 4, seed=5, class_names=["a", "b", "c"]).entries
    expected = []
    for label in range(3):
        names = [entry.name for entry in split.entries if entry.label == label]
        names.sort(key=lambda name: hashlib.sha256(f"5/{name.split('/')[-1]}".encode()).hexdigest())
        expected += [(name, label) for name in names[:4]]
    assert drawn == expected


def test_draws_are_nested_and_know_no_layout(tmp_path):
    flat = split_of([(f"v_{n}.avi", n % 2) for n in range(40)], tmp_path)
    nested = split_of([(f"some/where/v_{n}.avi", n % 2) for n in reversed(range(40))], tmp_path)
    names = {shots: {e.name for e in draw_shots(flat, shots, 0, "ab").entries} for shots in (1, 2, 4, 8, 16)}
    assert names[1] < names[2] < names[4] < names[8] < names[16] and len(names[16]) == 32
    assert {e.name.split("/")[-1] for e in draw_shots(nested, 4, 0, "ab").entries} == names[4]
    assert {e.name for e in draw_shots(flat, 4, 1, "ab").entries} != names[4]


def test_raises_on_more_shots_than_clips(tmp_path):
    split = split_of([("a.avi", 0), ("b.avi", 0), ("c.avi", 1)], tmp_path)
    with pytest.raises(DataError, match=r"'walk' has 1 training clips.*num_shots to 1"):
        draw_shots(split, 2, 0, ["run", "walk"])


def test_raises_on_a_label_outside_the_classes(tmp_path):
    with pytest.raises(DataError, match=r"b\.avi the label 2, but there are only 2 classes"):
        check_labels(split_of([("a.avi", 1), ("b.avi", 2)], tmp_path), ["x", "y"])


def test_annotated_classes_become_labels(tmp_path):
    clips = {"train": [("a.avi", "brush_hair"), ("b.avi", "Run")], "test": [("c.avi", "run")]}
    annotations = Annotations(clips, (tmp_path / "x",))
    assert annotations.split("train", ["run", "brush hair"]).entries == [("a.avi", 1), ("b.avi", 0)]
    with pytest.raises(DataError, match="'Run'"):
        annotations.split("train", ["brush hair", "jump"])


def test_missing_clips_are_counted_and_five_named(tmp_path):
    (tmp_path / "here.avi").touch()
    split = split_of([("here.avi", 0), *((f"gone{n}.avi", 0) for n in range(7))], tmp_path)
    with pytest.raises(DataError) as error:
        find_records(split, tmp_path)
    assert "7 of the 8 clips" in str(error.value)
    assert "gone4.avi" in str(error.value) and "gone5.avi" not in str(error.value)


def test_clips_added_after_a_failure_are_found(tmp_path):
    (tmp_path / "here.avi").touch()
    split = split_of([("late.avi", 3)], tmp_path)
    with pytest.raises(DataError):
        find_records(split, tmp_path)
    (tmp_path / "late.avi").touch()
    assert find_records(split, tmp_path) == [(str(tmp_path / "late.avi"), "late.avi", 3)]


def test_summary_has_the_hash_of_the_file(listed):
    file = listed("a.avi 0\n")
    summary = read_list_file(file).summary()
    assert summary == {"files": ["list.txt"], "sha256": hashlib.sha256(b"a.avi 0\n").hexdigest(), "num_clips": 1}
