"""How answers are printed: a table at the end, JSON, or a line each as JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tc_clip_pl.inference.answers import Answer, Segment

FORMATS = ("table", "json", "jsonl", "csv")
BAR = 10  # characters of a probability of 1


class Writer(ABC):
    """Prints answers to stdout.

    Args:
        top: Labels per answer.
        unknown_threshold: Answers with a lower probability are "unknown".
        has_time: Whether answers are those of segments.

    Attributes:
        num_answers: Answers so far, without the files that could not be read.
    """

    def __init__(self, top: int, unknown_threshold: float, has_time: bool) -> None:
        self.top, self.unknown_threshold, self.has_time = top, unknown_threshold, has_time
        self.num_answers = 0

    def answer(self, answer: Answer) -> None:
        """Print the answer for a video."""
        found = {"video": answer.video}
        if answer.error:
            self.write(found | {"error": answer.error}, at_once=False)
        else:
            self._write(found, answer.ranking, at_once=False)

    def segment(self, video: str, segment: Segment, at_once: bool = False) -> None:
        """Print the answer for a segment; `at_once` for one that nobody wants to wait for."""
        found = {"video": video, "start": round(segment.start, 2), "end": round(segment.end, 2)}
        self._write(found, segment.ranking, at_once)

    def _write(self, found: dict[str, Any], ranking: Any, at_once: bool) -> None:
        from tc_clip_pl.inference.answers import best_label

        self.num_answers += 1
        labels = [{"label": label, "probability": round(p, 6)} for label, p in ranking[: self.top]]
        self.write(found | {"answer": best_label(ranking, self.unknown_threshold), "labels": labels}, at_once)

    @abstractmethod
    def write(self, row: dict[str, Any], at_once: bool) -> None:
        """Print one answer, or keep it for the end."""

    def finish(self) -> None:
        """Print what is left."""
        sys.stdout.flush()


class JsonLines(Writer):
    """A JSON object per line, on stdout or in a file."""

    def __init__(self, *args: Any, file: TextIO | None = None) -> None:
        super().__init__(*args)
        self._file = file

    def write(self, row: dict[str, Any], at_once: bool) -> None:
        """Print the answer."""
        print(json.dumps(row, ensure_ascii=False), file=self._file, flush=self._file is None)


class Json(Writer):
    """One JSON list."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any], at_once: bool) -> None:
        """Keep the answer."""
        self._rows.append(row)

    def finish(self) -> None:
        """Print the list."""
        print(json.dumps(self._rows, indent=2, ensure_ascii=False))


class Csv(Writer):
    """A line per label of an answer, and one per unreadable file."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        time = ["start", "end"] if self.has_time else []
        columns = ["video", *time, "answer", "rank", "label", "probability", "error"]
        self._csv = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        self._csv.writeheader()

    def write(self, row: dict[str, Any], at_once: bool) -> None:
        """Print the answer."""
        common = {key: value for key, value in row.items() if key != "labels"}
        for rank, label in enumerate(row.get("labels", [{}]), 1):
            self._csv.writerow(common | ({"rank": rank, **label} if label else {}))
        sys.stdout.flush()


class Table(Writer):
    """A table per video at the end, for people; a line at once for a stream."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any], at_once: bool) -> None:
        """Keep the answer, or print it in a line."""
        if not at_once:
            self._rows.append(row)
            return
        best = row["labels"][0]
        print(f"{row['start']:9.1f} s - {row['end']:7.1f} s  {best['probability']:6.1%}  {row['answer']}", flush=True)

    def finish(self) -> None:
        """Print the table, and the files that could not be read below it."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        console = Console(highlight=False, markup=False)
        bad = [row for row in self._rows if "error" in row]
        if len(bad) < len(self._rows):
            table = RichTable(
                "Video", *(["Seconds"] if self.has_time else []), "Answer", box=SIMPLE_HEAD, pad_edge=False
            )
            table.columns[0].overflow = "fold"
            table.add_column("", no_wrap=True)
            table.add_column("%", justify="right", no_wrap=True)
            for row in self._rows:
                for cells in self._lines(row):
                    table.add_row(*(Text(cell) for cell in cells))
            console.print(table)
        for row in bad:
            console.print(f"Not read: {row['error']}", style="red", soft_wrap=True)

    def _lines(self, row: dict[str, Any]) -> Iterator[list[str]]:
        for rank, label in enumerate(row.get("labels", [])):
            time = [f"{row['start']:.1f} - {row['end']:.1f}" if rank == 0 else ""] if self.has_time else []
            name = label["label"]
            if rank == 0 and row["answer"] != name:
                name = f"{row['answer']} ({name}?)"
            probability = label["probability"]
            bar = "█" * round(BAR * probability)
            yield [row["video"] if rank == 0 else "", *time, name, bar, f"{100 * probability:.1f}"]


WRITERS = {"table": Table, "json": Json, "jsonl": JsonLines, "csv": Csv}


@contextmanager
def open_writer(form: str, top: int, unknown_threshold: float, has_time: bool) -> Iterator[Writer]:
    """Open a writer of `FORMATS`; also after an error or Ctrl-C, what was answered is printed."""
    writer = WRITERS[form](top, unknown_threshold, has_time)
    try:
        yield writer
    finally:
        writer.finish()
