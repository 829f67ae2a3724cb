"""The shipped configurations: where they are, what they say of themselves, and how a bare name is found."""

from pathlib import Path

from tc_clip_pl.cli.errors import UserError, ended, suggest


def shipped_config_folder() -> Path:
    """The folder of the shipped configurations, in an installed package or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """The shipped configurations by file name, in alphabetical order."""
    return {path.name: path for path in sorted(shipped_config_folder().glob("*.yaml"))}


def find_config(name: str) -> Path:
    """Find a configuration: in the current directory (or at a path), else among the shipped ones.

    Args:
        name: A path, or a bare name such as `few_shot_hmdb.yaml`; `.yaml` may be left out.

    Raises:
        UserError: If it is in neither place, listing those that are shipped.
    """
    shipped = shipped_configs()
    for candidate in (name, f"{name}.yaml"):
        if Path(candidate).is_file():
            return Path(candidate)
        if candidate in shipped:
            return shipped[candidate]
    places = f"neither in the current directory nor among the shipped ones ({', '.join(shipped)})"
    raise UserError(ended(f"There is no configuration {name!r}, {places}{suggest(name, shipped)}"))


def describe_config(path: Path) -> str:
    """What a configuration says of itself: its second comment line, the first being the command that runs it."""
    comments = [line.lstrip("# ").rstrip() for line in path.read_text(encoding="utf-8").splitlines()[:2]]
    return comments[-1]


def list_configs(arguments: list[str]) -> None:
    """`tcclip configs`: print every shipped configuration with a line about it."""
    if arguments:
        raise UserError(f"`tcclip configs` takes no arguments, got {' '.join(arguments)}.")
    shipped = shipped_configs()
    width = max(map(len, shipped), default=0)
    for name, path in shipped.items():
        print(f"{name:<{width}}  {describe_config(path)}")
    print(f"\nUse one by its name, as in `tcclip fit --config {next(iter(shipped), 'NAME')}`; read or copy them in")
    print(shipped_config_folder())
