"""UCF-101, SSv2 and Kinetics from their own annotation files, in every layout."""

import shutil

import pytest

from datamodules import (
    DataError,
    Kinetics400DataModule,
    Kinetics600DataModule,
    SSv2DataModule,
    UCF101DataModule,
)
from datamodules.splits.lookup import scan_root


def ready(kind, root, stage=None, **settings):
    data = kind(str(root), **settings)
    data.setup(stage)
    return data


def clips(dataset):
    return [(record.video_id.rpartition("/")[2], record.label) for record in dataset.records]


@pytest.mark.parametrize("flat", [False, True])
def test_ucf101(made, tmp_path, flat):
    made.ucf101(tmp_path, flat)
    data = ready(UCF101DataModule, tmp_path)
    assert data.class_names == ["Apply Eye Makeup", "Basketball Dunk", "Yo Yo"]
    assert clips(data.test_datasets[0])[2:4] == [
        ("v_BasketballDunk_g01_c01.avi", 1),
        ("v_BasketballDunk_g02_c01.avi", 1),
    ]
    assert len(data.datasets["train"]) == 3 * 4 and [entry.name for entry in data.test_sets] == ["ucf101/split1"]
    assert len(ready(UCF101DataModule, tmp_path, num_shots=2, split=2).datasets["train"]) == 3 * 2


def test_test_splits_are_tested_in_one_run(made, tmp_path):
    made.ucf101(tmp_path)
    data = ready(UCF101DataModule, tmp_path, "test", test_splits=[1, 2])
    assert [entry.name for entry in data.test_sets] == ["ucf101/split1", "ucf101/split2"]
    assert len(data.test_dataloader()) == 2 and not set(clips(data.test_datasets[0])) & set(
        clips(data.test_datasets[1])
    )
    assert len(data.predict_dataloader().dataset) == 6
    with pytest.raises(DataError, match="trained on would be tested"):
        ready(UCF101DataModule, tmp_path, "fit", test_splits=[1, 2])


@pytest.mark.parametrize(("prefix", "folder"), [("something-something-v2-", ""), ("", "20bn/videos/")])
def test_ssv2(made, tmp_path, prefix, folder):
    data = ready(SSv2DataModule, made.ssv2(tmp_path, prefix, folder))
    assert data.class_names == [
        "Pushing something from left to right",
        "Holding something",
        "Tearing something into two pieces",
    ]  # in the order of labels.json, not of the alphabet
    assert clips(data.test_datasets[0])[:2] == [("200.webm", 2), ("201.webm", 0)]
    assert len(data.datasets["train"]) == 12 and data.test_sets[0].name == "ssv2/validation"
    assert not data.horizontal_flip


@pytest.mark.parametrize("folders", [False, True])
def test_kinetics(made, tmp_path, folders):
    data = ready(Kinetics400DataModule, made.kinetics(tmp_path, folders))
    assert data.class_names == ["abseiling", "massaging person's head", "yoga", "zumba"]
    assert clips(data.test_datasets[0])[2:4] == [
        ("-va_10abcdef_000000_000010.mp4", 1),
        ("-va_11abcdef_000007_000017.mp4", 1),
    ]
    assert len(data.datasets["train"]) == 4 * 5 and data.test_sets[0].name == "kinetics400/validation"
    assert len(ready(Kinetics600DataModule, tmp_path, num_shots=2).datasets["train"]) == 4 * 2


def test_replacements_take_the_place_of_broken_clips(made, tmp_path):
    clip = "-tr_00abcdef_000000_000010.mp4"
    made.touch(made.kinetics(tmp_path), f"replacement/replacement_for_corrupted_k400/{clip}")
    record = ready(Kinetics400DataModule, tmp_path).datasets["train"].records[0]
    assert record.video_id == f"replacement/replacement_for_corrupted_k400/{clip}"


def test_clips_that_are_gone_are_left_out_if_asked(made, tmp_path):
    shutil.rmtree(made.kinetics(tmp_path) / "val")
    made.touch(tmp_path, "val/-va_00abcdef_000000_000010.mp4")
    with pytest.raises(DataError, match=r"7 of the 8 clips .*on_bad_video skip"):
        ready(Kinetics400DataModule, tmp_path)
    with pytest.warns(UserWarning, match="7 of the 8 clips .* left out"):
        data = ready(Kinetics400DataModule, tmp_path, on_bad_video="skip")
    assert len(data.test_datasets[0]) == 1
    (tmp_path / "val" / "-va_00abcdef_000000_000010.mp4").unlink()
    with pytest.raises(DataError, match="8 of the 8"):
        ready(Kinetics400DataModule, tmp_path, on_bad_video="skip")


