"""Video action recognition with TC-CLIP (ECCV 2024).

The names here load on first use: importing the package does no work.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Recognizer": "tc_clip_pl.inference.recognizer",
    "TCCLIP": "tc_clip_pl.modules.tc_clip",
    "TCCLIPConfig": "tc_clip_pl.modules.config",
    "TCCLIPOutput": "tc_clip_pl.modules.outputs",
    "load_official_state_dict": "tc_clip_pl.checkpoints.official",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
