"""Runs joined into tables: cells computed by hand, the published rows, and what is printed."""

import io
from pathlib import Path
from statistics import fmean, harmonic_mean

import pandas as pd
import pytest
import yaml
from rich.console import Console

from tc_clip_pl.evaluation.collect_runs import COSTS, collect_measurements
from tc_clip_pl.evaluation.method_names import name_methods
from tc_clip_pl.evaluation.report import build_report, build_report_of_protocol
from tc_clip_pl.evaluation.run_identity import FinishedRun
from tc_clip_pl.evaluation.table_layout import layout_of, paper_layout, paper_layouts
from tc_clip_pl.evaluation.table_rendering import report_markdown, report_table

# Averages that the paper prints so, and its own columns give 58.4 and 58.7.
OFF_IN_THE_PAPER = {("ActionCLIP", "all_base", 58.5), ("Open-VCLIP", "hmdb_hm", 58.9)}
MEASUREMENT = {
    "method": "TC-CLIP", "checkpoint": None, "weight": 1.0, "dataset": "hmdb51", "part": "split1", "num_shots": 2,
    "top1": 0.5, "top5": 0.9, "partial": None, "is_chosen": False,
    "parameters": None, "multiply_adds": None, "views_per_second": None, "memory_gib": None,
}  # fmt: skip


def frame(*changes):
    """The measurement above, once for each dictionary of changes."""
    rows = pd.DataFrame([MEASUREMENT | each for each in changes], columns=list(MEASUREMENT), dtype=object)
    return rows.astype(dict.fromkeys(["weight", "top1", "top5", *COSTS], float))


def results(part="split1", top1=0.5, weight=1.0, sha="a", shots=2, **model):
    entry = {"dataset": "hmdb51", "part": part, "top1": top1, "top5": 0.9}
    return {
        "runs": [{"ensemble_weight": weight, "test_sets": {f"hmdb51/{part}": entry}}],
        "data": {"num_shots": shots},
        "checkpoint": {"sha256": sha},
        "config": {"model": {"pretrained": "clip", **model}},
    }


def methods_of(*runs):
    return list(collect_measurements([FinishedRun(run) for run in runs])["method"])


def rows_of(report):
    """The rows as dictionaries by heading."""
    headings = [" ".join(filter(None, heading)) for heading in report.table]
    return [dict(zip(headings, row, strict=True)) for row in report.table.to_numpy()]


def cells(measurements, layout, **options):
    """The rows without the names of their methods and their weights."""
    rows = rows_of(build_report(measurements, paper_layout(layout), **options))
    return [{heading: cell for heading, cell in row.items() if heading not in ("method", "w")} for row in rows]


def printed(report, width=100):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report_table(report, width))
    return console.export_text()


def test_base_to_novel_is_the_harmonic_mean_of_the_means_over_seeds():
    found = frame(
        *(
            {"part": part, "num_shots": 16, "top1": top1}
            for seed in [(0.70, 0.40), (0.80, 0.60)]
            for part, top1 in zip(("base", "novel"), seed, strict=True)
        )
    )
    (row,) = cells(found, "base_to_novel")
    assert row == {"HMDB base": "75.0 ± 5.0", "HMDB novel": "50.0 ± 10.0", "HMDB HM": "60.0"}


def test_harmonic_mean_with_an_accuracy_of_zero():
    (row,) = cells(frame({"part": "base"}, {"part": "novel", "top1": 0.0}), "base_to_novel")
    assert row == {"HMDB base": "50.0", "HMDB novel": "0.0", "HMDB HM": "0.0"}


def test_zero_shot_is_the_mean_over_splits_and_all_the_mean_of_the_means():
    values = {"hmdb51": (0.5, 0.6, 0.7), "ucf101": (0.8, 0.8, 0.8), "kinetics600": (0.7, 0.7, 0.7)}
    found = frame(
        *(
            {"dataset": dataset, "part": f"split{n}", "num_shots": None, "top1": top1}
            for dataset, of_dataset in values.items()
            for n, top1 in enumerate(of_dataset, 1)
        )
    )
    (row,) = cells(found, "zero_shot")
    assert row["HMDB top-1"] == "60.0 ± 8.2"
    assert row["K600 top-5"] == "90.0 ± 0.0"
    assert row["All top-1"] == "70.0"
    report = build_report(found[:6], paper_layout("zero_shot"), with_paper=True)
    (without_k600,) = (row for row in rows_of(report) if row["method"] == "TC-CLIP")
    assert (without_k600["K600 top-1"], without_k600["All top-1"]) == ("-", "-")


