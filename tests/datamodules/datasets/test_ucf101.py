"""UCF-101 from its own annotation files, in every layout."""

import shutil

import pytest

from datamodules import DataError, UCF101DataModule
from datamodules.splits.lookup import scan_root


@pytest.mark.parametrize("flat", [False, True])
def test_layouts(made, ready, clips, tmp_path, flat):
    made.ucf101(tmp_path, flat)
    data = ready(UCF101DataModule, tmp_path)
    assert data.class_names == ["Apply Eye Makeup", "Basketball Dunk", "Yo Yo"]
    assert clips(data.test_datasets[0])[2:4] == [
        ("v_BasketballDunk_g01_c01.avi", 1),
        ("v_BasketballDunk_g02_c01.avi", 1),
    ]
    assert len(data.datasets["train"]) == 3 * 4 and [entry.name for entry in data.test_sets] == ["ucf101/split1"]
    assert len(ready(UCF101DataModule, tmp_path, num_shots=2, split=2).datasets["train"]) == 3 * 2


def test_several_splits_are_tested_in_one_run(made, ready, clips, tmp_path):
    made.ucf101(tmp_path)
    data = ready(UCF101DataModule, tmp_path, "test", test_splits=[1, 2])
    assert [(entry.dataset, entry.part) for entry in data.test_sets] == [("ucf101", "split1"), ("ucf101", "split2")]
    first, second = (set(clips(dataset)) for dataset in data.test_datasets)
    assert len(data.test_dataloader()) == 2 and not first & second
    assert len(data.predict_dataloader().dataset) == 6
    with pytest.raises(DataError, match="Training clips would be tested as well"):
        ready(UCF101DataModule, tmp_path, "fit", test_splits=[1, 2])


MISTAKES = {
    ("lists/classInd.txt", "2 Basket", "3 Basket"): r"classInd\.txt, line 2: '3 BasketballDunk' is not the number 2",
    ("lists/trainlist01.txt", "c01.avi 1", "c01.avi"): r"trainlist01\.txt, line 1",
    ("lists/trainlist01.txt", "c01.avi 1", "c01.avi 2"): "which is not 'ApplyEyeMakeup' in classInd.txt",
    ("lists/trainlist01.txt", "g04_c01", "g03_c01"): "lists ApplyEyeMakeup/v_ApplyEyeMakeup_g03_c01.avi twice",
    ("lists/testlist01.txt", "ApplyEyeMakeup/v_", "v_"): (
        r"testlist01\.txt, line 1: 'v_ApplyEyeMakeup_g01_c01\.avi' is not"
    ),
    ("lists/testlist01.txt", "Makeup_g01", "Makeup_g03"): "g03_c01.avi twice",
}


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES.items())
def test_raises_on_mistakes_in_the_annotations(made, ready, replace, tmp_path, mistake, sentence):
    replace(made.ucf101(tmp_path), *mistake)
    with pytest.raises(DataError, match=sentence):
        ready(UCF101DataModule, tmp_path)


def test_raises_on_empty_or_missing_annotations(made, ready, tmp_path):
    (made.ucf101(tmp_path) / "lists" / "testlist01.txt").write_text("")
    with pytest.raises(DataError, match=r"testlist01\.txt is empty"):
        ready(UCF101DataModule, tmp_path)
    shutil.rmtree(tmp_path / "lists")
    scan_root(tmp_path, refresh=True)
    with pytest.raises(DataError, match=r"There is no classInd\.txt .*--data\.splits_dir"):
        ready(UCF101DataModule, tmp_path)


def test_raises_on_two_copies_of_an_annotation_file(made, ready, tmp_path):
    shutil.copy(made.ucf101(tmp_path) / "lists" / "classInd.txt", tmp_path)
    with pytest.raises(DataError, match=r"Both classInd\.txt and lists/classInd\.txt"):
        ready(UCF101DataModule, tmp_path)
