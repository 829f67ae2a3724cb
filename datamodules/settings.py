"""Checks of what a user asked for, before any file is touched."""

from __future__ import annotations

from collections.abc import Collection

from datamodules.errors import DataError


def check_positive(**settings: int | None) -> None:
    """Checks that whole-number settings are at least 1; None stands for "not set".

    Raises:
        DataError: One is 0 or less.
    """
    for name, value in settings.items():
        if value is not None and value < 1:
            raise DataError(f"--data.{name} is {value}; it must be at least 1.")


def check_choice(name: str, value: object, known: Collection[object]) -> None:
    """Checks that a setting is one of the known ones.

    Raises:
        DataError: It is not; the message names those that are.
    """
    if value not in known:
        raise DataError(f"--data.{name} is {value!r}; choose one of {', '.join(map(str, known))}.")
