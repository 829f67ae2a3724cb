"""The shipped configurations: where they are, what they say of themselves, and how a bare name is found."""

from itertools import groupby
from pathlib import Path

from tc_clip_pl.cli.errors import UserError, ended, suggest

DEFAULTS = "defaults.yaml"  # what every run starts from: no experiment of its own
GROUPS = {
    ".": "Experiments",
    "models": "Models, to lay over an experiment: tcclip fit --config few_shot_hmdb --config models/vifi_clip",
    "clusters": "Machines, to lay over an experiment: srun tcclip fit --config zero_shot_k400 --config clusters/slurm",
    "ablations": "Tables of the paper, to sweep: tcclip sweep --sweep ablations/table_8a",
}


def shipped_config_folder() -> Path:
    """The folder of the shipped configurations, in an installed package or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """The shipped configurations by name, such as `demo.yaml` and `models/vifi_clip.yaml`, folder by folder."""
    folder = shipped_config_folder()
    paths = [path for group in GROUPS for path in sorted((folder / group).glob("*.yaml")) if path.name != DEFAULTS]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def find_config(name: str) -> Path:
    """Find a configuration: in the current directory (or at a path), else among the shipped ones.

    Args:
        name: A path, or the name of a shipped one, such as `few_shot_hmdb.yaml`; `.yaml` may be left out.

    Raises:
        UserError: If it is in neither place.
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
    """What a configuration says of itself: its second comment line, the first being the command that runs it."""
    comments = [line.lstrip("# ").rstrip() for line in path.read_text(encoding="utf-8").splitlines()[:2]]
    return comments[-1]


def list_configs(arguments: list[str]) -> None:
    """`tcclip configs`: print every shipped configuration with a line about it."""
    if arguments:
        raise UserError(f"`tcclip configs` takes no arguments, got {' '.join(arguments)}.")
    for group, names in groupby(shipped_configs().items(), key=lambda item: str(Path(item[0]).parent)):
        print(GROUPS[group])
        for name, path in names:
            print(f"  {name}\n      {describe_config(path)}")
        print()
    print(f"Read or copy them in {shipped_config_folder()}")
