"""Runs joined into tables: cells worked out by hand, the paper's rows, and what is printed."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tc_clip_pl.evaluation.collect_runs import (
    FinishedRun,
    Measurement,
    find_results,
    measure,
    name_methods,
    read_results,
)
from tc_clip_pl.evaluation.paper_tables import layout_of, paper_layout, paper_layouts
from tc_clip_pl.evaluation.report import build_report
from tc_clip_pl.evaluation.tables import report_markdown, report_table

TOP1 = Measurement("TC-CLIP", 1.0, "hmdb51", "split1", 2, 0.5, 0.9)


def results(name="hmdb51/split1", top1=0.5, weight=1.0, sha="a", shots=2, **model):
    sets = {name: {"top1": top1, "top5": 0.9}}
    config = {"model": {"pretrained": "clip", **model}}
    return {
        "runs": [{"ensemble_weight": weight, "test_sets": sets}],
        "data": {"num_shots": shots},
        "checkpoint": {"sha256": sha},
        "config": config,
    }


def cells(measurements, layout, **options):
    report = build_report(measurements, paper_layout(layout), **options)
    names = [" ".join(heading) for heading in report.headings]
    return [dict(zip(names, row.cells, strict=True)) for row in report.rows]


def printed(report, width=100):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report_table(report, width))
    return console.export_text()


def test_base_to_novel_is_the_harmonic_mean_of_the_means_over_seeds():
    seeds = [(0.70, 0.40), (0.80, 0.60)]
    found = [
        replace(TOP1, part=part, num_shots=16, top1=top1)
        for seed in seeds
        for part, top1 in zip(("base", "novel"), seed, strict=True)
    ]
    (row,) = cells(found, "base_to_novel")
    assert row == {"HMDB base": "75.0 ± 5.0", "HMDB novel": "50.0 ± 10.0", "HMDB HM": "60.0"}


def test_zero_shot_is_the_mean_over_splits_and_all_the_mean_of_the_means():
    values = {"hmdb51": (0.5, 0.6, 0.7), "ucf101": (0.8, 0.8, 0.8), "kinetics600": (0.7, 0.7, 0.7)}
    found = [
        replace(TOP1, dataset=dataset, part=f"split{n}", num_shots=None, top1=top1)
        for dataset, of_dataset in values.items()
        for n, top1 in enumerate(of_dataset, 1)
    ]
    (row,) = cells(found, "zero_shot")
    assert row["HMDB top-1"] == "60.0 ± 8.2"
    assert row["K600 top-5"] == "90.0 ± 0.0"
    assert row["All top-1"] == "70.0"
    without_k600 = cells(found[:6], "zero_shot", with_paper=True)[0]
    assert (without_k600["K600 top-1"], without_k600["All top-1"]) == ("-", "-")


def test_average_over_shots_says_when_some_are_missing():
    found = [replace(TOP1, num_shots=k, top1=top1) for k, top1 in ((2, 0.1), (4, 0.2), (8, 0.3), (16, 0.6))]
    assert cells(found, "table_8a")[0] == {"HMDB avg.": "30.0"}
    assert cells(found[:2], "table_8a")[0] == {"HMDB avg.": "15.0*"}
    assert "not every" in printed(build_report(found[:2], paper_layout("table_8a")))


def test_weights_are_rows_or_columns_as_the_table_has_them():
    found = [replace(TOP1, num_shots=None, weight=weight, top1=weight / 2) for weight in (1.0, 0.7)]
    assert [row.weight for row in build_report(found, paper_layout("zero_shot")).rows] == [1.0, 0.7]
    assert cells(found, "table_7") == [{"w=1 HMDB": "50.0", "w=0.7 HMDB": "35.0"}]


def test_paper_row_stands_below_the_row_of_its_name():
    rows = build_report([TOP1, replace(TOP1, method="mine")], paper_layout("few_shot"), with_paper=True).rows
    assert [(row.method, row.is_paper) for row in rows[:3]] == [("TC-CLIP", False), ("TC-CLIP", True), ("mine", False)]
    assert rows[1].cells[:4] == ["57.3", "62.3", "67.3", "68.6"]


def test_checkpoint_tested_twice_counts_once_and_seeds_count_each():
    runs = [FinishedRun(results(sha=sha, top1=top1)) for sha, top1 in (("a", 0.5), ("a", 0.5), ("b", 0.7))]
    assert [found.top1 for found in measure(runs)] == [0.5, 0.7]


def test_methods_are_told_apart_by_what_they_do_not_share():
    runs = [results(config={"tc_layers": [4, 8], "num_frames": 16}), results(config={"num_frames": 16})]
    assert {found.method for found in measure([FinishedRun(run) for run in runs])} == {"tc_layers=[4, 8]", "TC-CLIP"}
    assert measure([FinishedRun(runs[0], method="light")])[0].method == "light"
    assert measure([FinishedRun(results())])[0].num_shots == 2
    suite = results() | {"data": {"train": {"num_shots": None}, "tests": {}}}
    assert measure([FinishedRun(suite)])[0].num_shots is None


def test_method_named_in_a_configuration_is_told_from_namesakes():
    def named(method, **model):
        run = results(**model)
        return FinishedRun({**run, "config": {**run["config"], "method": method}})

    runs = [named("ViFi-CLIP", learning_rate=1), named("ViFi-CLIP", learning_rate=2), named("TC-CLIP§", freeze="text")]
    assert name_methods(runs) == ["ViFi-CLIP, learning_rate=1", "ViFi-CLIP, learning_rate=2", "TC-CLIP§"]
    assert name_methods(runs[1:]) == ["ViFi-CLIP", "TC-CLIP§"]


def test_long_names_are_spelt_out_below():
    long = "learning_rate=1e-06, num_context_tokens=64"
    report = build_report([TOP1, replace(TOP1, method=long)], paper_layout("few_shot"))
    assert [row.method for row in report.rows] == ["TC-CLIP", "setting 1"]
    assert f"setting 1: {long}" in printed(report)


def test_any_data_has_a_layout():
    parts = [("base", 0.8), ("novel", 0.5), ("test", 0.4), ("split1", 0.5), ("split2", 0.7)]
    found = [replace(TOP1, dataset="mine", part=part, num_shots=None, top1=top1) for part, top1 in parts]
    report = build_report(found, layout_of(found))
    shown = dict(zip((name for _, name in report.headings), report.rows[0].cells, strict=True))
    assert shown == {
        "base": "80.0", "novel": "50.0", "HM": "61.5", "test top-1": "40.0", "test top-5": "90.0",
        "top-1": "60.0 ± 10.0", "top-5": "90.0 ± 0.0",
    }  # fmt: skip


@pytest.mark.parametrize("name", paper_layouts())
def test_every_table_of_the_paper_is_whole_and_fits(name):
    layout = paper_layout(name)
    shown = [column for column in layout.columns.values() if not column.hidden]
    for row in layout.paper_rows:
        assert len(row.figures) == len(shown)
        assert (row.weight is None) != layout.has_weight_column
    for column in layout.columns.values():
        assert set(column.mean_of) | set(column.harmonic_mean_of) <= layout.columns.keys()
    report = build_report([], layout, with_paper=True)
    text = printed(report)
    assert max(map(len, text.splitlines())) <= 100 and "…" not in text
    assert all(row.method in text for row in layout.paper_rows)
    assert report_markdown(report).count("\n|") == len(layout.paper_rows) + 2


@pytest.mark.parametrize(
    "name", ["zero_shot", "few_shot", "base_to_novel_from_k400", "table_8b", "table_13c", "table_7"]
)
def test_averages_of_the_paper_are_those_of_its_own_figures(name):
    layout = paper_layout(name)
    names = [name for name, column in layout.columns.items() if not column.hidden]
    for row in layout.paper_rows:
        figures = dict(zip(names, (float(figure.partition(" ")[0]) for figure in row.figures), strict=True))
        for column, spec in layout.columns.items():
            if spec.mean_of:
                mean = sum(figures[part] for part in spec.mean_of) / len(spec.mean_of)
                assert figures[column] == pytest.approx(mean, abs=0.12), (row.method, column)


def test_too_many_columns_are_printed_on_their_side():
    found = [replace(TOP1, dataset=f"data_set_{n}", top1=n / 20) for n in range(10)]
    text = printed(build_report(found, layout_of(found)))
    assert max(map(len, text.splitlines())) <= 100
    assert all(f"data_set_{n}, K=2 top-1" in text for n in range(10))


def test_unknown_table():
    with pytest.raises(ValueError, match="few_shot"):
        paper_layout("table_99")


def test_files_that_are_no_results(tmp_path):
    (tmp_path / "results.json").write_text("{")
    assert find_results(tmp_path) == [tmp_path / "results.json"]
    with pytest.raises(ValueError, match="no complete results"):
        read_results(tmp_path / "results.json")
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match="not a results file"):
        read_results(tmp_path / "results.json")