def test_average_over_shots_is_marked_when_some_are_missing():
    found = frame(*({"num_shots": k, "top1": top1} for k, top1 in ((2, 0.1), (4, 0.2), (8, 0.3), (16, 0.6))))
    assert cells(found, "table_8a")[0] == {"HMDB avg.": "30.0"}
    assert cells(found[:2], "table_8a")[0] == {"HMDB avg.": "15.0*"}
    partial = build_report(found[:2], paper_layout("table_8a"))
    assert "* average of only some" in printed(partial)
    assert "\n\\* average of only some" in report_markdown(partial)  # a bare asterisk would start a list
    assert "only some" not in printed(build_report(found, paper_layout("table_8a")))


def test_every_k_counts_the_same_however_many_seeds_it_has():
    seeds = [(2, 0.1), (2, 0.3), (4, 0.2), (8, 0.2), (16, 0.6)]
    assert cells(frame(*({"num_shots": k, "top1": top1} for k, top1 in seeds)), "table_8a")[0] == {"HMDB avg.": "30.0"}


def test_column_of_no_k_shows_only_runs_on_all_clips():
    found = frame(
        {"dataset": "kinetics400", "part": "validation", "num_shots": None, "top1": 0.8},
        {"dataset": "kinetics400", "part": "validation", "num_shots": 16, "top1": 0.6},
    )
    assert cells(found, "temporal") == [{"K400 all": "80.0"}]


def test_weights_are_rows_or_columns_as_in_the_paper():
    found = frame(*({"num_shots": None, "weight": weight, "top1": weight / 2} for weight in (1.0, 0.7)))
    assert [row["w"] for row in rows_of(build_report(found, paper_layout("zero_shot")))] == ["1", "0.7"]
    assert cells(found, "table_7") == [{"w=1 HMDB": "50.0", "w=0.7 HMDB": "35.0"}]
    assert "w" not in rows_of(build_report(found, paper_layout("table_7")))[0]


def test_table_6_takes_the_weight_that_the_paper_shows_of_a_system():
    tested = {"TC-CLIP": (1.0, 0.7), "X-CLIP": (1.0,), "Open-VCLIP": (1.0, 0.5), "mine": (1.0, 0.7)}
    sets = [{"dataset": dataset, "num_shots": None} for dataset in ("hmdb51", "ucf101", "kinetics600")]
    found = frame(
        *(
            {**of_set, "method": method, "weight": weight, "top1": weight / 2}
            for method, weights in tested.items()
            for weight in weights
            for of_set in sets
        )
    )
    rows = rows_of(build_report(found, paper_layout("table_6")))
    assert {row["method"]: row["Zero top-1"] for row in rows} == {
        "X-CLIP": "50.0", "Open-VCLIP": "25.0", "TC-CLIP": "35.0", "mine": "35.0"
    }  # fmt: skip


def test_every_system_is_tested_with_its_weight_in_table_6():
    zero = paper_layout("table_6").columns["zero"]
    compared = {row.method for row in paper_layout("zero_shot").paper_rows}
    for file in (Path(__file__).parents[2] / "configs" / "models").glob("*.yaml"):
        config = yaml.safe_load(file.read_text())
        if (method := config.get("method")) in compared - {"Vanilla CLIP"}:
            tested = config.get("ensembling", {}).get("weights", [1.0, 0.7])
            assert zero.weight_of.get(method, 0.7) in tested, method


def test_clip_is_named_where_its_encoders_are_scored():
    found = frame(*({"num_shots": None, "weight": weight} for weight in (1.0, 0.0)))
    note = "w = 0: the encoders are CLIP's; whatever else the model has stays as trained"
    assert note in build_report(found, paper_layout("zero_shot")).notes
    assert note not in build_report(frame({}), paper_layout("zero_shot")).notes


def test_published_row_is_below_the_row_of_the_same_method():
    report = build_report(frame({}, {"method": "mine"}), paper_layout("few_shot"), with_paper=True)
    rows = rows_of(report)
    methods = [row["method"] for row in rows]
    assert methods[4:] == ["ViFi-CLIP°", "TC-CLIP", "TC-CLIP°", "OST°", "TC-CLIP (LLM)°", "mine"]
    assert [number for number, is_paper in enumerate(report.is_paper) if not is_paper] == [5, 9]
    assert list(rows[6].values())[2:6] == ["57.3", "62.3", "67.3", "68.6"]
    assert len(rows) == 2 + len(paper_layout("few_shot").paper_rows)


