"""Reading files of `torch.save` from anywhere, without running any code that is pickled in them."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch


class _EqualToDict(type):
    # The unpickler sets items only on types that equal `dict`, and appends only to subclasses of `list`. Pickles do
    # both to objects of unknown classes, so their stand-in passes for both.
    def __eq__(cls, other: object) -> bool:
        return cls is other or other is dict

    __hash__ = type.__hash__


class Inert(list, metaclass=_EqualToDict):
    """Stands in for every class and function that a file pickles besides tensors and plain containers.

    The published files hold the configuration of their run, an object of OmegaConf with Python classes inside. Nothing
    of it is needed to rebuild the model, so it is neither imported nor stored.
    """

    # Items of other objects may have it as a key; lists have no hash.
    __hash__ = object.__hash__

    # Pickles construct with any arguments; `list.__new__` ignores them.
    def __init__(self, *_args: object, **_options: object) -> None:
        super().__init__()

    def __setstate__(self, _state: object) -> None:
        """Drop the attributes of a pickled object."""

    def __setitem__(self, _key: object, _value: object) -> None:
        """Drop an item of a pickled mapping."""

    def append(self, _item: object) -> None:
        """Drop an item of a pickled list."""

    def extend(self, _items: object) -> None:
        """Drop the items of a pickled list."""


def read_inert(path: str | Path) -> Any:
    """Read any file of `torch.save` without running any code that is pickled in it.

    Returns:
        What was saved, on the CPU; objects other than tensors and plain containers are empty `Inert`.

    Raises:
        ValueError: If it is not such a file, or pickles calls to the system.
    """
    if _is_program(path):
        raise ValueError(
            f"{path} is a TorchScript program, which is not run here: save its weights by "
            f"torch.save(torch.jit.load({str(path)!r}).state_dict(), FILE) and convert FILE."
        )
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(Inert, name) for name in unknown]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: it is not a checkpoint, or incomplete; use another file.") from error
    except pickle.UnpicklingError as error:  # functions of `os` and `sys` are refused whatever stands in for them
        raise ValueError(f"{path} pickles more than weights and a configuration, so it is not read: {error}") from error


def _is_program(path: str | Path) -> bool:
    """Return whether a file is TorchScript, the form in which OpenAI publishes CLIP: an archive with code in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
