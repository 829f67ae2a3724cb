"""Reading a configuration, weights and a tokenizer from a folder or the hub, with errors that say what is wrong."""

import hashlib
import json
import os
import pickle
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from huggingface_hub import constants
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME, cached_file

from tc_clip_pl.modules.backbone.interface import BackboneConfig, BackboneModel
from tc_clip_pl.modules.names import SHIPPED, locate
from tc_clip_pl.modules.systems import SYSTEMS

HUB_SECONDS = 2.0  # without a network, the retries of its own client take 25 seconds
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def read_config(name_or_path: str) -> dict[str, Any]:
    """Read the stored configuration of a CLIP or a system made from one.

    Args:
        name_or_path: A folder in Hugging Face's format, a name on its hub, or one of `SHIPPED`.

    Raises:
        OSError: If there is none, or the hub cannot be reached.
        ValueError: If it is damaged, or belongs to another kind of model.
    """
    try:
        path = cached_file(locate(name_or_path), CONFIG_NAME, local_files_only=not _asks_the_hub(name_or_path))
    except OSError as error:
        raise OSError(_explain_missing(name_or_path)) from error
    if path is None:  # transformers' answer for a folder without the file
        raise OSError(_explain_missing(name_or_path))
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): copy or download the model again.") from error
    if not isinstance(stored, dict) or stored.get("model_type") not in (BackboneConfig.model_type, *SYSTEMS):
        kind = stored.get("model_type") if isinstance(stored, dict) else None
        raise ValueError(f"{name_or_path} holds a model of type {kind!r}: give a CLIP with a vision transformer.")
    _check_config(stored, path)
    return stored


def is_plain_clip(name_or_path: str) -> bool:
    """Return whether a model is a CLIP, rather than a saved TC-CLIP or a checkpoint of training.

    Raises:
        OSError, ValueError: As `read_config`.
    """
    if Path(locate(name_or_path)).is_file():
        return False
    return read_config(name_or_path)["model_type"] == BackboneConfig.model_type


def find_file(name_or_path: str, file: str) -> Path | None:
    """Find a file of a model; None if the model has no such file.

    Args:
        name_or_path: A folder in Hugging Face's format, a name on its hub, or one of `SHIPPED`.
        file: Its name, such as ``preprocessor_config.json``.
    """
    try:
        path = cached_file(locate(name_or_path), file, local_files_only=not _asks_the_hub(name_or_path))
    except OSError:
        return None
    return path and Path(path)


def _check_config(stored: dict[str, Any], path: str) -> None:
    try:
        BackboneConfig.from_dict({**stored, "model_type": BackboneConfig.model_type})
    except (StrictDataclassError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split()).partition(". Errors:")[0]  # the rest repeats it for every allowed type
        raise ValueError(f"{path} does not describe a CLIP ({reason}): copy or download the model again.") from error


def load_clip(name_or_path: str) -> BackboneModel:
    """Load a plain CLIP in float32 on the CPU.

    Raises:
        OSError: If there is none, or the hub cannot be reached.
        ValueError: If a weight is missing, left over or of another shape.
    """
    return load_checked(BackboneModel.from_pretrained, name_or_path)


