"""Which file describes which classes, and what is said of files that do not."""

import json

import pytest

from tc_clip_pl.baselines.ost.descriptors import class_texts, find_phrases

FIND = "spatial_descriptors"


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return str(tmp_path / name)

    return write


@pytest.fixture
def named(write):
    return write("named.json", {"Brush_Hair": ["comb", "mirror"], "cartwheel": ["mat", "hands"], "golf": ["a", "b"]})


def numbered(*phrases):
    return {str(number): [phrase] for number, phrase in enumerate(phrases)}


def test_names_are_found_in_any_order_and_spelling(named):
    assert find_phrases(["cartwheel", "brush hair"], named, FIND) == [["mat", "hands"], ["comb", "mirror"]]


def test_numbers_are_the_order_of_the_classes(write):
    ten = {str(number): [f"phrase {number}"] for number in reversed(range(11))}
    assert find_phrases([f"class {n}" for n in range(11)], [write("n.json", ten)], FIND)[2:] == [
        [f"phrase {n}"] for n in range(2, 11)
    ]


def test_the_first_file_with_all_classes_serves_a_list(named, write):
    other = write("other.json", {"cartwheel": ["x", "y"], "swim": ["water", "pool"]})
    few = write("few.json", numbered("first", "second", "third"))
    files = [few, named, other]
    assert find_phrases(["swim", "cartwheel"], files, FIND) == [["water", "pool"], ["x", "y"]]
    assert find_phrases(["golf", "cartwheel"], files, FIND) == [["a", "b"], ["mat", "hands"]]
    assert find_phrases(["run", "walk", "jump"], files, FIND) == [["first"], ["second"], ["third"]]


def test_a_list_of_names_tells_numbered_files_apart(write):
    labels = [write(f"{name}.csv", f"id,name\n1,{name}\n0,swim\n") for name in ("run", "walk")]
    files = [write(f"{name}.json", numbered("water", f"legs that {name}")) for name in ("run", "walk")]
    with pytest.raises(ValueError, match=r"Both .*run.json and .*walk.json number 2 classes.*LABELS.csv=FILE"):
        find_phrases(["walk", "swim"], files, FIND)
    pairs = [f"{names}={file}" for names, file in zip(labels, files, strict=True)]
    assert find_phrases(["walk", "swim"], pairs, FIND) == [["legs that walk"], ["water"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"golf": []}, "named.json has no phrases for the class 'golf'"),
        ({"golf": ["a"], "run": ["b", "c"]}, "has 2 phrases for the class 'run' and 1 for 'golf'"),
        ({"swim": ["a"]}, "phrases for all of these 2 classes, 'golf' and so on.*numbers 0 to 1 as keys"),
        (numbered("a", "b", "c"), "phrases for all of these 2 classes"),
        ("{", "named.json is not valid JSON"),
        ("[]", "named.json is no JSON object"),
        ({"golf": "a"}, "no list of texts under 'golf'"),
        ({"golf": [1]}, "no list of texts under 'golf'"),
        ('{"golf": [], "golf": []}', "has the key 'golf' twice"),
    ],
)
def test_mistakes_in_files(write, content, message):
    names = ["golf"] if isinstance(content, dict) and content == {"golf": []} else ["golf", "run"]
    with pytest.raises(ValueError, match=message):
        find_phrases(names, write("named.json", content), FIND)


def test_files_that_are_missing(write, tmp_path):
    for files in (None, []):
        with pytest.raises(ValueError, match=r"set model.options.spatial_descriptors to a JSON file"):
            find_phrases(["golf"], files, FIND)
    with pytest.raises(FileNotFoundError, match=r"no phrase file .*none.json"):
        find_phrases(["golf"], str(tmp_path / "none.json"), FIND)
    file = write("one.json", numbered("a"))
    with pytest.raises(FileNotFoundError, match=r"no list of class names .*none.csv"):
        find_phrases(["golf"], f"{tmp_path}/none.csv={file}", FIND)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("name\ngolf\n", "is no list of class names"),
        ("id,name\n1,golf\n", r"The ids in .*labels.csv are not 0, 1, 2"),
        ("id,name\n0,golf\n1,run\n", "are not the numbers 0 to 1 of the classes in"),
    ],
)
def test_mistakes_in_lists_of_names(write, labels, message):
    with pytest.raises(ValueError, match=message):
        find_phrases(["golf"], f"{write('labels.csv', labels)}={write('one.json', numbered('a'))}", FIND)


def test_both_kinds_have_as_many_phrases(named, write):
    with pytest.raises(ValueError, match="The classes have 2 spatial and 1 temporal phrases"):
        class_texts(["golf"], named, write("one.json", numbered("a")))
    with pytest.raises(ValueError, match="The list of class names is empty"):
        class_texts([], named, named)
