"""List files: text files with one `path label` per line, and CSV files with the columns `path,label`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.split import Entry, Split

COLUMNS = ("path", "label")


def read_list(file: Path) -> Split:
    """Read a list of clips, as CSV if its name ends in `.csv`, else as lines of `path label`.

    Raises:
        DataError: The file is missing or empty, a line is malformed, or a clip is listed twice.
    """
    return LIST_READERS.get(file.suffix.lower(), read_list_file)(file)


def read_list_file(file: Path) -> Split:
    """Read a list in the published form: one `path label` per line, labels from 0, spaces allowed in paths.

    Raises:
        DataError: As in `read_numbered_lines`, or a clip is listed twice.
    """
    entries = [Entry(name, label) for name, label in read_numbered_lines(file)]
    check_unique((entry.name for entry in entries), file)
    return Split(entries, (file,))


def read_csv_list(file: Path) -> Split:
    """Read a list with the columns `path,label`.

    Raises:
        DataError: The file is missing or empty, a line is malformed, or a clip is listed twice.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [(number, row) for number, row in enumerate(csv.reader(stream), start=1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Cannot read the list {file} ({error}); check the path and the file.") from error
    if not rows or tuple(cell.strip() for cell in rows[0][1]) != COLUMNS or len(rows) == 1:
        raise DataError(f"The list {file} needs a header `path,label` and one line per clip; add them.")
    entries = [_read_row(row, file, number) for number, row in rows[1:]]
    check_unique((entry.name for entry in entries), file)
    return Split(entries, (file,))


LIST_READERS: dict[str, Callable[[Path], Split]] = {".csv": read_csv_list}


def read_lines(file: Path, form: str = "path label") -> list[tuple[int, str]]:
    """Read the non-empty lines of a text file with their line numbers.

    Args:
        file: The file.
        form: What a line looks like, for the error message.

    Raises:
        DataError: The file is missing, empty or not text.
    """
    try:
        # `utf-8-sig`: files saved on Windows may begin with a byte order mark, which is not part of the first path.
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the list {file} ({error}); check the path and the file.") from error
    rows = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise DataError(f"The list {file} is empty; it needs one line `{form}` per clip.")
    return rows


def read_numbered_lines(file: Path) -> list[tuple[str, int]]:
    """Read a text file of lines `name number`.

    Raises:
        DataError: The file is missing, empty or not text, or a line is malformed (the message quotes it).
    """
    return [split_last_space(line, file, number) for number, line in read_lines(file)]


def split_last_space(line: str, file: Path, number: int) -> tuple[str, int]:
    """Split `some clip.avi 3` at its last space: the path may contain spaces, the label cannot.

    Raises:
        DataError: There is no space, or no whole number from 0 after it.
    """
    name, value = [*line.rsplit(maxsplit=1), "", ""][:2]
    # isascii as well: "²".isdigit() is true, but int("²") fails.
    if not (value.isascii() and value.isdigit()):
        raise DataError(
            f"{file}, line {number}: {line.strip()!r} is not a path, a space and a whole number from 0; "
            "correct the line."
        )
    return name.strip(), int(value)


def check_unique(names: Iterable[str], file: Path) -> None:
    """Check that no clip is listed twice.

    Raises:
        DataError: A clip is.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{file} lists {name} twice; remove one of the lines.")
        seen.add(name)


def _read_row(row: list[str], file: Path, number: int) -> Entry:
    path, label = (cell.strip() for cell in [*row, "", ""][:2])
    if len(row) != len(COLUMNS) or not path or not (label.isascii() and label.isdigit()):
        raise DataError(
            f"{file}, line {number}: {','.join(row)!r} is not a path, a comma and a whole number from 0; "
            "correct the line."
        )
    return Entry(path, int(label))
