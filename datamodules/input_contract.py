"""What a saved model expects of its input: a file in the folder of the model, so that a caller needs only a clip.

The file is a `preprocessor_config.json` of Hugging Face's CLIP, so that `AutoImageProcessor` prepares single frames by
it, with the sampling of frames and views beside.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.options import ClipOptions
from datamodules.transforms.spatial import short_side

FILE_NAME = "preprocessor_config.json"
SAMPLING = ("num_frames", "frame_sampling", "num_temporal_views", "num_spatial_views", "window_seconds")
"""Options that the file stores under their own names; it stores size, mean and std as Hugging Face names them."""
FIELDS = (*SAMPLING, "image_size", "mean", "std")
BILINEAR = 2  # as PIL numbers its filters


def write_input_contract(folder: str | Path, options: ClipOptions) -> None:
    """Write frames, sampling, size, crop, mean, std and views next to a model.

    Args:
        folder: Folder of the model.
        options: Of `FIELDS`; the others belong to a machine or a run.

    Raises:
        DataError: If a value is out of range.
    """
    options.check()
    size = options.image_size
    contract = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": short_side(size, options.num_spatial_views)},
        "resample": BILINEAR,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [value / 255 for value in options.mean],
        "image_std": [value / 255 for value in options.std],
        "do_convert_rgb": True,
        **{name: value for name, value in asdict(options).items() if name in SAMPLING},
    }
    (Path(folder) / FILE_NAME).write_text(json.dumps(contract, indent=2) + "\n", encoding="utf-8")


def read_input_contract(folder: str | Path) -> ClipOptions:
    """Read what `write_input_contract` wrote; options outside `FIELDS` have their defaults.

    Raises:
        DataError: If there is no such file, or it is not one of `write_input_contract`.
    """
    path = Path(folder) / FILE_NAME
    try:
        options = _parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give a folder of `tcclip convert`.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} does not say how clips are sampled: write the folder by `tcclip convert`.") from error
    options.check()
    return options


def says_sampling(path: str | Path) -> bool:
    """Return whether a `preprocessor_config.json` names how frames are sampled; those of image models do not.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): write the folder by `tcclip convert`.") from error
    return isinstance(stored, dict) and not stored.keys().isdisjoint(SAMPLING)


def _parse(stored: dict[str, Any]) -> ClipOptions:
    mean, std = (tuple(round(255 * value, 9) for value in stored[name]) for name in ("image_mean", "image_std"))
    sampling = {name: stored[name] for name in SAMPLING if name != "window_seconds" or name in stored}  # added later
    return ClipOptions(**sampling, image_size=stored["crop_size"]["height"], mean=mean, std=std)