def test_weight_that_the_paper_lacks_comes_last():
    found = frame(*({"weight": weight} for weight in (1.0, 0.7, 0.2)))
    report = build_report(found, paper_layout("zero_shot"), with_paper=True)
    own = [row["w"] for row, is_paper in zip(rows_of(report), report.is_paper, strict=True) if not is_paper]
    assert own == ["1", "0.7", "0.2"] and report.is_paper[-2:] == [True, False]


def test_note_on_published_rows_needs_these():
    note = paper_layout("zero_shot").note
    assert note in build_report(frame({}), paper_layout("zero_shot"), with_paper=True).notes
    assert note not in build_report(frame({}), paper_layout("zero_shot")).notes


def test_methods_of_the_paper_come_in_its_order():
    found = frame(*({"method": method} for method in ("mine", "ATS", "No selection", "Baseline")))
    methods = [row["method"] for row in rows_of(build_report(found, paper_layout("table_8a"), with_paper=True))]
    own = [method for method in methods if not method.endswith("°")]
    assert own == ["Baseline", "No selection", "ATS", "mine"]
    assert methods[:2] == ["Baseline", "Baseline°"]


def test_checkpoint_tested_twice_counts_once_and_seeds_count_each():
    runs = [FinishedRun(results(sha=sha, top1=top1)) for sha, top1 in (("a", 0.5), ("a", 0.5), ("b", 0.7))]
    assert list(collect_measurements(runs)["top1"]) == [0.5, 0.7]


def test_measurements_take_dataset_and_part_from_the_entry_not_from_its_name():
    run = results()
    (entry,) = run["runs"][0]["test_sets"].values()
    run["runs"][0]["test_sets"] = {"any name": entry}
    (found,) = collect_measurements([FinishedRun(run)]).to_dict("records")
    assert (found["dataset"], found["part"], found["num_shots"]) == ("hmdb51", "split1", 2)
    assert (found["top1"], found["top5"]) == (0.5, 0.9)


def test_methods_are_named_by_the_settings_that_differ():
    runs = [results(config={"tc_layers": [4, 8], "num_frames": 16}), results(config={"num_frames": 16})]
    assert methods_of(*runs) == ["tc_layers=[4, 8]", "TC-CLIP"]
    assert list(collect_measurements([FinishedRun(runs[0], method="light")])["method"]) == ["light"]
    suite = results() | {"data": {"train": {"num_shots": None}, "tests": {}}}
    assert list(collect_measurements([FinishedRun(suite)])["num_shots"]) == [None]


def test_nested_settings_are_named_without_their_wrappers():
    def trained(name, **init_args):
        return results(
            sha=str((name, init_args)), optimizer={"class_path": f"torch.optim.{name}", "init_args": init_args}
        )

    assert methods_of(trained("AdamW", lr=1e-5, eps=1e-8), trained("AdamW", lr=2e-6, eps=1e-8)) == [
        "optimizer.lr=1e-05", "optimizer.lr=2e-06",
    ]  # fmt: skip
    assert methods_of(trained("AdamW", lr=0.1), trained("SGD", lr=0.1)) == ["optimizer=AdamW", "optimizer=SGD"]


def test_swept_setting_is_named_once():
    runs = [
        FinishedRun(results(config={"seed_ratio": ratio}), settings={"model.config.seed_ratio": ratio, "data.split": 1})
        for ratio in (0.3, 0.5)
    ]
    assert name_methods(runs) == ["seed_ratio=0.3", "seed_ratio=0.5"]
    swept_null = [FinishedRun(results(), settings={"model.config.tc_layers": layers}) for layers in ([4, 8], None)]
    assert name_methods(swept_null) == ["tc_layers=[4, 8]", "tc_layers=null"]


def test_method_named_in_a_configuration_is_distinguished_from_its_namesakes():
    def named(method, **model):
        run = results(sha=str(model), **model)
        return FinishedRun({**run, "config": {**run["config"], "method": method}})

    runs = [named("ViFi-CLIP", learning_rate=1), named("ViFi-CLIP", learning_rate=2), named("TC-CLIP§", freeze="text")]
    assert name_methods(runs) == ["ViFi-CLIP, learning_rate=1", "ViFi-CLIP, learning_rate=2", "TC-CLIP§"]
    assert name_methods(runs[1:]) == ["ViFi-CLIP", "TC-CLIP§"]


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_wrap_between_settings(width):
    long = "learning_rate=1e-06, num_context_tokens=64"
    report = build_report(frame({}, {"method": long}), paper_layout("few_shot"))
    lines = printed(report, width).splitlines()
    assert any(line.strip().startswith("learning_rate=1e-06, ") for line in lines)
    assert any(line.strip() == "num_context_tokens=64" for line in lines)
    assert f"| {long} |" in report_markdown(report)


