"""Every shipped configuration parses, describes itself and names the command that runs it."""

import shlex

import pytest
import yaml

from tc_clip_pl.cli import SUBCOMMANDS, main
from tc_clip_pl.cli.configs import describe_config, shipped_configs

CONFIGS = shipped_configs()


def test_there_are_some():
    assert {"few_shot_hmdb.yaml", "demo.yaml"} <= CONFIGS.keys()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("subcommand", ["fit", "test"])
def test_parses(name, subcommand, capsys):
    with pytest.raises(SystemExit) as stop:
        main([subcommand, "--config", name, "--print_config"])
    assert stop.value.code in (0, None)
    parsed = yaml.safe_load(capsys.readouterr().out)
    written = yaml.safe_load(CONFIGS[name].read_text())
    assert parsed["data"]["class_path"] == written["data"]["class_path"]
    assert parsed["trainer"]["max_epochs"] == written["trainer"]["max_epochs"]


@pytest.mark.parametrize("name", CONFIGS)
def test_first_comment_is_the_command_and_the_second_the_description(name):
    command, description = CONFIGS[name].read_text().splitlines()[:2]
    assert command.startswith("# tcclip ")
    for words in (shlex.split(part) for part in command.lstrip("# ").split("&&")):
        assert words[0] == "tcclip" and words[1] in SUBCOMMANDS
    assert f"fit --config {name}" in command
    assert description.startswith("# ") and describe_config(CONFIGS[name]) == description.removeprefix("# ")
    assert len(CONFIGS[name].read_text().splitlines()) < 50


def test_few_shot_follows_the_recipe():
    config = yaml.safe_load(CONFIGS["few_shot_hmdb.yaml"].read_text())
    assert config["data"]["init_args"]["global_batch_size"] == 64
    assert config["data"]["init_args"]["num_frames"] == 16
    assert config["model"]["learning_rate"] == 2e-6
    assert config["model"]["final_learning_rate"] == 2e-8
    assert (config["trainer"]["max_epochs"], config["model"]["warmup_epochs"]) == (50, 5)
    assert config["ensembling"]["weight"] == 0.7
