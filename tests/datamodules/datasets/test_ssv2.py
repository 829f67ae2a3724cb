"""Something-Something v2 from its own annotation files, in every layout."""

import pytest

from datamodules import DataError, SSv2DataModule
from datamodules.splits.lookup import scan_root


@pytest.mark.parametrize(("prefix", "folder"), [("something-something-v2-", ""), ("", "20bn/videos/")])
def test_layouts(made, ready, clips, tmp_path, prefix, folder):
    data = ready(SSv2DataModule, made.ssv2(tmp_path, prefix, folder))
    assert data.class_names == [
        "Pushing something from left to right",
        "Holding something",
        "Tearing something into two pieces",
    ]  # in the order of labels.json, not in alphabetical order
    assert clips(data.test_datasets[0])[:2] == [("200.webm", 2), ("201.webm", 0)]
    assert len(data.datasets["train"]) == 12 and data.test_sets[0].name == "ssv2/validation"
    assert not data.horizontal_flip


def test_labels_json_may_map_ids_to_names(made, ready, tmp_path):
    names = {"0": "Holding something", "1": "Tearing something into two pieces"}
    names["2"] = "Pushing something from left to right"
    made.write(made.ssv2(tmp_path, prefix=""), {"labels.json": names})
    assert ready(SSv2DataModule, tmp_path).class_names == list(names.values())


MISTAKES = {
    ("train.json", '"id": "101"', '"id": "100"'): r"train\.json lists 100\.webm twice",
    ("validation.json", '"id": "200"', '"id": "100"'): r"validation\.json lists 100\.webm twice",
    ("train.json", '"template": "Holding', '"templat": "Holding'): (
        r"train\.json, entry 1: .* lacks an `id` or a `template`"
    ),
    ("train.json", "Holding [s", "Folding [s"): r"entry 1: the template 'Folding \[something\]' is not in labels\.json",
    ("train.json", "[{", "{"): r"Cannot read .*train\.json",
    ("labels.json", '"2"', '"3"'): "are not 0, 1, 2",
}


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES.items())
def test_raises_on_mistakes_in_the_annotations(made, ready, replace, tmp_path, mistake, sentence):
    replace(made.ssv2(tmp_path, prefix=""), *mistake)
    with pytest.raises(DataError, match=sentence):
        ready(SSv2DataModule, tmp_path)


def test_raises_on_empty_or_missing_annotations(made, ready, tmp_path):
    (made.ssv2(tmp_path) / "something-something-v2-validation.json").write_text("[]")
    with pytest.raises(DataError, match=r"something-something-v2-validation\.json has no list"):
        ready(SSv2DataModule, tmp_path)
    for annotation in tmp_path.rglob("*.json"):
        annotation.unlink()
    scan_root(tmp_path, refresh=True)
    with pytest.raises(DataError, match=r"There is no \*labels\.json .*--data\.splits_dir"):
        ready(SSv2DataModule, tmp_path)
