"""The sweep of every table runs on the synthetic dataset, two steps each, with a narrow CLIP of twelve layers."""

import itertools
import re

import pytest
import yaml
from transformers import CLIPModel

from datamodules.synthetic.actions import DEMO
from tc_clip_pl.checkpoints.tiny_clip import make_tiny_tokenizer, tiny_clip_config
from tc_clip_pl.cli import main
from tc_clip_pl.cli.configs import shipped_configs
from tc_clip_pl.cli.sweep.command import sweep
from tc_clip_pl.cli.sweep.plan import read_sweep
from tc_clip_pl.modules.config import TCCLIPConfig

ABLATIONS = [name for name in shipped_configs() if name.startswith("ablations/table_")]
FEW_STEPS = {"limit_train_batches": 2, "limit_test_batches": 1, "limit_val_batches": 0, "max_epochs": 1}


@pytest.fixture(scope="session")
def deep_clip(tmp_path_factory):
    """Save a narrow CLIP with the twelve layers of B/16: sweeps name layers 4, 8 and 12."""
    folder, tokenizer = tmp_path_factory.mktemp("deep_clip"), make_tiny_tokenizer([action.name for action in DEMO])
    config = tiny_clip_config(tokenizer, width=16)
    config.vision_config.num_hidden_layers = config.text_config.num_hidden_layers = 12
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def run_sweep(demo, deep_clip, tmp_path, monkeypatch, capsys):
    """Run `tcclip sweep` in this process; return exit code and stdout."""
    monkeypatch.chdir(tmp_path)

    def run_sweep(name, keep=None):
        def launch(argv, log):
            return main(argv) if keep is None or any(argument.endswith(keep) for argument in argv) else 0

        argv = ["--sweep", name, "--config", "few_shot_hmdb", "--sweep", "data.num_shots=[2]"]
        argv += ["--data.root", str(demo / "data"), "--model.pretrained", str(deep_clip), "--data.num_workers", "0"]
        argv += ["--data.batch_size", "2", "--data.global_batch_size", "2", "--data.num_temporal_views", "1"]
        argv += ["--model.lr_scheduler.warmup_epochs", "0", "--trainer.accelerator", "cpu"]
        argv += ["--trainer.enable_progress_bar", "false", "--pictures", "false"]
        argv += [argument for key, value in FEW_STEPS.items() for argument in (f"--trainer.{key}", str(value))]
        return sweep(argv, launch), capsys.readouterr().out

    return run_sweep


def variants_of(name):
    return yaml.safe_load(shipped_configs()[name].read_text())["variants"]


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_variant_is_a_valid_design(name):
    for run in read_sweep([name], []).runs([]):
        changes = {flag: yaml.safe_load(value) for flag, value in itertools.pairwise(run.argv)}
        prefix = "--model.config."
        TCCLIPConfig(**{k.removeprefix(prefix): value for k, value in changes.items() if k.startswith(prefix)})


def test_variant_is_printed_above_the_papers_row(run_sweep):
    _, out = run_sweep("ablations/table_8b", keep="Bipartite_saliency")
    own, paper = (line for line in out.splitlines() if line.strip().startswith("Bipartite, saliency"))
    assert "*" in own.split()[-4] and own.split()[-3:] == ["-", "-", "-"]  # only HMDB-51 and K = 2 are there
    assert paper.split()[-4:] == ["62.4", "89.9", "9.6", "54.0"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ABLATIONS)
def test_all_variants_run(name, run_sweep, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # every method a line, however many columns there are
    code, out = run_sweep(name)
    assert code == 0, out
    for variant in variants_of(name):
        assert re.search(rf"^ +{re.escape(variant)} +(?:[1-] +)*\d", out, re.MULTILINE), out  # a measured value
        assert f"{variant}°" in out
