"""Label files and the spelling of class names."""

import doctest
import json

import pytest

from datamodules.errors import DataError
from datamodules.splits import class_names
from datamodules.splits.class_names import normalize, read_class_names, split_camel_case
from datamodules.video import frame_sampling


@pytest.fixture
def labels(tmp_path):
    def write(text, name="labels.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_csv_with_quotes_and_any_row_order(labels):
    file = labels('id,name\n1,"Bending something, so that it deforms"\n0,brush_hair\n')
    assert read_class_names(file) == ["brush hair", "Bending something, so that it deforms"]


def test_json_of_rephrased_names(labels):
    content = {"1": "a person who runs", "0": "someone brushing hair"}
    assert read_class_names(labels(json.dumps(content), "names.json")) == ["someone brushing hair", "a person who runs"]


@pytest.mark.parametrize("text", ["", "id,name\n", "number,text\n0,a\n", "id,name\na,b\n", "id,name\n0,a\n0,b\n"])
def test_raises_on_a_bad_csv(labels, text):
    with pytest.raises(DataError, match=r"labels\.csv"):
        read_class_names(labels(text))


@pytest.mark.parametrize("text", ["", "[1]", "[]", '{"a": "b"}', "{", '{"0": "a", "0": "b"}'])
def test_raises_on_a_bad_json(labels, text):
    with pytest.raises(DataError, match=r"names\.json"):
        read_class_names(labels(text, "names.json"))


def test_raises_on_gaps_repeated_and_missing_names(labels, tmp_path):
    for text, sentence in {
        "id,name\n0,a\n2,b\n": "without gaps",
        "id,name\n0,a\n1,a\n": "both named 'a'",
        "id,name\n0,a\n1,\n": "Class 1 has no name",
    }.items():
        with pytest.raises(DataError, match=sentence):
            read_class_names(labels(text))
    with pytest.raises(DataError, match=r"neither a \.csv nor a \.json"):
        read_class_names(tmp_path / "names.yaml")
    with pytest.raises(DataError, match=r"gone\.csv"):
        read_class_names(tmp_path / "gone.csv")


CAMEL_CASE = {
    "ApplyEyeMakeup": "Apply Eye Makeup",
    "YoYo": "Yo Yo",
    "HandstandPushups": "Handstand Pushups",
    "A person's yo-yo": "A person's yo-yo",
}


@pytest.mark.parametrize(("name", "words"), CAMEL_CASE.items())
def test_camel_case(name, words):
    assert split_camel_case(name) == words


def test_normalize_ignores_spelling():
    assert normalize("Brush_Hair") == normalize("brush hair") == normalize("BrushHair")
    assert normalize("kick") != normalize("kick ball")


@pytest.mark.parametrize("module", [class_names, frame_sampling])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0
