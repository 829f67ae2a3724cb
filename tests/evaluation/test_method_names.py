"""Runs share a row only if nothing but seeds and splits tells them apart."""

import copy

import pytest

from tc_clip_pl.evaluation.collect_runs import collect_measurements
from tc_clip_pl.evaluation.report import build_report
from tc_clip_pl.evaluation.run_identity import FinishedRun
from tc_clip_pl.evaluation.table_layout import paper_layout
from tc_clip_pl.evaluation.table_rendering import report_markdown


def results(sha="a", counted=64, **changes):
    """A results.json; changes are values by dotted path."""
    entry = {"dataset": "hmdb51", "part": "split1", "num_clips": counted, "top1": 0.5, "top5": 0.9}
    content = {
        "runs": [{"ensemble_weight": 1.0, "test_sets": {"hmdb51/split1": entry}}],
        "data": {
            "dataset": "hmdb51", "setting": "standard", "split": 1, "num_shots": 2, "seed": 1024,
            "splits": {"train": {"sha256": "t" * 64, "num_clips": 128},
                       "hmdb51/split1": {"sha256": "e" * 64, "num_clips": 64}},
        },
        "checkpoint": {"sha256": sha, "epoch": 24, "selection": "last"},
        "config": {
            "seed_everything": 1024, "protocol": "few_shot", "output_dir": "outputs",
            "trainer": {"max_epochs": 25, "devices": "auto", "limit_test_batches": None, "callbacks": []},
            "model": {"pretrained": "clip",
                      "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}}},
            "data": {"init_args": {
                "root": "demo", "batch_size": 16, "global_batch_size": 16, "num_workers": 2, "decoder": "auto",
                "num_temporal_views": 2, "mean": [1.0, 2.0, 3.0], "augmentation": {"mix_probability": 1.0},
            }},
        },
    }  # fmt: skip
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return copy.deepcopy(content)


def rows(*contents):
    return list(collect_measurements([FinishedRun(content) for content in contents])["method"])


DATA = "config__data__init_args__"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"config__trainer__max_epochs": 2}, "max_epochs=2"),
        ({"training__max_epochs": 2}, "max_epochs=2"),
        ({"config__trainer__gradient_clip_val": 1.0}, "gradient_clip_val=1.0"),
        ({"config__trainer__limit_train_batches": 3}, "limit_train_batches=3"),
        ({"config__trainer__callbacks": [{"class_path": "mine.Averaging"}]}, "callbacks=[Averaging]"),
        ({"config__model__optimizer__init_args__lr": 1e-5}, "optimizer.lr=1e-05"),
        ({"config__model__lr_scheduler": {"class_path": "a.Cosine"}}, "lr_scheduler=Cosine"),
        ({DATA + "num_temporal_views": 4}, "num_temporal_views=4"),
        ({DATA + "decoder": "decord"}, "decoder=decord"),
        ({DATA + "exact_decoding": False}, "exact_decoding=false"),
        ({DATA + "mean": [0, 0, 0]}, "mean=[0, 0, 0]"),
        ({DATA + "global_batch_size": 64}, "global_batch_size=64"),
        ({DATA + "augmentation__mix_probability": 0.5}, "augmentation.mix_probability=0.5"),
        ({"checkpoint__selection": "best"}, "tested=best epoch"),
        ({"checkpoint__epoch": 3}, "tested=epoch 4 of 25"),
        ({"clip__sha256": "0123456789"}, "pretrained=01234567"),
        ({"counted": 16}, "partial=16 of 64 clips"),
        ({"data__splits__hmdb51/split1": {"sha256": "f" * 64, "num_clips": 50}, "counted": 50},
         "list=ffffffff (50 clips)"),
        ({"data__splits__train": {"sha256": "f" * 64, "num_clips": 9}}, "list=ffffffff (9 clips)"),
        ({"data__train__splits__train": {"sha256": "f" * 64, "num_clips": 9}, "data__train__num_shots": 2,
          "data__train__seed": 1024, "data__train__dataset": "hmdb51", "data__train__setting": "standard",
          "data__train__split": 1}, "list=ffffffff (9 clips)"),
        ({"config__protocol": "fully_supervised"}, "protocol=fully_supervised"),
    ],
)  # fmt: skip
def test_whatever_changes_the_accuracy_makes_a_row_of_its_own(change, name):
    names = rows(results(), results(sha="b", **change))
    assert len(set(names)) == 2
    assert names[1] == name


