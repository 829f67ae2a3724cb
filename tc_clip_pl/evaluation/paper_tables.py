"""How a table is laid out: columns that say which measurements they show, and the paper's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tc_clip_pl.evaluation.aggregate import HALVES
from tc_clip_pl.evaluation.collect_runs import Measurement

PAPER_FILE = Path(__file__).with_name("paper.yaml")


@dataclass(frozen=True)
class Column:
    """What a column shows; paper.yaml says how to read the fields.

    `select` has the fields of a measurement with the value, or the list of values, that they must have.
    """

    group: str = ""
    name: str = ""
    figure: str = "top1"
    select: Mapping[str, Any] = field(default_factory=dict)
    mean_of: Sequence[str] = ()
    harmonic_mean_of: Sequence[str] = ()
    hidden: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether it shows measurements by itself."""
        return bool(self.select)


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper: `figures` in the order of the columns that are not hidden."""

    method: str
    weight: float | None
    figures: Sequence[str]


@dataclass(frozen=True)
class Layout:
    """A table: its title, columns by name, and the paper's rows."""

    title: str
    columns: Mapping[str, Column]
    paper_rows: Sequence[PaperRow] = ()

    @property
    def has_weight_column(self) -> bool:
        """Whether the rows have an ensemble weight, rather than the columns."""
        return not any("weight" in column.select for column in self.columns.values())


@cache
def paper_layouts() -> dict[str, Layout]:
    """The tables of the paper, by name: `few_shot`, `table_8a` and so on."""
    import yaml

    content = yaml.safe_load(PAPER_FILE.read_text(encoding="utf-8"))
    return {name: _read_layout(table) for name, table in content.items()}


def paper_layout(name: str) -> Layout:
    """The table of the paper of that name.

    Raises:
        ValueError: If there is none.
    """
    layouts = paper_layouts()
    if name not in layouts:
        raise ValueError(f"There is no table {name!r} of the paper: choose one of {', '.join(layouts)}.")
    return layouts[name]


def layout_of(measurements: Sequence[Measurement], title: str = "Accuracy") -> Layout:
    """Lay out any measurements: for each dataset and K the halves with their harmonic mean, or top-1 and top-5."""
    columns: dict[str, Column] = {}
    for dataset, shots in dict.fromkeys((found.dataset, found.num_shots) for found in measurements):
        group, select = dataset if shots is None else f"{dataset}, K={shots}", {"dataset": dataset, "num_shots": shots}
        parts = dict.fromkeys(m.part for m in measurements if (m.dataset, m.num_shots) == (dataset, shots))
        names = {half: f"{group}/{half}" for half in HALVES}
        if set(HALVES) <= parts.keys():
            columns |= {name: Column(group, half, select={**select, "part": half}) for half, name in names.items()}
            columns[f"{group}/HM"] = Column(group, "HM", harmonic_mean_of=list(names.values()))
        for kind, of_kind in _kinds_of_parts(parts).items():
            heading = {**select, "part": of_kind}
            columns[f"{group}/{kind}/1"] = Column(group, f"{kind} top-1".strip(), select=heading)
            columns[f"{group}/{kind}/5"] = Column(group, f"{kind} top-5".strip(), "top5", heading)
    return Layout(title, columns)


def _kinds_of_parts(parts: Mapping[str, Any]) -> dict[str, list[str]]:
    """Splits, and the validation clips, go without saying; other parts stand by their names."""
    kinds: dict[str, list[str]] = {}
    for part in parts:
        if part not in HALVES:
            plain = part.startswith("split") or part == "validation"
            kinds.setdefault("" if plain else part, []).append(part)
    return kinds


def _read_layout(table: Mapping[str, Any]) -> Layout:
    columns = {name: _read_column(dict(column)) for name, column in table["columns"].items()}
    rows = [PaperRow(method, weight, [str(figure) for figure in figures]) for method, weight, figures in table["rows"]]
    return Layout(table["title"], columns, rows)


def _read_column(column: dict[str, Any]) -> Column:
    keys = [key for key in ("dataset", "part", "num_shots", "weight") if key in column]
    return Column(select={key: column.pop(key) for key in keys}, **column)
