"""Answers of `tcclip recognize` as a list to train on: by name, without what is unknown, and nothing else."""

import pytest

from datamodules.errors import DataError
from datamodules.splits.answers import read_answers

HEADER = "video,answer,rank,label,probability,error\n"
CLASSES = ["wave", "brush hair"]


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "answers.csv").write_text(content)
        return read_answers(tmp_path / "answers.csv", CLASSES)

    return read


def test_the_best_label_counts_by_its_name(read):
    rows = 'a b.mp4,brush_hair,1,brush_hair,0.6,\na b.mp4,brush_hair,2,wave,0.4,\n"x/b,c.mp4",wave,1,wave,0.9,\n'
    split = read(HEADER + rows)
    assert [(entry.name, entry.label) for entry in split.entries] == [("a b.mp4", 1), ("x/b,c.mp4", 0)]


def test_unknown_and_unreadable_clips_are_not_trained_on(read):
    rows = "a.mp4,unknown,1,wave,0.1,\nb.mp4,,,,,cannot be decoded\nc.mp4,wave,1,wave,0.9,\n"
    with pytest.warns(UserWarning, match=r"answers\.csv has no label for 2 videos; they are not trained on"):
        assert [entry.name for entry in read(HEADER + rows).entries] == ["c.mp4"]


@pytest.mark.parametrize(
    "content, message",
    [
        ("path,label\na.mp4,0\n", "answers.csv is not what `tcclip recognize --format csv` writes for whole videos"),
        ("video,start,end,answer,rank,label\na,0,1,wave,1,wave\n", "writes for whole videos"),
        (f"{HEADER}a,golf,1,golf,0.9,\n", "answers 'golf', which is not one of the 2 classes, such as 'wave'"),
        (f"{HEADER}a,unknown,1,wave,0.1,\n", "has no answer that is not unknown; lower --unknown_threshold"),
        (f"{HEADER}a,wave,1,wave,0.9,\na,wave,1,wave,0.9,\n", "answers.csv lists a twice"),
    ],
)
def test_other_files_are_refused(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read the answers .*none\.csv"):
        read_answers(tmp_path / "none.csv", CLASSES)