def replace(root, file, old, new):
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))


UCF_FAULTS = {
    ("lists/classInd.txt", "2 Basket", "3 Basket"): r"classInd\.txt, line 2: '3 BasketballDunk' is not the number 2",
    ("lists/trainlist01.txt", "c01.avi 1", "c01.avi"): r"trainlist01\.txt, line 1",
    ("lists/trainlist01.txt", "c01.avi 1", "c01.avi 2"): "which classInd.txt does not give to 'ApplyEyeMakeup'",
    ("lists/trainlist01.txt", "g04_c01", "g03_c01"): "lists ApplyEyeMakeup/v_ApplyEyeMakeup_g03_c01.avi twice",
    (
        "lists/testlist01.txt",
        "ApplyEyeMakeup/v_",
        "v_",
    ): r"testlist01\.txt, line 1: 'v_ApplyEyeMakeup_g01_c01\.avi' is not",
    ("lists/testlist01.txt", "Makeup_g01", "Makeup_g03"): "g03_c01.avi twice",
}


@pytest.mark.parametrize(("fault", "words"), UCF_FAULTS.items())
def test_faults_in_ucf101(made, tmp_path, fault, words):
    replace(made.ucf101(tmp_path), *fault)
    with pytest.raises(DataError, match=words):
        ready(UCF101DataModule, tmp_path)


SSV2_FAULTS = {
    ("train.json", '"id": "101"', '"id": "100"'): r"train\.json lists 100\.webm twice",
    ("validation.json", '"id": "200"', '"id": "100"'): r"validation\.json lists 100\.webm twice",
    (
        "train.json",
        '"template": "Holding',
        '"templat": "Holding',
    ): r"train\.json, entry 1: .* lacks an `id` or a `template`",
    ("train.json", "Holding [s", "Folding [s"): r"entry 1: the template 'Folding \[something\]' is not in labels\.json",
    ("train.json", "[{", "{"): r"train\.json cannot be read",
    ("labels.json", '"2"', '"3"'): "are not 0, 1, 2",
}


@pytest.mark.parametrize(("fault", "words"), SSV2_FAULTS.items())
def test_faults_in_ssv2(made, tmp_path, fault, words):
    replace(made.ssv2(tmp_path, prefix=""), *fault)
    with pytest.raises(DataError, match=words):
        ready(SSv2DataModule, tmp_path)


KINETICS_FAULTS = {
    ("train.csv", "abcdef,7,17", "abcdef,x,17"): r"train\.csv, line 3: not a line `label,youtube_id",
    ("train.csv", "abcdef,7,17,train", "abcdef"): r"train\.csv, line 3",
    ("train.csv", "abseiling,-tr_01", ",-tr_01"): r"train\.csv, line 3: .*a column is empty",
    (
        "train.csv",
        "-tr_01abcdef,7,17",
        "-tr_00abcdef,0,10",
    ): r"-tr_00abcdef_000000_000010\.mp4 is in .*train\.csv and again",
}


@pytest.mark.parametrize(("fault", "words"), KINETICS_FAULTS.items())
def test_faults_in_kinetics(made, tmp_path, fault, words):
    replace(made.kinetics(tmp_path), *fault)
    with pytest.raises(DataError, match=words):
        ready(Kinetics400DataModule, tmp_path)


def test_empty_and_missing_annotation_files(made, tmp_path):
    ucf, ssv2, k400 = (make(tmp_path / make.__name__) for make in (made.ucf101, made.ssv2, made.kinetics))
    (ucf / "lists" / "testlist01.txt").write_text("")
    (ssv2 / "something-something-v2-validation.json").write_text("[]")
    (k400 / "validate.csv").write_text("label,youtube_id,time_start,time_end,split\n")
    for kind, root, file in (
        (UCF101DataModule, ucf, "testlist01.txt"),
        (SSv2DataModule, ssv2, "something-something-v2-validation.json"),
        (Kinetics400DataModule, k400, "validate.csv"),
    ):
        with pytest.raises(DataError, match=f"{file} (is empty|holds no list)"):
            ready(kind, root)
        for annotation in [*root.rglob("*.csv"), *root.rglob("*.txt"), *root.rglob("*.json")]:
            annotation.unlink()
        scan_root(root, refresh=True)
        with pytest.raises(DataError, match=r"There is no .*--data\.splits_dir"):
            ready(kind, root)


def test_annotations_that_are_there_twice_are_named(made, tmp_path):
    shutil.copy(made.ucf101(tmp_path) / "lists" / "classInd.txt", tmp_path)
    with pytest.raises(DataError, match=r"Both classInd\.txt and lists/classInd\.txt"):
        ready(UCF101DataModule, tmp_path)