def test_any_data_has_a_layout():
    parts = [("base", 0.8), ("novel", 0.5), ("test", 0.4), ("split1", 0.5), ("split2", 0.7)]
    found = frame(*({"dataset": "mine", "part": part, "num_shots": None, "top1": top1} for part, top1 in parts))
    report = build_report(found, layout_of(found))
    (row,) = rows_of(report)
    expected = {
        "method": "TC-CLIP", "w": "1", "mine base": "80.0", "mine novel": "50.0", "mine HM": "61.5",
        "mine test top-1": "40.0", "mine test top-5": "90.0", "mine top-1": "60.0 ± 10.0", "mine top-5": "90.0 ± 0.0",
    }  # fmt: skip
    assert list(row.items()) == list(expected.items())  # in the order of the parts


def test_layout_of_any_data_has_no_top5_where_there_is_none():
    found = frame({"part": "few", "top5": None}, {"part": "many"})
    names = [name for _, name in build_report(found, layout_of(found), with_paper=True).table if "top" in name]
    assert names == ["few top-1", "many top-1", "many top-5"]
    with_costs = build_report(frame({"top5": None}), paper_layout("compare"), with_paper=True).table
    assert "top-5" not in {name for _, name in with_costs}


def test_layout_of_any_data_sorts_k_by_number():
    found = frame(*({"num_shots": k} for k in (16, None, 2, 4)))
    groups = [group for group, name in build_report(found, layout_of(found)).table if name == "top-1"]
    assert groups == ["hmdb51, K=2", "hmdb51, K=4", "hmdb51, K=16", "hmdb51"]


def test_protocol_without_a_column_for_the_data_falls_back_to_a_general_layout():
    found = frame({"dataset": "mine"})
    assert build_report_of_protocol(found, "few_shot").title == "Accuracy"
    assert build_report_of_protocol(frame({}), "few_shot").title.startswith("Table 3")


@pytest.mark.parametrize("name", paper_layouts())
def test_every_table_of_the_paper_is_complete_and_fits(name):
    layout = paper_layout(name)
    for row in layout.paper_rows:
        assert len(row.metrics) == len(layout.shown)
        assert bool(row.weight) == layout.has_weight_column
    for column in layout.columns.values():
        assert set(column.mean_of) | set(column.harmonic_mean_of) <= layout.columns.keys()
    report = build_report(frame(), layout, with_paper=True)
    text = printed(report)
    assert max(map(len, text.splitlines())) <= 100 and "…" not in text
    assert all(row.method in text for row in layout.paper_rows)
    narrow = printed(report, width=80)
    assert max(map(len, narrow.splitlines())) <= 80 and "…" not in narrow
    assert all(word in narrow.split() for row in layout.paper_rows for word in f"{row.method}°".split())
    assert report_markdown(report).count("\n|") == len(layout.paper_rows) + 2


@pytest.mark.parametrize(
    "name",
    [
        *("zero_shot", "zero_shot_l14", "few_shot", "few_shot_from_k400", "base_to_novel", "base_to_novel_from_k400"),
        *("table_8b", "table_13c", "table_7"),
    ],
)
def test_averages_of_the_paper_agree_with_its_other_columns(name):
    layout = paper_layout(name)
    for row in layout.paper_rows:
        numbers = (text.partition(" ")[0].replace("-", "nan") for text in row.metrics)
        values = dict(zip(layout.shown, map(float, numbers), strict=True))
        for column, spec in layout.columns.items():
            if (spec.mean_of or spec.harmonic_mean_of) and (row.method, column, values[column]) not in OFF_IN_THE_PAPER:
                average = fmean if spec.mean_of else harmonic_mean
                expected = average([values[part] for part in (*spec.mean_of, *spec.harmonic_mean_of)])
                assert values[column] == pytest.approx(expected, abs=0.12), (row.method, column)


