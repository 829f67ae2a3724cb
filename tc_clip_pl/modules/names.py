"""Where a model is that is given by a folder, by a name on the hub, or by the short name of one that is shipped."""

from pathlib import Path

SHIPPED = {"world": Path(__file__).parent.parent / "checkpoints" / "world_clip"}
"""Short name -> folder of a CLIP that comes with this package; `./world` is a folder of one's own."""


def locate(name_or_path: str) -> str:
    """Return the folder of a shipped model; any other name or path as it is."""
    return str(SHIPPED.get(name_or_path, name_or_path))


def recorded_name(name_or_path: str) -> str:
    """Return the name by which a model is found again: short and hub names as they are, folders absolute."""
    is_folder = name_or_path not in SHIPPED and Path(name_or_path).exists()
    return str(Path(name_or_path).resolve()) if is_folder else name_or_path
