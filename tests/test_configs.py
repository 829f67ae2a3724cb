"""Every shipped configuration parses, describes itself, names the command that runs it and follows the recipes."""

import functools
import shlex
from contextlib import redirect_stdout
from io import StringIO

import pytest
import yaml

from tc_clip_pl.cli import SUBCOMMANDS, main
from tc_clip_pl.cli.configs import DEFAULTS, describe_config, shipped_config_folder, shipped_configs

CONFIGS = shipped_configs()
EXPERIMENTS = [name for name in CONFIGS if "/" not in name]
OVERLAYS = [name for name in CONFIGS if name.startswith("models/")]
# learning rate, epochs, warm-up, global batch, views: the recipes of the paper (Appendix G.2)
RECIPES = {
    "zero_shot": (8e-6, 10, 5, 256, (2, 1)),
    "few_shot": (2e-6, 50, 5, 64, (2, 1)),
    "base_to_novel": (3.33e-6, 12, 2, 64, (2, 1)),
    "fully_supervised": (2.2e-5, 30, 5, 512, (4, 3)),
}


@functools.cache
def printed(*argv):
    """What `--print_config` prints, once for all tests: parsing takes longer than they do."""
    with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit) as stop:
        main([*argv, "--print_config"])
    assert stop.value.code in (0, None)
    return out.getvalue()


def parse(*argv):
    """Return the whole configuration of a subcommand."""
    return yaml.safe_load(printed(*argv))


def _leaves(node, path=()):
    if not isinstance(node, dict):
        return {path: node}
    return {key: value for name, child in node.items() for key, value in _leaves(child, (*path, name)).items()}


def test_defaults_are_no_experiment():
    assert DEFAULTS not in CONFIGS
    assert (shipped_config_folder() / DEFAULTS).is_file()


@pytest.mark.parametrize("name", [*EXPERIMENTS, *OVERLAYS])
def test_configuration_only_says_what_differs_from_the_defaults(name):
    defaults = _leaves(yaml.safe_load((shipped_config_folder() / DEFAULTS).read_text()))
    written = _leaves(yaml.safe_load(CONFIGS[name].read_text()))
    # An overlay may set back what an experiment has changed.
    below = [_leaves(yaml.safe_load(CONFIGS[each].read_text())) for each in EXPERIMENTS if name in OVERLAYS]
    changed = {key for experiment in below for key in experiment}
    assert not [key for key in written if key in defaults.keys() - changed and defaults[key] == written[key]]


def test_every_protocol_is_there():
    hmdb, others = {"few_shot_hmdb", "base_to_novel_hmdb"}, {"zero_shot_k400", "fully_supervised_k400", "demo"}
    more = {f"few_shot_{name}" for name in ("ucf", "ssv2")} | {
        f"base_to_novel_{name}" for name in ("k400", "ucf", "ssv2")
    }
    assert {f"{name}.yaml" for name in hmdb | others | more} <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("subcommand", ["fit", "test"])
def test_parses(name, subcommand):
    parsed, written = parse(subcommand, "--config", name), yaml.safe_load(CONFIGS[name].read_text())
    assert parsed["data"]["class_path"] == written["data"]["class_path"]
    assert parsed["trainer"]["max_epochs"] == written["trainer"]["max_epochs"]


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("experiment", ["few_shot_hmdb", pytest.param("zero_shot_k400", marks=pytest.mark.slow)])
def test_model_can_be_laid_over_an_experiment(name, experiment):
    written = yaml.safe_load(CONFIGS[name].read_text())
    parsed = parse("fit", "--config", experiment, "--config", name)
    assert parsed["model"]["pretrained"] == "openai/clip-vit-base-patch16"
    assert written["model"].get("config", {}).items() <= parsed["model"]["config"].items()
    assert parsed["data"]["class_path"] == parse("fit", "--config", experiment)["data"]["class_path"]
    assert parsed["model"]["init_from"] == written["model"].get("init_from")


@pytest.mark.parametrize("name", CONFIGS)
def test_first_comment_is_the_command_and_the_second_the_description(name):
    command, description = CONFIGS[name].read_text().splitlines()[:2]
    assert command.startswith("# tcclip ") and len(command) <= 120
    for words in (shlex.split(part) for part in command.lstrip("# ").split("&&")):
        assert words[0] == "tcclip" and words[1] in SUBCOMMANDS
    assert name in command
    assert description.startswith("# ") and len(description) <= 120
    assert describe_config(CONFIGS[name]) == description.removeprefix("# ")
    assert len(CONFIGS[name].read_text().splitlines()) < 60


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in ("demo.yaml", "synthetic.yaml")])
def test_experiment_follows_the_recipe(name):
    config = parse("fit", "--config", name)
    protocol = next(protocol for protocol in RECIPES if name.startswith(protocol))
    data, model = config["data"]["init_args"], config["model"]
    views = (data["num_temporal_views"], data["num_spatial_views"])
    optimizer, schedule = model["optimizer"]["init_args"], model["lr_scheduler"]["init_args"]
    epochs = (config["trainer"]["max_epochs"], schedule["warmup_epochs"])
    assert (optimizer["lr"], *epochs, data["global_batch_size"], views) == RECIPES[protocol]
    assert schedule["final_lr"] == pytest.approx(optimizer["lr"] / 100)
    assert model["optimizer"]["class_path"] == "torch.optim.AdamW"
    assert model["lr_scheduler"]["class_path"].endswith(".ReleasedSchedule")
    assert (optimizer["betas"], optimizer["eps"], optimizer["weight_decay"]) == ([0.9, 0.98], 1e-8, 1e-3)
    assert data["num_frames"] == 16
    assert (config["seed_everything"], config["ensembling"]["weights"]) == (1024, [1.0, 0.7])
    assert (model["label_smoothing"], model["prompting_lr_factor"]) == (0.1, 10)


def test_zero_shot_tests_three_splits_of_three_datasets():
    tests = parse("test", "--config", "zero_shot_k400")["data"]["init_args"]["tests"]
    assert [test["init_args"]["test_splits"] for test in tests.values()] == [[1, 2, 3]] * 3


def test_what_one_command_adds_the_next_one_does_not_have():
    """The commands of a process share their parser and its defaults."""
    plain = parse("fit", "--config", "demo.yaml")
    longer = parse("fit", "--config", "demo.yaml", "--trainer.callbacks+", "ModelSummary", "--model.label_smoothing=0")
    assert len(longer["trainer"]["callbacks"]) == len(plain["trainer"]["callbacks"]) + 1
    assert yaml.safe_load(printed.__wrapped__("fit", "--config", "demo.yaml")) == plain
