"""Kinetics from its own annotation files, in every layout."""

import shutil

import pytest

from datamodules import DataError, Kinetics400DataModule, Kinetics600DataModule
from datamodules.splits.lookup import scan_root


@pytest.mark.parametrize("folders", [False, True])
def test_layouts(made, ready, clips, tmp_path, folders):
    data = ready(Kinetics400DataModule, made.kinetics(tmp_path, folders))
    assert data.class_names == ["abseiling", "massaging person's head", "yoga", "zumba"]
    assert clips(data.test_datasets[0])[2:4] == [
        ("-va_10abcdef_000000_000010.mp4", 1),
        ("-va_11abcdef_000007_000017.mp4", 1),
    ]
    assert len(data.datasets["train"]) == 4 * 5 and data.test_sets[0].name == "kinetics400/validation"
    assert len(ready(Kinetics600DataModule, tmp_path, num_shots=2).datasets["train"]) == 4 * 2


def test_replacements_are_used_instead_of_broken_clips(made, ready, tmp_path):
    clip = "-tr_00abcdef_000000_000010.mp4"
    made.touch(made.kinetics(tmp_path), f"replacement/replacement_for_corrupted_k400/{clip}")
    record = ready(Kinetics400DataModule, tmp_path).datasets["train"].records[0]
    assert record.video_id == f"replacement/replacement_for_corrupted_k400/{clip}"


def test_missing_clips_are_skipped_if_asked(made, ready, tmp_path):
    shutil.rmtree(made.kinetics(tmp_path) / "val")
    made.touch(tmp_path, "val/-va_00abcdef_000000_000010.mp4")
    with pytest.raises(DataError, match=r"7 of the 8 clips .*on_bad_video skip"):
        ready(Kinetics400DataModule, tmp_path)
    with pytest.warns(UserWarning, match="7 of the 8 clips .* skipped"):
        data = ready(Kinetics400DataModule, tmp_path, on_bad_video="skip")
    assert len(data.test_datasets[0]) == 1
    (tmp_path / "val" / "-va_00abcdef_000000_000010.mp4").unlink()
    with pytest.raises(DataError, match="8 of the 8"):
        ready(Kinetics400DataModule, tmp_path, on_bad_video="skip")


MISTAKES = {
    ("train.csv", "abcdef,7,17", "abcdef,x,17"): r"train\.csv, line 3 is not `label,youtube_id",
    ("train.csv", "abcdef,7,17,train", "abcdef"): r"train\.csv, line 3",
    ("train.csv", "abseiling,-tr_01", ",-tr_01"): r"train\.csv, line 3 .*a column is empty",
    ("train.csv", "-tr_01abcdef,7,17", "-tr_00abcdef,0,10"): (
        r"-tr_00abcdef_000000_000010\.mp4 is in .*train\.csv and again"
    ),
}


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES.items())
def test_raises_on_mistakes_in_the_annotations(made, ready, replace, tmp_path, mistake, sentence):
    replace(made.kinetics(tmp_path), *mistake)
    with pytest.raises(DataError, match=sentence):
        ready(Kinetics400DataModule, tmp_path)


def test_raises_on_empty_or_missing_annotations(made, ready, tmp_path):
    (made.kinetics(tmp_path) / "validate.csv").write_text("label,youtube_id,time_start,time_end,split\n")
    with pytest.raises(DataError, match=r"validate\.csv is empty"):
        ready(Kinetics400DataModule, tmp_path)
    for annotation in tmp_path.rglob("*.csv"):
        annotation.unlink()
    scan_root(tmp_path, refresh=True)
    with pytest.raises(DataError, match=r"There is no CSV .*--data\.splits_dir"):
        ready(Kinetics400DataModule, tmp_path)