def test_table_with_too_many_columns_is_transposed():
    found = frame(*({"dataset": f"dataset_{n}", "top1": n / 20} for n in range(10)))
    text = printed(build_report(found, layout_of(found)))
    assert max(map(len, text.splitlines())) <= 100
    assert all(f"dataset_{n}, K=2 top-1" in text for n in range(10))


def test_transposed_table_is_cut_where_it_would_be_too_wide():
    names = [f"a long name of method number {n}" for n in range(8)]
    found = frame(*({"method": name, "dataset": f"dataset_{n}"} for n in range(4) for name in names))
    report = build_report(found, layout_of(found))
    tables = [each for each in report_table(report, width=60).renderables if hasattr(each, "columns")]
    assert [len(table.columns) for table in tables] == [1 + 5, 1 + 3]  # a column of headings, and one for each method
    text = printed(report, width=60)
    assert max(map(len, text.splitlines())) <= 60 and "…" not in text and text.count("number") == 8


def test_published_numbers_are_dimmed():
    report = build_report(frame({}), paper_layout("few_shot"), with_paper=True)
    upright, *pieces = (table for width in (200, 80) for table in report_table(report, width).renderables[1:])
    pieces = [table for table in pieces if hasattr(table, "rows")]
    assert len(pieces) == 2
    for table in (upright, *pieces):
        assert [row.style for row in table.rows[4:7]] == ["dim", "", "dim"]
    transposed = report_table(report, 5).renderables[1:]  # one method each
    assert [table.columns[1].style for table in transposed[4:7]] == ["dim", "", "dim"]


def test_wide_table_is_cut_between_groups():
    report = build_report(frame({}, {"method": "mine"}), paper_layout("base_to_novel"), with_paper=True)
    text = printed(report, width=80)
    headings = [line.split() for line in text.splitlines() if "HMDB" in line or "UCF" in line or "All" in line]
    assert headings == [["K400", "HMDB"], ["UCF", "SSv2"], ["All"]]
    assert text.count("FROSTER° ") == 3 + 1  # once in each piece, and in the note
    assert max(map(len, text.splitlines())) <= 80


def test_markdown_has_as_many_rulers_as_columns():
    heading, ruler, *rows = report_markdown(build_report(frame({}), paper_layout("few_shot"))).splitlines()[2:5]
    assert heading.count("|") == ruler.count("|") == rows[0].count("|")
    assert ruler.startswith("| --- | ---: |")


def test_brackets_in_method_names_are_printed():
    assert "[bold]" in printed(build_report(frame({"method": "[bold]"}), paper_layout("few_shot")))


def test_unknown_table():
    with pytest.raises(ValueError, match="few_shot"):
        paper_layout("table_99")


def test_costs_stand_beside_whatever_was_measured_and_are_averaged_over_the_runs_of_a_row():
    cost = {"parameters": 124_300_000, "multiply_adds": 2.85e11, "views_per_second": 38.04, "memory_gib": 9.5}
    runs = [{"method": "X-CLIP", "dataset": "mine"}, {"method": "Vanilla CLIP", "dataset": "mine", "weight": 0.0}]
    found = frame(*runs, {**runs[0], **cost}, {**runs[0], **cost, "memory_gib": 10.52, "checkpoint": "b"})
    report = build_report(found, paper_layout("compare"), with_paper=True)
    clip, xclip = rows_of(report)
    assert (clip["method"], clip["w"], clip["mine, K=2 top-1"], clip["Memory GiB"]) == (
        "Vanilla CLIP",
        "0",
        "50.0",
        "-",
    )
    assert list(xclip.values())[-4:] == ["124.3", "285.0", "38.0", "10.0"]
    assert paper_layout("compare").note in report.notes
    assert paper_layout("compare").takes("anything") and not paper_layout("few_shot").takes("zero_shot")


def test_small_costs_have_two_decimals():
    cost = {"parameters": 940_000, "multiply_adds": 1.234e9, "views_per_second": 9.99, "memory_gib": 1.0}
    (row,) = rows_of(build_report(frame(cost), paper_layout("compare")))
    assert list(row.values())[-4:] == ["0.94", "1.23", "9.99", "1.00"]


def test_runs_of_earlier_versions_have_no_costs():
    assert collect_measurements([FinishedRun(results())])[COSTS].isna().all(axis=None)
    costly = results() | {"cost": {"parameters": 5, "multiply_adds": None}}
    (row,) = collect_measurements([FinishedRun(costly)])[COSTS].to_dict("records")
    assert row["parameters"] == 5 and row["multiply_adds"] != row["multiply_adds"]
