"""Training checkpoints that describe their model, and loading a model from such a file alone.

Beside Lightning's entries, a checkpoint has `tc_clip`: the model's configuration and the text of its tokenizer files.
"""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from tc_clip_pl.modules.systems import find_system
from tc_clip_pl.modules.video_clip import VideoCLIP

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL_PREFIX = "model."


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint says besides its weights; None where an earlier version did not record it.

    Attributes:
        path: The file.
        model: Options of its configuration, among them the name and hash of CLIP.
        class_names: Y names of the classes trained on.
        run: `name`, `config` and `command` of the run that wrote it.
        epoch: Completed epochs before the one it was written in, so that 0 is the first.
        global_step: Optimizer steps done.
        resumable: Whether it holds the state of optimizer and schedule besides the weights.
    """

    path: Path
    model: Mapping[str, Any]
    class_names: list[str] | None
    run: Mapping[str, Any] | None
    epoch: int | None
    global_step: int | None
    resumable: bool

    @property
    def missing(self) -> list[str]:
        """What an earlier version did not record, in words."""
        parts = {
            "its CLIP's hash": self.model.get("clip_sha256"),
            "its class names": self.class_names,
            "the configuration of its run": self.run,
        }
        return [name for name, value in parts.items() if not value]

    @property
    def selection(self) -> str | None:
        """Which epoch the file stands for: "last", "best" (in validation), or None if its name does not tell."""
        return self.path.stem if self.path.stem in ("last", "best") else None


def describe_model(model: VideoCLIP, class_names: Sequence[str] = (), run: Mapping[str, Any] | None = None) -> dict:
    """Describe everything but the weights of a model, as plain values and text.

    Args:
        model: The model.
        class_names: Y names of the classes trained on.
        run: `name`, `config` and `command` of the run, as JSON has them.

    Returns:
        `config`, `tokenizer` (file name -> text, None where the model has none), `class_names`, and
        `run`.
    """
    # Plain values and text only: `read_checkpoint` loads with weights_only=True, which refuses to unpickle objects.
    tokenizer = getattr(model, "tokenizer", None)
    return {
        "config": model.config.to_dict(),
        "tokenizer": tokenizer and _tokenizer_files(tokenizer),
        "class_names": list(class_names),
        "run": dict(run or {}),
    }


def read_facts(path: str | Path) -> CheckpointFacts:
    """Read what a checkpoint says about its model and its run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a training checkpoint of this project.
    """
    path = Path(path)
    version = path.stat() if path.is_file() else None
    # A copy, so that nobody changes what the next one reads.
    return copy.deepcopy(_read_version(path, version and (version.st_ino, version.st_mtime_ns, version.st_size)))


@lru_cache(maxsize=4)
def _read_version(path: Path, version: tuple[int, ...] | None) -> CheckpointFacts:
    """Read a file as it is now, once: a test asks for its facts five times, and the optimizer's state is long."""
    checkpoint = read_checkpoint(path)
    stored = checkpoint["tc_clip"]
    return CheckpointFacts(
        path=path,
        model=stored["config"],
        class_names=stored.get("class_names") or None,
        run=stored.get("run") or None,
        epoch=checkpoint.get("epoch"),
        global_step=checkpoint.get("global_step"),
        resumable="optimizer_states" in checkpoint,
    )


def check_settings(given: Mapping[str, Any], facts: CheckpointFacts, section: str = "model.config") -> None:
    """Refuse settings of the model that contradict its checkpoint.

    Args:
        given: Options of the configuration; None where an option is left open.
        facts: The checkpoint.
        section: Where the configuration has these options.

    Raises:
        ValueError: If one differs, naming both values.
    """
    for name, value in given.items():
        if value is not None and name in facts.model and plain(value) != plain(facts.model[name]):
            # The data set the number of frames unless the model does.
            key = f"{section}.{name}" if name != "num_frames" else f"data.num_frames or {section}.num_frames"
            raise ValueError(contradiction(key, value, facts.model[name], facts.path))


def contradiction(key: str, given: Any, stored: Any, path: Path) -> str:
    """Return the sentence that names a setting and its two values."""
    return f"{key} is {plain(given)}, but {path} was trained with {plain(stored)}: leave the setting out."


