"""What a training checkpoint says about its model, and the way back from the file to the model."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL_PREFIX = "model."


def describe_model(model: TCCLIP) -> dict[str, Any]:
    """Everything but the weights that rebuilding a model takes, as plain values and text.

    Returns:
        `config` (of `TCCLIPConfig`), `tokenizer` (file name -> text, None where the model has none).
    """
    tokenizer = getattr(model, "tokenizer", None)
    return {"config": model.config.to_dict(), "tokenizer": tokenizer and _tokenizer_files(tokenizer)}


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Open a checkpoint written by training, its tensors mapped from the file rather than read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a training checkpoint of this project.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint file {path}.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: it is not a checkpoint, or not a complete one.") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "tc_clip"} <= checkpoint.keys():
        raise ValueError(f"{path} is not a checkpoint written by `tcclip fit`.")
    return checkpoint


def load_model(ckpt_path: str | Path) -> TCCLIP:
    """Rebuild the model of a training checkpoint, with its tokenizer, from that file alone.

    Args:
        ckpt_path: A file such as `last.ckpt`.

    Returns:
        A `TCCLIP` on the CPU, in evaluation mode and with the fine-tuned weights; give it class names with
        `set_class_names`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a training checkpoint of this project.
    """
    checkpoint = read_checkpoint(ckpt_path)
    description = checkpoint["tc_clip"]
    model = TCCLIP(TCCLIPConfig.from_dict(description["config"]))
    if description["tokenizer"]:
        model.tokenizer = _tokenizer_from_files(description["tokenizer"])
    _load_state_dict(model, checkpoint)
    return model.eval()


def load_weights(model: TCCLIP, ckpt_path: str | Path) -> None:
    """Put the weights of a training checkpoint into a model of the same shape.

    Args:
        model: Any `TCCLIP`.
        ckpt_path: A file such as `last.ckpt`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a training checkpoint of this project, or belongs to another model.
    """
    _load_state_dict(model, read_checkpoint(ckpt_path))


def _load_state_dict(model: TCCLIP, checkpoint: Mapping[str, Any]) -> None:
    weights = checkpoint["state_dict"].items()
    state_dict = {name.removeprefix(MODEL_PREFIX): value for name, value in weights if name.startswith(MODEL_PREFIX)}
    check_state_dict(state_dict, model.state_dict())
    model.load_state_dict(state_dict)


def check_state_dict(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Compare the names and shapes of two state dicts.

    Raises:
        ValueError: If they differ, naming the first difference.
    """
    differences = [f"has no {name}" for name in sorted(expected.keys() - given.keys())]
    differences += [f"has {name}, which this model lacks" for name in sorted(given.keys() - expected.keys())]
    for name in sorted(given.keys() & expected.keys()):
        if (theirs := tuple(given[name].shape)) != (ours := tuple(expected[name].shape)):
            differences.append(f"has {name} of shape {theirs} where this model has {ours}")
    if differences:
        others = f" (and {len(differences) - 1} more differences)" if len(differences) > 1 else ""
        raise ValueError(
            f"The checkpoint belongs to another model: it {differences[0]}{others}; "
            "give the --model.pretrained and --model.config that it was trained with."
        )


def _tokenizer_files(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_text(encoding="utf-8") for path in Path(folder).iterdir() if path.is_file()}


def _tokenizer_from_files(files: Mapping[str, str]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        return AutoTokenizer.from_pretrained(folder)