def load_checked(load: Callable[..., Any], name_or_path: str, **kwargs: Any) -> Any:
    """Call a ``from_pretrained`` and refuse weights that do not fit.

    Args:
        load: The method, of any class of transformers.
        name_or_path: A folder or a name on the hub.
        **kwargs: Further arguments of the method.

    Returns:
        The model, in float32.

    Raises:
        OSError: If there is no such model, or the hub cannot be reached.
        ValueError: If the weights are damaged, or one is missing, left over or of another shape.
    """
    try:
        options = {"dtype": torch.float32, "local_files_only": not _asks_the_hub(name_or_path)}
        model, info = load(locate(name_or_path), output_loading_info=True, **options, **kwargs)
    except (SafetensorError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(_explain_unreadable(name_or_path)) from error
    except OSError as error:
        # transformers wraps an unreadable file in an OSError, too, and says that it must be a folder or a name.
        unreadable = "pickle" in str(error) or "load the weights" in str(error) or "checkpoint file" in str(error)
        raise OSError(_explain_unreadable(name_or_path) if unreadable else _explain_missing(name_or_path)) from error
    except RuntimeError as error:
        raise ValueError(f"The weights in {name_or_path} do not fit its configuration: {error}") from error
    # transformers would only log these and go on with random weights.
    wrong = [
        f"{kind.split('_')[0]} {key}" for kind in ("missing_keys", "unexpected_keys") for key in sorted(info[kind])
    ]
    if wrong:
        raise ValueError(f"The weights in {name_or_path} do not match its configuration: {', '.join(wrong[:5])}.")
    return model


def load_tokenizer(name_or_path: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer stored next to the weights.

    Raises:
        OSError: If there is none.
    """
    missing = f"{name_or_path} has no tokenizer: add tokenizer.json, or vocab.json and merges.txt."
    try:
        only_local = not _asks_the_hub(name_or_path)
        options = {"local_files_only": only_local, "config": BackboneConfig()}  # config.json may name a system
        tokenizer = AutoTokenizer.from_pretrained(locate(name_or_path), **options)
    except (OSError, ValueError) as error:
        raise OSError(missing) from error
    # Without any of the files, transformers makes an empty tokenizer that knows the special tokens only.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise OSError(missing)
    return tokenizer


def hash_weights(state_dict: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, in hexadecimal, of the names and values of a state dict, whatever file held them."""
    digest = hashlib.sha256()
    for name in sorted(state_dict):  # sorted: files of different formats have different orders
        digest.update(name.encode())
        digest.update(state_dict[name].detach().cpu().contiguous().numpy())
    return digest.hexdigest()


def identify_clip(name_or_path: str) -> str | None:
    """Return the `hash_weights` of a CLIP, or of the CLIP that a saved model was made from.

    Raises:
        OSError, ValueError: As `read_config` and `load_clip`.
    """
    stored = read_config(name_or_path)
    if stored["model_type"] != BackboneConfig.model_type:
        return stored.get("clip_sha256")
    return hash_weights(load_clip(name_or_path).state_dict())


def check_same_clip(config: BackboneConfig, weights: Mapping[str, Tensor]) -> None:
    """Refuse the weights of another CLIP than the one that a model was made from.

    Raises:
        ValueError: If they differ; models saved before the hash was recorded cannot be checked.
    """
    if config.clip_sha256 and (found := hash_weights(weights)) != config.clip_sha256:
        raise ValueError(
            f"{config.clip_name_or_path} holds another CLIP ({found[:12]}) than the one that this model was made from "
            f"({config.clip_sha256[:12]}): ensembling needs that one."
        )


def _asks_the_hub(name_or_path: str) -> bool:
    """Return whether a name may be looked up over the network: no folder, and the hub answers at once."""
    is_path = Path(locate(name_or_path)).is_dir() or name_or_path.startswith((".", "/", "~"))
    return not is_path and not constants.HF_HUB_OFFLINE and _hub_answers()


@cache
def _hub_answers() -> bool:
    """Return whether the hub takes a connection; names that were downloaded before load without it."""
    if any(os.environ.get(name) for name in PROXY_VARIABLES):
        return True  # only the proxy resolves the name of the hub
    answered = []

    def connect() -> None:
        hub = urlsplit(constants.ENDPOINT)
        with suppress(OSError):
            port = hub.port or (80 if hub.scheme == "http" else 443)
            socket.create_connection((hub.hostname, port), HUB_SECONDS).close()
            answered.append(True)

    # In a thread, since resolving the name of the hub has no time limit of its own.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(HUB_SECONDS)
    return bool(answered)


def _explain_unreadable(name_or_path: str) -> str:
    return (
        f"The weights in {name_or_path} cannot be read: the file is truncated, or not made of plain tensors; copy or "
        "download model.safetensors again."
    )


def _explain_missing(name_or_path: str) -> str:
    if Path(name_or_path).is_dir():
        return f"The folder {name_or_path} does not hold a CLIP: config.json and model.safetensors are needed."
    return (
        f"{name_or_path!r} is not a local folder, and the Hugging Face hub did not provide it (no network, or no such "
        "name): give a local folder with CLIP's config.json, model.safetensors and tokenizer files, or "
        f"{' or '.join(SHIPPED)}, which comes with this package."
    )
