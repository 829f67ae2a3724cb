"""Class names from text or a file."""

import pytest

from datamodules.errors import DataError
from tc_clip_pl.inference.labels import read_labels


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "\ufeffbrush hair\n\n  ride   bike \n"),
        ("a.csv", "id,name\n1,ride bike\n0,brush_hair\n"),
        ("a.json", '["brush hair", "ride bike"]'),
        ("a.json", '{"1": "ride bike", "0": "brush_hair"}'),
    ],
)
def test_files(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert read_labels(str(tmp_path / name)) == ["brush hair", "ride bike"]


def test_text():
    assert read_labels(" brush hair,ride bike, ") == ["brush hair", "ride bike"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Give two labels or more to choose from; there is none."),
        ("run", "Give two labels or more to choose from; the only one is 'run'."),
        ("run, walk,run", "The label 'run' is given 2 times; give it once."),
        ("no.txt", r"Cannot read the labels no\.txt"),
        ("no.csv", r"Cannot read the label file no\.csv"),
        ("no.json", r"Cannot read the label file no\.json"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        read_labels(text)
