"""The shipped configurations: where they are, how to find one by name, and `tcclip configs`, which lists them."""

import textwrap
from itertools import groupby
from pathlib import Path

from tc_clip_pl.cli.errors import UserError, ended, suggest

HELP = """\
tcclip configs:
list the shipped configurations with descriptions, and the folder they are in

  tcclip configs
  tcclip fit --config few_shot_hmdb --print_config    one of them, with defaults"""

WIDTH = 80  # of a terminal
DEFAULTS = "defaults.yaml"  # what every run starts from: no experiment of its own
GROUPS = {
    ".": "Experiments",
    "models": "Models, to combine with an experiment (--config X --config models/vifi_clip)",
    "clusters": "Clusters, to combine likewise (--config X --config clusters/slurm)",
    "synthetic": "Evidence on the generated world, to sweep likewise (--sweep synthetic/positions)",
    "ablations": "Tables of the paper, to sweep (tcclip sweep --sweep ablations/table_8a)",
}


def shipped_config_folder() -> Path:
    """Return the folder of the shipped configurations, in an installed package or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """Return the shipped configurations by name, such as `demo.yaml` and `models/vifi_clip.yaml`, folder by folder."""
    folder = shipped_config_folder()
    paths = [path for group in GROUPS for path in sorted((folder / group).glob("*.yaml")) if path.name != DEFAULTS]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def find_config(name: str) -> Path:
    """Find a configuration: a file, or one of the shipped configurations if there is no such file.

    Args:
        name: Path of a file, or name of a shipped configuration, such as `few_shot_hmdb`; `.yaml` is optional.

    Raises:
        UserError: If there is no such configuration.
    """
    shipped = shipped_configs()
    for candidate in (name, f"{name}.yaml"):
        if Path(candidate).is_file():
            return Path(candidate)
        if candidate in shipped:
            return shipped[candidate]
    places = "neither in the current directory nor among the shipped ones (`tcclip configs` lists them)"
    raise UserError(ended(f"There is no configuration {name!r}, {places}{suggest(name, shipped)}"))


def describe_config(path: Path) -> str:
    """Return the description of a configuration: its second comment line, after the command that runs it."""
    comments = [line.lstrip("# ").rstrip() for line in path.read_text(encoding="utf-8").splitlines()[:2]]
    return comments[-1]


def _indented(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def list_configs(argv: list[str]) -> None:
    """Print every shipped configuration with its description: `tcclip configs`."""
    if argv:
        raise UserError(f"`tcclip configs` takes no arguments, but got {' '.join(argv)}; leave them out.")
    # The names come sorted by folder, as groupby needs them.
    for group, names in groupby(shipped_configs().items(), key=lambda item: str(Path(item[0]).parent)):
        print(GROUPS[group])
        for name, path in names:
            print(f"  {name}\n{_indented(describe_config(path))}")
        print()
    print(f"The files are in {shipped_config_folder()}")
