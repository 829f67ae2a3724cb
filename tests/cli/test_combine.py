"""The sweep of TC-CLIP with what other systems add: its runs parse, and run."""

import pytest

from tc_clip_pl.cli import main
from tc_clip_pl.cli.sweep.command import sweep
from tc_clip_pl.cli.sweep.plan import read_sweep
from tc_clip_pl.cli.sweep.validate import check_runs

COMBINE = "ablations/combine.yaml"


@pytest.mark.parametrize("config", ["demo", "few_shot_hmdb"])
def test_every_run_parses(config):
    check_runs(read_sweep([COMBINE], [config]).runs([]))


@pytest.mark.slow
def test_every_variant_runs_on_the_demo(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = {"limit_train_batches": 1, "limit_test_batches": 2, "enable_progress_bar": "false", "accelerator": "cpu"}
    options = [f"--trainer.{key}={value}" for key, value in quick.items()]
    options += ["--data.root", str(demo / "data"), "--data.num_workers", "0", "--model.lr_scheduler.warmup_epochs", "0"]
    (tmp_path / "demo").symlink_to(demo)  # the phrases are named by their path
    assert sweep(["--sweep", COMBINE, *options], lambda argv, log: main(argv)) == 0
    runs = read_sweep([COMBINE], []).runs([])
    assert all(list((tmp_path / "outputs/combine" / run.name).rglob("results.json")) for run in runs)
