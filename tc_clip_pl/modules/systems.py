"""The systems that can be trained and compared, by the `model_type` of their configuration."""

from importlib import import_module

# Import paths rather than classes: a run imports the one it uses.
SYSTEMS = {
    "tc_clip": "tc_clip_pl.modules.tc_clip.TCCLIP",
    "a5": "tc_clip_pl.baselines.a5.model.A5",
    "vitaclip": "tc_clip_pl.baselines.vitaclip.model.VitaCLIP",
    "xclip": "tc_clip_pl.baselines.xclip.model.XCLIP",
    "actionclip": "tc_clip_pl.baselines.actionclip.model.ActionCLIP",
    "ost": "tc_clip_pl.baselines.ost.model.OST",
    "vifi_prompt": "tc_clip_pl.baselines.vifi_prompt.model.ViFiPrompt",
}


def find_system(model_type: str) -> type:
    """Import the class of a system, a `VideoCLIP`.

    Args:
        model_type: Its name, or the import path of a `VideoCLIP` of your own.

    Raises:
        ValueError: If there is no such system.
    """
    path = SYSTEMS.get(model_type, model_type)
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise ValueError(
            f"model.system is {model_type!r}: choose one of {', '.join(SYSTEMS)}, or give the import path of your own."
        )
    try:
        return getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"model.system is {model_type!r}, which cannot be imported ({error}).") from error