@pytest.mark.parametrize(
    "change",
    [
        {"config__seed_everything": 7},
        {DATA + "root": "elsewhere"},
        {DATA + "num_workers": 0},
        {DATA + "cache": "frames", DATA + "cache_gb": 5},
        {DATA + "batch_size": 4},
        {DATA + "decoder": "pyav"},
        {DATA + "exact_decoding": True},
        {"config__output_dir": "elsewhere"},
        {"config__trainer__devices": 4},
        {"config__trainer__callbacks": [{"class_path": "lightning.pytorch.callbacks.RichProgressBar"}]},
        {"versions__torch": "3.0"},
        {"data__splits__train": {"sha256": "f" * 64, "num_clips": 128}, "data__seed": 7},
    ],
)
def test_what_cannot_change_the_accuracy_shares_the_row(change):
    assert rows(results(), results(sha="b", **change)) == ["TC-CLIP", "TC-CLIP"]


def test_splits_share_a_cell_and_other_parts_do_not():
    """Two protocols in one cell have a row each; in cells of their own they may share it."""

    def names(*parts):
        runs = [results(), results(sha="b", config__protocol="fully_supervised")]
        for run, part in zip(runs, parts, strict=True):
            run["runs"][0]["test_sets"]["hmdb51/split1"]["part"] = part
        return rows(*runs)

    assert names("split1", "split2") == ["protocol=few_shot", "protocol=fully_supervised"]
    assert names("base", "novel") == ["TC-CLIP", "TC-CLIP"]


def test_one_checkpoint_counts_once_unless_it_is_tested_in_another_way():
    assert len(rows(results(), results())) == 1
    assert rows(results(), results(**{DATA + "num_temporal_views": 4})) == [
        "num_temporal_views=2", "num_temporal_views=4",
    ]  # fmt: skip
    # The configuration of a test may name other epochs: they are not those of the checkpoint.
    assert len(rows(results(), results(config__trainer__max_epochs=1))) == 1


def test_runs_without_a_checkpoint_are_told_apart_by_their_seeds():
    seeds = [results(checkpoint=None, config__seed_everything=seed) for seed in (1, 2)]
    assert len(rows(*seeds)) == 2


def report_of(*contents, table="few_shot"):
    return build_report(collect_measurements([FinishedRun(content) for content in contents]), paper_layout(table))


def test_partial_tests_are_marked():
    report = report_of(results(counted=16))
    assert "50.0†" in report.table.to_numpy()
    assert "† partial test, not comparable: 16 of 64 clips of hmdb51/split1" in report_markdown(report)
    assert "†" not in report_markdown(report_of(results()))


@pytest.mark.parametrize(("protocol", "marked"), [("few_shot", True), ("zero_shot", False)])
def test_weights_chosen_on_the_reported_clips_are_marked(protocol, marked):
    text = report_markdown(report_of(results(checkpoint__selection="best", config__protocol=protocol)))
    assert ("50.0‡" in text) == marked
    assert ("best epoch on these clips" in text) == marked


def test_top5_of_few_classes_is_not_shown():
    run = results()
    run["runs"][0]["test_sets"]["hmdb51/split1"]["per_class_top1"] = {"a": 0.5, "b": 0.5}
    assert collect_measurements([FinishedRun(run)])["top5"].isna().all()


@pytest.mark.parametrize(
    ("change", "protocol"),
    [
        ({}, "few_shot"),
        ({"data__setting": "base_to_novel"}, "base_to_novel"),
        ({"data__num_shots": None}, "fully_supervised"),
        ({"data__num_shots": None, "data__tests": {"hmdb": {}}}, "zero_shot"),
        ({"config__model__init_from": "k400.ckpt"}, "few_shot_from_k400"),
        ({"training__num_shots": 4, "data__num_shots": None}, "few_shot"),
    ],
)
def test_protocol_of_a_run_without_one(change, protocol):
    assert FinishedRun(results(config__protocol=None, **change)).protocol == protocol


def test_configured_protocol_comes_before_that_of_the_data():
    assert FinishedRun(results(data__setting="base_to_novel")).protocol == "few_shot"


@pytest.mark.parametrize(
    ("epoch", "max_epochs", "tested"), [(24, 25, None), (23, 25, "epoch 24 of 25"), (3, -1, None), (3, None, None)]
)
def test_tested_epoch_is_named_unless_it_is_the_last(epoch, max_epochs, tested):
    run = FinishedRun(results(checkpoint__epoch=epoch, config__trainer__max_epochs=max_epochs))
    assert run.recipe().get("tested") == tested


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"partial": "3 of 9 clips"}, "3 of 9 clips"),
        ({"partial": True}, "some clips"),
        ({"partial": "3 of 9 clips", "counted": 16}, "16 of 64 clips"),  # counted again
    ],
)
def test_partial_tests_are_counted_or_stated(changes, reason):
    assert FinishedRun(results(**changes)).partial_tests().get("hmdb51/split1") == reason
