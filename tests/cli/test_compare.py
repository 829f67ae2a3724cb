"""The sweep of all systems: who is in it, under which name, and what its report shows."""

import json

import pytest
import yaml

from tc_clip_pl.cli import main
from tc_clip_pl.cli.configs import find_config
from tc_clip_pl.cli.sweep.command import sweep
from tc_clip_pl.cli.sweep.plan import read_sweep
from tc_clip_pl.cli.sweep.validate import check_runs
from tc_clip_pl.evaluation.table_layout import paper_layout
from tc_clip_pl.modules.systems import SYSTEMS

COMPARE = "ablations/compare.yaml"
QUICK = {"limit_train_batches": 1, "limit_test_batches": 2, "max_epochs": 2, "enable_progress_bar": "false"}


def read(name):
    return yaml.safe_load(find_config(name).read_text())


@pytest.fixture
def variants():
    return read(COMPARE)["variants"]


def test_every_system_is_compared_under_its_name_in_the_paper(variants):
    of_paper = {row.method for row in paper_layout("zero_shot").paper_rows} - {"TC-CLIP (LLM)"}
    assert variants.keys() == of_paper | {"ViFi-CLIP prompts"}
    overlays = {name: read(given["config"]) for name, given in variants.items() if given}
    assert all(overlay["method"] == name for name, overlay in overlays.items())
    assert {overlay["model"].get("system", "tc_clip") for overlay in overlays.values()} == set(SYSTEMS)


@pytest.mark.parametrize("config", ["demo", "few_shot_hmdb", pytest.param("zero_shot_k400", marks=pytest.mark.slow)])
def test_every_run_parses(config):
    runs = read_sweep([COMPARE], [config]).runs([])
    assert len(runs) == len(read(COMPARE)["variants"])
    check_runs(runs)


def test_report_has_accuracy_and_cost_in_one_table(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    options = [f"--trainer.{key}={value}" for key, value in QUICK.items()]

    def launch(argv, log):
        return main(argv) if argv[-1].endswith(("Vanilla_CLIP", "X-CLIP")) else 1

    options += ["--data.root", str(demo / "data"), "--data.num_workers", "0", "--trainer.accelerator", "cpu"]
    assert sweep(["--sweep", COMPARE, *options, "--data.batch_size", "4"], launch) == 1
    capsys.readouterr()
    assert main(["report", "outputs/compare"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    rows = [line.split() for line in out.splitlines() if "CLIP" in line and "†" in line]
    assert [row[:-7] for row in rows] == [["Vanilla", "CLIP"], ["X-CLIP"]]  # in the order of the paper, and w ...
    for row in rows:
        assert all(float(cell) > 0 for cell in row[-4:])
    (results,) = (tmp_path / "outputs/compare/demo,X-CLIP").rglob("results.json")
    cost = json.loads(results.read_text())["cost"]
    assert cost.keys() == {"parameters", "multiply_adds", "views_per_second", "memory_gib"}
    assert f"{cost['parameters'] / 1e6:.2f}" in rows[1]


@pytest.mark.slow
def test_all_systems_run_on_the_demo(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    options = [f"--trainer.{key}={value}" for key, value in QUICK.items()]
    options += ["--data.root", str(demo / "data"), "--data.num_workers", "0", "--trainer.accelerator", "cpu"]
    (tmp_path / "demo").symlink_to(demo)  # the words of MAXI and the phrases of OST are named by their path
    assert sweep(["--sweep", COMPARE, *options], lambda argv, log: main(argv)) == 0
    out = capsys.readouterr().out
    report = out[out.index("Systems: cost, and accuracy") :]
    for name in read(COMPARE)["variants"]:
        rows = [line for line in report.splitlines() if line.strip().startswith(f"{name} ")]
        assert rows, name
        assert not any(cell == "-" for row in rows for cell in row.split()), rows
