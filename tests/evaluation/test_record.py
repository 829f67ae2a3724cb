"""The record of many runs: every accuracy with what produced it, and nothing that belongs to one machine."""

import json

from tc_clip_pl.evaluation.record import write_record
from tc_clip_pl.evaluation.run_identity import FinishedRun


def run(split, top1, minutes):
    entry = {"dataset": "synthetic", "part": "order", "num_clips": 4, "top1": top1, "top5": 1.0, "per_class_top1": {}}
    return FinishedRun(
        {
            "runs": [{"ensemble_weight": 1.0, "test_sets": {"synthetic/order": entry}}],
            "config": {"model": {}, "data": {}, "trainer": {}},
            "data": {"dataset": "synthetic", "split": split},
            "training": {"split": split, "setting": "standard", "data_seed": 1},
            "command": ["tcclip", "fit", "--config", "/home/me/configs/synthetic.yaml", "--data.split", str(split)],
            "machine": {"device": "cpu"},
            "minutes": minutes,
            "versions": {"torch": "2.14"},
        },
        method="TC",
    )


def test_record_has_every_measurement_and_what_produced_it(tmp_path):
    write_record([run(1, 0.5, 1.25), run(2, 0.75, 2.0), run(3, 0.25, None)], tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text())
    assert [row["top1"] for row in record["measurements"]] == [0.5, 0.75, 0.25]
    assert {row["method"] for row in record["measurements"]} == {"TC"}  # splits are seeds, not methods
    assert (record["minutes"], record["machines"], record["versions"]) == (
        3.2,
        [{"device": "cpu"}],
        [{"torch": "2.14"}],
    )
    assert record["commands"][0] == "tcclip fit --config synthetic.yaml --data.split 1"
