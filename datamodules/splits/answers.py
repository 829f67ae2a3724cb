"""Answers of `tcclip recognize --format csv` as a list to train on: what a model saw in unlabeled clips (MAXI)."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize
from datamodules.splits.list_files import check_unique
from datamodules.splits.split import Entry, Split

SUFFIX = ".csv"
NEEDED = ("video", "answer", "rank", "label")


def read_answers(file: Path, class_names: Sequence[str]) -> Split:
    """Read the most probable label of every video, without those that are unknown or could not be read.

    Args:
        file: Answers for whole videos, with any number of labels each.
        class_names: Y names in label order. Answers are looked up by name, so the labels may have had another order.

    Raises:
        DataError: The file cannot be read or is of another form, an answer is not a class, a video has two answers, or
            none is left.
    """
    rows = _read_rows(file)
    label = label_of(class_names)
    entries = []
    for row in rows:
        if row["rank"] != "1" or row["answer"] != row["label"]:  # a further label, unreadable, or unknown
            continue
        if normalize(row["answer"]) not in label:
            raise DataError(
                f"{file} answers {row['answer']!r}, which is not one of the {len(class_names)} classes, such as "
                f"{class_names[0]!r}: recognize with these as --labels."
            )
        entries.append(Entry(row["video"], label[normalize(row["answer"])]))
    if not entries:
        raise DataError(f"{file} has no answer that is not unknown; lower --unknown_threshold, or check the videos.")
    check_unique((entry.name for entry in entries), file)
    if left_out := len({row["video"] for row in rows}) - len(entries):
        warnings.warn(f"{file} has no label for {left_out} videos; they are not trained on.", stacklevel=2)
    return Split(entries, (file,))


def _read_rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows, columns = list(reader), reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Cannot read the answers {file} ({error}); check the path and the file.") from error
    if not set(NEEDED) <= set(columns) or "start" in columns:
        raise DataError(
            f"{file} is not what `tcclip recognize --format csv` writes for whole videos; write it so, or give a list "
            "of lines `path label` whose name does not end in .csv."
        )
    return rows
