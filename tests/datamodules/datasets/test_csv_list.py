"""Your own videos in list files."""

import pytest

from datamodules import CSVDataModule, DataError


@pytest.fixture
def lists(made, tmp_path):
    made.touch(tmp_path / "clips", *(f"{name}_{n}.avi" for name in ("x", "y") for n in range(10)))
    rows = "".join(f'"sub, dir/y_{n}.avi",1\nx_{n}.avi,0\n' for n in range(4))
    files = {
        "labels.csv": made.labels("xylophone", "yo-yo"),
        "all.txt": made.listed(x=10, y=10),
        "test.csv": "path,label\n" + rows,
        "train.txt": "".join(f"x_{n}.avi 0\ny_{n}.avi 1\n" for n in range(4, 10)),
    }
    return made.write(tmp_path, files)


@pytest.fixture
def csv_module(lists, ready):
    """Sets up a data module with the lists of some names."""

    def build(train=None, test=None, stage=None, **settings):
        train, test = (name and str(lists / name) for name in (train, test))
        labels = str(lists / "labels.csv")
        return ready(CSVDataModule, lists / "clips", stage, labels=labels, train_list=train, test_list=test, **settings)

    return build


def test_text_and_csv_lists(csv_module):
    data = csv_module("train.txt", "test.csv")
    assert data.class_names == ["xylophone", "yo-yo"] and data.test_sets[0].name == "csv/split1"
    assert len(data.datasets["train"]) == 2 * 6
    assert [(r.video_id, r.label) for r in data.test_datasets[0].records][:2] == [("y_0.avi", 1), ("x_0.avi", 0)]
    assert len(csv_module("train.txt", "test.csv", num_shots=2).datasets["train"]) == 2 * 2


def test_one_list_is_enough(csv_module):
    data = csv_module("all.txt", test_share=0.3)
    assert len(data.datasets["train"]) == 2 * 7 and len(data.test_datasets[0]) == 2 * 3
    assert len(csv_module(test="test.csv", stage="test").test_datasets[0]) == 8
    with pytest.raises(DataError, match="2 of the 2 classes have no training clip"):
        csv_module(test="test.csv", stage="fit")


MISTAKES = {
    "x_0.avi,0\n": "needs a header",
    "path,label\nx_4.avi,0\ny_0.avi,1\n": r"lists x_4\.avi twice",  # a training clip
    "path,label\nx_0.avi,2\n": r"x_0\.avi the label 2, but there are only 2 classes",
}


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.items())
def test_raises_on_mistakes_in_the_lists(lists, csv_module, text, sentence):
    (lists / "test.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        csv_module("train.txt", "test.csv")


def test_raises_on_missing_lists_and_on_names_that_look_alike(lists, csv_module):
    with pytest.raises(DataError, match="There is no list of clips"):
        csv_module()
    with pytest.raises(DataError, match=r"gone\.csv"):
        csv_module("gone.csv")
    (lists / "labels.csv").write_text("id,name\n0,C\n1,C++\n")
    with pytest.raises(DataError, match="'C' differs from another one only in spelling"):
        csv_module("train.txt")
