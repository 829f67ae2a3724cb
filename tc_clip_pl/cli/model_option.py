"""The model that `--model` names, on the devices that `--device` names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from tc_clip_pl.inference.recognizer import Recognizer

CLIP_OPTIONS = ("batch_size", "num_workers", "decoder")
"""Options of a command that are fields of `ClipOptions` by the same name."""


def name_model(model: str | None, stored: str | None = None) -> str:
    """Return the source of the model: as given, else as stored, else the shipped one, which is said."""
    from tc_clip_pl.inference.model_source import DEFAULT

    if model is None and stored is None:
        print(f"No --model: {DEFAULT} is used, a small CLIP that knows only generated films.", file=sys.stderr)
    return model or stored or DEFAULT


def load_recognizer(options: Namespace, stored: str | None = None, **clip_options: Any) -> Recognizer:
    """Load the model of a command.

    Args:
        options: With `model`, and whichever of `device` and `CLIP_OPTIONS` the command has.
        stored: The source where `--model` is not given.
        **clip_options: Further fields of `ClipOptions`.

    Raises:
        UserError: An option is out of range, or the device is not there.
        OSError, ValueError: There is no such model.
    """
    from datamodules.errors import DataError
    from tc_clip_pl.inference.recognizer import Recognizer

    source = name_model(options.model, stored)
    given = {name: options[name] for name in CLIP_OPTIONS if options.get(name) is not None}
    device = options.get("device")
    try:
        with device_checked(device):
            return Recognizer.from_pretrained(source, device and device.split(","), **given, **clip_options)
    except DataError as error:  # here, the options of the data stand alone
        raise UserError(str(error).replace("--data.", "--")) from error


@contextmanager
def device_checked(device: str | None) -> Iterator[None]:
    """Explain what torch says of a device that is not there, in a block that moves a model to it.

    Raises:
        UserError: The device cannot be used.
    """
    try:
        yield
    except RuntimeError as error:
        raise UserError(f"--device {device} cannot be used ({str(error).splitlines()[0]}).") from error
