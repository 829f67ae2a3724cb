"""The README keeps its promises: its commands parse, its Python runs, what it names exists."""

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from tc_clip_pl.cli import SUBCOMMANDS
from tc_clip_pl.cli.benchmark.tables import fill_tables
from tc_clip_pl.cli.configs import find_config
from tc_clip_pl.modules.config import NAMED_CHOICES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = sorted({line.strip() for line in re.findall(r"^(?:srun \S+ )?tcclip .+$", README, re.M)})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_what_there_is(command):
    words = shlex.split(re.sub(r"^srun \S+ ", "", command))
    assert words[1] in SUBCOMMANDS
    for flag, value in itertools.pairwise(words):
        if flag == "--config" and value not in {"NAME", "my.yaml"}:
            assert find_config(value).is_file()


def test_make_targets_exist():
    targets = re.findall(r"^make (\w+)", README, re.M)
    assert {"demo", "test"} <= set(targets)
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_paths_exist():
    paths = re.findall(r"`((?:tc_clip_pl|datamodules|notebooks|tests|configs|ops|modules|training)/[\w/.]*)`", README)
    assert len(paths) > 5
    for path in paths:
        assert (ROOT / path).exists() or (ROOT / "tc_clip_pl" / path).exists(), path


def test_measured_tables_are_those_of_the_files():
    files = re.findall(r"^<!-- (results/benchmarks/\S+\.json) -->$", README, re.M)
    assert len(files) >= 4
    assert fill_tables(README, ROOT) == README, "run: python results/benchmarks/fill_readme.py"


@pytest.mark.parametrize("path", sorted((ROOT / "results/benchmarks").rglob("*.json")), ids=lambda path: path.stem)
def test_measurements_say_where_they_come_from(path):
    record = json.loads(path.read_text())
    assert record["device"] and record["versions"]["torch"] and record["rows"]
    command = shlex.split(record["command"])
    assert command[:3] == ["tcclip", "benchmark", record["benchmark"]]
    if "--config" in command:
        assert find_config(command[command.index("--config") + 1]).is_file()


def test_choices_are_complete():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", README, re.M))
    assert set(rows) == set(NAMED_CHOICES)
    for option, choices in rows.items():
        assert set(choices.split(", ")) == set(NAMED_CHOICES[option])


def test_python_runs(tmp_path, monkeypatch, capsys):
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "TCCLIP.from_pretrained" in block)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "torch.Size([1, 2]) torch.Size([1, 16, 512])\n"
