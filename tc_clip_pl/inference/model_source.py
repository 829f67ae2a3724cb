"""The model behind a run folder, a checkpoint, a saved folder, or a name on the hub, and the clips that it takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.input_contract import FIELDS, FILE_NAME, read_input_contract, says_sampling
from datamodules.options import ClipOptions
from tc_clip_pl.modules.loading import find_file, is_plain_clip, read_config
from tc_clip_pl.modules.systems import find_system
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.training.checkpoint import CheckpointFacts, load_model, read_facts

DEFAULT = "world"
"""The model where none is named: the small CLIP that comes with this package."""
ZERO_SHOT = {"reference_tokens": "none", "prompting": "template"}
"""A plain CLIP answers frame by frame: TC and VP add parameters that would be random."""
LAST_CHECKPOINT = "checkpoints/last.ckpt"


def load_source(source: str | Path, **overrides: Any) -> tuple[VideoCLIP, ClipOptions]:
    """Load a model and the options of its input.

    Args:
        source: A run folder, a checkpoint, a folder in Hugging Face's format, a name on its hub, or "world".
        **overrides: Options of `TCCLIPConfig` for a plain CLIP, such as ``reference_tokens="context"``; without any, it
            answers frame by frame.

    Returns:
        The model in evaluation mode on the CPU, and how its clips are sampled, cropped and normalized: as in the run
        that trained it, or as the folder says; the published test settings where nothing is recorded.

    Raises:
        OSError: There is no such model.
        ValueError: It is damaged or of another kind, or a folder holds several runs.
    """
    path = _find_checkpoint(Path(source)) if Path(source).is_dir() else Path(source)
    if path is not None and path.is_file():
        return load_model(path), recorded_input(read_facts(path))
    name = str(source)
    if is_plain_clip(name):
        model = TCCLIP.from_pretrained(name, **(overrides or ZERO_SHOT))
        return model, replace(_sizes(model), **_processor_colors(name))
    model = find_system(read_config(name)["model_type"]).from_pretrained(name)
    contract = find_file(name, FILE_NAME)
    if contract is None or not says_sampling(contract):
        return model, replace(_sizes(model), **_processor_colors(name))
    return model, read_input_contract(contract.parent)


def recorded_input(facts: CheckpointFacts) -> ClipOptions:
    """Return how clips are sampled and normalized for the model of a checkpoint.

    Size and number of frames are the model's; what its run did not record has the default.
    """
    data = ((facts.run or {}).get("config") or {}).get("data") or {}
    recorded = data.get("init_args") or {}
    recorded = {**recorded, **((recorded.get("train") or {}).get("init_args") or {})}  # of a suite
    stored = {name: recorded[name] for name in FIELDS if recorded.get(name) is not None}
    stored |= {name: tuple(stored[name]) for name in ("mean", "std") if name in stored}
    size = facts.model["vision_config"]["image_size"]
    return ClipOptions(**{**stored, "num_frames": facts.model["num_frames"], "image_size": size})


def _find_checkpoint(folder: Path) -> Path | None:
    """Return the last checkpoint of a run folder; None for a folder of another kind."""
    if (folder / "config.json").is_file():
        return None
    found = sorted({*folder.glob(LAST_CHECKPOINT), *folder.glob(f"*/{LAST_CHECKPOINT}")})
    if len(found) > 1:
        runs = ", ".join(str(path.parent.parent) for path in found)
        raise ValueError(f"{folder} holds several runs ({runs}): name one of them.")
    if not found:
        raise FileNotFoundError(
            f"{folder} holds neither a model (config.json) nor a run ({LAST_CHECKPOINT}): check the path."
        )
    return found[0]


def _sizes(model: VideoCLIP) -> ClipOptions:
    return ClipOptions(num_frames=model.config.num_frames, image_size=model.config.vision_config.image_size)


def _processor_colors(name: str) -> dict[str, tuple[float, ...]]:
    """Return the mean and std in the image processor of a model of other makers; none if it has no such file."""
    path = find_file(name, FILE_NAME)
    if path is None:
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {key: tuple(255 * value for value in stored[f"image_{key}"]) for key in ("mean", "std")}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} does not name image_mean and image_std ({error}): download the model again."
        ) from error