def plain(value: Any) -> Any:
    """Return a value as JSON has it: a tuple as a list, so that both compare equal."""
    return list(value) if isinstance(value, tuple) else value


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Open a training checkpoint with its tensors memory-mapped, so that only those used are read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a training checkpoint of this project.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint file {path}; check the path.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: it is not a checkpoint, or incomplete; use another file.") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "tc_clip"} <= checkpoint.keys():
        raise ValueError(
            f"{path} is not a checkpoint written by `tcclip fit`; use one of its last.ckpt or best.ckpt, or make a "
            "folder of a published one by `tcclip convert`."
        )
    return checkpoint


def load_model(ckpt_path: str | Path) -> VideoCLIP:
    """Load the model of a training checkpoint, with its tokenizer, from that file alone.

    Args:
        ckpt_path: A file such as `last.ckpt`.

    Returns:
        A `TCCLIP`, or another system, on the CPU, in evaluation mode, with the fine-tuned weights; set its class names
        with `set_class_names`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a training checkpoint of this project.
    """
    checkpoint = read_checkpoint(ckpt_path)
    description = checkpoint["tc_clip"]
    system = find_system(description["config"]["model_type"])
    model = system(system.config_class.from_dict(description["config"]))
    if description["tokenizer"]:
        model.tokenizer = _tokenizer_from_files(description["tokenizer"])
    _load_state_dict(model, checkpoint)
    return model.eval()


def load_weights(model: VideoCLIP, ckpt_path: str | Path) -> None:
    """Load the weights of a training checkpoint into a model of the same architecture.

    Another system's checkpoint that holds no more than a CLIP, such as a ViFi-CLIP's, gives what the model has of CLIP.

    Args:
        model: Any system.
        ckpt_path: A file such as `last.ckpt`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a training checkpoint of this project, or belongs to another model.
    """
    checkpoint = read_checkpoint(ckpt_path)
    weights, own = _model_weights(checkpoint), model.state_dict()
    stored = checkpoint["tc_clip"]["config"].get("model_type")
    is_other = stored != model.config.model_type
    new = model.new_parameter_names()
    if is_other and (adapted := model.adapt_clip_weights(weights)).keys() == own.keys() - new:
        weights = {**adapted, **{name: own[name] for name in new}}
        rank_zero_info(f"{ckpt_path} is a fine-tuned CLIP; the {len(new)} tensors that {model.title} adds start anew.")
    elif is_other:
        raise ValueError(
            f"{ckpt_path} is of the system {stored}, whose weights are not those of {model.title}: start from one of "
            "the same system, or of a fine-tuned CLIP without further parameters."
        )
    check_state_dict(weights, own)
    model.load_state_dict(weights)


def _load_state_dict(model: VideoCLIP, checkpoint: Mapping[str, Any]) -> None:
    state_dict = _model_weights(checkpoint)
    check_state_dict(state_dict, model.state_dict())
    model.load_state_dict(state_dict)


def _model_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    # The rest of the LightningModule's state, if any, is not the model's.
    weights = checkpoint["state_dict"].items()
    return {name.removeprefix(MODEL_PREFIX): value for name, value in weights if name.startswith(MODEL_PREFIX)}


def check_state_dict(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check that two state dicts have the same names and shapes.

    Raises:
        ValueError: If they differ, naming the first difference.
    """
    differences = [f"has no {name}" for name in sorted(expected.keys() - given.keys())]
    differences += [f"has {name}, which this model lacks" for name in sorted(given.keys() - expected.keys())]
    for name in sorted(given.keys() & expected.keys()):
        if (theirs := tuple(given[name].shape)) != (ours := tuple(expected[name].shape)):
            differences.append(f"has {name} of shape {theirs} where this model has {ours}")
    if differences:
        # One difference is enough to see which option is wrong; a list of hundreds would hide it.
        others = f" (and {len(differences) - 1} more differences)" if len(differences) > 1 else ""
        raise ValueError(
            f"The checkpoint belongs to another model: it {differences[0]}{others}; "
            "give the --model.pretrained and the options of the model that it was trained with."
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
