"""Subcommands that need no training: help pages, the list of configurations, wrong subcommands."""

import re
import subprocess
import sys
import time

import pytest
import yaml

from tc_clip_pl.cli import SUBCOMMANDS, main
from tc_clip_pl.cli.config_args import configs_first
from tc_clip_pl.cli.configs import DEFAULTS, find_config, shipped_config_folder
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.help_pages import subcommand_help


@pytest.mark.parametrize("argv", [[], ["--help"], *([name, "--help"] for name in SUBCOMMANDS)])
def test_help_appears_within_three_seconds(argv):
    began = time.perf_counter()
    command = [sys.executable, "-c", "import sys; from tc_clip_pl.cli import main; sys.exit(main())", *argv]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert time.perf_counter() - began < 3
    assert "tcclip" in run.stdout
    assert all(len(line) <= 80 for line in run.stdout.splitlines())


def test_top_level_help_names_every_subcommand(capsys):
    main([])
    text = capsys.readouterr().out
    assert all(f"tcclip {name}" in text for name in SUBCOMMANDS)


def test_configs_are_listed_with_a_line_each(capsys):
    assert main(["configs"]) == 0
    text = capsys.readouterr().out
    assert all(path.name in text for path in shipped_config_folder().glob("*.yaml") if path.name != DEFAULTS)


def test_config_is_found_here_first_then_among_the_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("few_shot_hmdb.yaml") == shipped_config_folder() / "few_shot_hmdb.yaml"
    assert find_config("few_shot_hmdb") == shipped_config_folder() / "few_shot_hmdb.yaml"
    (tmp_path / "few_shot_hmdb.yaml").touch()
    assert find_config("few_shot_hmdb.yaml").resolve() == tmp_path / "few_shot_hmdb.yaml"


@pytest.mark.parametrize("form", [["--config", "demo.yaml"], ["--config=demo.yaml"], ["-c", "demo"]])
def test_configs_come_before_the_options_that_change_them(form):
    options, paths = configs_first(["--data.root", "x", *form, "--data.split", "2"])
    demo = shipped_config_folder() / "demo.yaml"
    assert paths == [demo]
    assert options == ["--config", str(demo), "--data.root", "x", "--data.split", "2"]


def test_config_without_a_name():
    with pytest.raises(UserError, match="--config needs"):
        configs_first(["--config"])


def test_every_option_of_the_help_page_exists(run, capsys):
    with pytest.raises(SystemExit) as stop:
        run("fit", "--print_config", on_demo=True)
    assert stop.value.code in (0, None)
    config = yaml.safe_load(capsys.readouterr().out)
    for key in re.findall(r"--([a-z_]+(?:\.[a-z_]+)*) ", subcommand_help("fit")):
        if key in ("config", "debug", "data.help"):
            continue
        node = config
        for part in key.split("."):
            node = node.get("init_args", node)
            assert part in node, key
            node = node[part]
