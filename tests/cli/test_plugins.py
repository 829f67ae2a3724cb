"""A package of one's own brings choices, a data module, a callback, an optimizer: one YAML file, no change here."""

import sys

import pytest
import torch
import yaml

from tc_clip_pl.modules.text_prompting import PROMPTINGS
from tc_clip_pl.ops.aggregation import AGGREGATORS
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS

PACKAGE = """
from pathlib import Path

import torch
from lightning.pytorch import Callback

from datamodules import HMDB51DataModule
from tc_clip_pl.modules.text_prompting import PROMPTINGS, Learnable
from tc_clip_pl.ops.aggregation import AGGREGATORS
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS

calls = []


@SEED_SELECTORS.register("own_last_patches", reads=("seed_ratio",))
def last_patches(attention, num_seeds, training):
    calls.append("selector")
    return attention.cls_attention().mean(2).argsort(-1)[..., :num_seeds]


@AGGREGATORS.register("own_merge", reads=("num_context_tokens",))
def merge(seeds, num_context_tokens, merges_per_round):
    calls.append("aggregator")
    return AGGREGATORS["random"](seeds, num_context_tokens, merges_per_round)


@PROMPTINGS.register("own_scaled", reads=("num_prompt_vectors", "prompt_init"))
class Scaled(Learnable):
    @staticmethod
    def condition(_, classes, vision_tokens):
        calls.append("prompting")
        return 2 * classes


class OwnDataModule(HMDB51DataModule):
    def __init__(self, *args, greeting: str = "", **settings):
        super().__init__(*args, **settings)
        self.greeting = greeting

    def setup(self, stage):
        super().setup(stage)
        calls.append(self.greeting)


class CountSteps(Callback):
    def __init__(self, file: str):
        self.file = Path(file)

    def on_train_end(self, trainer, pl_module):
        self.file.write_text(str(trainer.global_step))


def constant(optimizer, total_steps: int, steps_per_epoch: int) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=total_steps + 1)
"""
BY_NAME = {"seed_selection": "own_last_patches", "aggregation": "own_merge", "prompting": "own_scaled"}
BY_PATH = {
    "seed_selection": "own_package.last_patches",
    "aggregation": "own_package.merge",
    "prompting": "own_package.Scaled",
}
OWN_PARTS = {"selector", "aggregator", "prompting", "hello from the data"}
SHORT = {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 0, "limit_test_batches": 1}


@pytest.fixture(autouse=True)
def own_package(tmp_path, monkeypatch):
    """Write the package into the current directory; forget it and its registrations afterwards."""
    (tmp_path / "own_package.py").write_text(PACKAGE)
    for registry in (SEED_SELECTORS, AGGREGATORS, PROMPTINGS):
        monkeypatch.setattr(registry, "_functions", dict(registry._functions))
        monkeypatch.setattr(registry, "_reads", dict(registry._reads))
    yield
    sys.modules.pop("own_package", None)


@pytest.fixture
def write_config(tmp_path, demo):
    """Write the experiment, with these choices and further keys, and return its name."""

    def write(choices, **more):
        data = {
            "root": str(demo / "data"),
            "greeting": "hello from the data",
            "num_frames": 4,
            "batch_size": 4,
            "num_workers": 0,
        }
        config = {
            "data": {"class_path": "own_package.OwnDataModule", "init_args": data},
            "model": {
                "pretrained": str(demo / "tiny_clip"),
                "config": {**choices, "num_context_tokens": 8},
                "lr_scheduler": "own_package.constant",
            },
            "trainer": {
                **SHORT,
                "accelerator": "cpu",
                "enable_progress_bar": False,
                "callbacks+": [{"class_path": "own_package.CountSteps", "init_args": {"file": "steps.txt"}}],
            },
            "ensembling": {"weights": [1.0]},
            **more,
        }
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
        return "own.yaml"

    return write


def _fit_then_test(run, tmp_path, *argv):
    code, _, err = run("fit", *argv, on_demo=False)
    assert code == 0, err
    assert (tmp_path / "steps.txt").read_text() == "2"
    calls = sys.modules["own_package"].calls
    assert set(calls) == OWN_PARTS
    checkpoint = torch.load(tmp_path / "outputs/own/version_0/checkpoints/last.ckpt")
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(1e-6)  # half of the default
    calls.clear()
    code, _, err = run("test", *argv, "--ckpt_path", "outputs/own/version_0/checkpoints/last.ckpt", on_demo=False)
    assert code == 0, err
    assert set(calls) == OWN_PARTS


def test_choices_registered_by_a_plugin_of_the_command_line(write_config, run, tmp_path):
    _fit_then_test(run, tmp_path, "--config", write_config(BY_NAME), "--plugins", "own_package")


def test_choices_registered_by_a_plugin_of_the_configuration(write_config, run, tmp_path):
    _fit_then_test(run, tmp_path, "--config", write_config(BY_NAME, plugins=["own_package"]))
    saved = yaml.safe_load((tmp_path / "outputs/own/version_0/config.yaml").read_text())
    assert saved["plugins"] == ["own_package"]


def test_choices_given_by_their_import_paths(write_config, run, tmp_path):
    _fit_then_test(run, tmp_path, "--config", write_config(BY_PATH))


def test_class_of_a_plugin_is_found_without_its_module(write_config, run):
    config = write_config(BY_NAME)
    code, _, err = run("fit", "--config", config, "--plugins=own_package", "--data", "OwnDataModul", on_demo=False)
    assert code == 1 and "OwnDataModul" in err
    options = ("--data", "OwnDataModule", "--trainer.fast_dev_run", "1")
    code, _, err = run("fit", "--config", config, "--plugins=own_package", *options, on_demo=False)
    assert code == 0, err


def test_plugin_with_a_missing_import_names_it(write_config, run, tmp_path):
    (tmp_path / "broken_plugin.py").write_text("import a_missing_package\n")
    code, _, err = run("fit", "--config", write_config({}), "--plugins", "broken_plugin", on_demo=False)
    assert code == 1 and "No module named 'a_missing_package'" in err
