"""Reads the table layouts of `paper_tables.yaml`: the measurements that each column shows, and the paper's rows.

A new report table is an entry in that file.

Dataclasses rather than data frames: a run checks the name of its table at the start, before pandas is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.evaluation.aggregate import HALVES

if TYPE_CHECKING:
    from pandas import DataFrame

PAPER_FILE = Path(__file__).with_name("paper_tables.yaml")
SELECTABLE = ("dataset", "part", "num_shots", "weight")


@dataclass(frozen=True)
class Column:
    """One column of a table; paper_tables.yaml documents the fields.

    Attributes:
        group: First line of the heading.
        name: Second line of the heading.
        metric: `top1`, `top5`, or a cost of the run.
        select: Accepted values by key, one of `SELECTABLE`; a key that is missing accepts all.
        weight_of: Ensemble weight by method, where it is another one than `select` accepts.
        mean_of: Other columns, by name, whose mean this one shows.
        harmonic_mean_of: Likewise for the harmonic mean.
        hidden: Whether the column is only there for others to refer to.
    """

    group: str = ""
    name: str = ""
    metric: str = "top1"
    select: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    weight_of: Mapping[str, float] = field(default_factory=dict)
    mean_of: Sequence[str] = ()
    harmonic_mean_of: Sequence[str] = ()
    hidden: bool = False


@dataclass(frozen=True)
class PaperRow:
    """A published row, as printed; `metrics` are in the order of the columns that are not hidden.

    The ensemble weight is empty where the columns have one each.
    """

    method: str
    weight: str
    metrics: Sequence[str]


@dataclass(frozen=True)
class Layout:
    """A table layout.

    Attributes:
        title: Title without the unit.
        columns: Columns by name.
        paper_rows: The published rows.
        protocols: Protocols whose runs the table shows; None for all.
        has_data_columns: Whether columns for all measured data come first, as in `layout_of`.
        note: A remark on the published rows, if any.
    """

    title: str
    columns: Mapping[str, Column]
    paper_rows: Sequence[PaperRow] = ()
    protocols: Sequence[str] | None = ()
    note: str | None = None
    has_data_columns: bool = False

    @property
    def shown(self) -> dict[str, Column]:
        """The columns that are printed."""
        return {name: column for name, column in self.columns.items() if not column.hidden}

    def heading(self, name: str) -> tuple[str, str]:
        """Return group and name of a column; one that is not of the layout, such as `method`, has no group."""
        column = self.columns.get(name, Column("", name))
        return column.group, column.name

    def takes(self, protocol: str) -> bool:
        """Return whether the table shows the runs of a protocol."""
        return self.protocols is None or protocol in self.protocols

    @property
    def has_weight_column(self) -> bool:
        """Whether each row has its own ensemble weight, rather than each column."""
        return not any("weight" in column.select for column in self.columns.values())


@cache
def paper_layouts() -> dict[str, Layout]:
    """Return the layouts of the paper's tables by name, such as `few_shot` and `table_8a`."""
    import yaml

    content = yaml.safe_load(PAPER_FILE.read_text(encoding="utf-8"))
    return {name: _read_layout(name, table) for name, table in content.items()}


def paper_layout(name: str) -> Layout:
    """Return the layout of one of the paper's tables.

    Raises:
        ValueError: If there is no such table.
    """
    layouts = paper_layouts()
    if name not in layouts:
        raise ValueError(f"The paper has no table {name!r}; choose one of {', '.join(layouts)}.")
    return layouts[name]


def layout_of(measurements: DataFrame, title: str = "Accuracy") -> Layout:
    """Build a layout for any measurements: per dataset and K, base, novel and HM, and top-1 and top-5 of other parts.

    Args:
        measurements: From `collect_measurements`.
        title: Title of the table.
    """
    columns: dict[str, Column] = {}
    for dataset, of_dataset in measurements.groupby("dataset", sort=False):
        # dropna=False keeps the runs on all clips (K = None), which sorting puts last; groupby cannot sort them.
        for _, found in of_dataset.sort_values("num_shots").groupby("num_shots", sort=False, dropna=False):
            shots = found["num_shots"].iloc[0]  # the group key would be NaN for None
            group = dataset if shots is None else f"{dataset}, K={shots}"
            columns |= _columns_of_group(group, {"dataset": [dataset], "num_shots": [shots]}, found)
    return Layout(title, columns)


def _columns_of_group(group: str, select: Mapping[str, list[Any]], found: DataFrame) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    parts = found["part"]
    if set(HALVES) <= set(parts):
        halves = {f"{group}/{half}": Column(group, half, select={**select, "part": [half]}) for half in HALVES}
        columns |= {**halves, f"{group}/HM": Column(group, "HM", harmonic_mean_of=list(halves))}
    others = parts[~parts.isin(HALVES)]
    for label, labeled in others.groupby(others.map(_label), sort=False):
        for metric, suffix in (("top1", "top-1"), ("top5", "top-5")):
            if found.loc[labeled.index, metric].isna().all():  # top-5 of at most five classes
                continue
            name = f"{label} {suffix}".strip()
            columns[f"{group}/{name}"] = Column(group, name, metric, {**select, "part": list(labeled.unique())})
    return columns


def _label(part: str) -> str:
    """Return the label of a part: none for the validation clips and for splits, which share a column."""
    return "" if part.startswith("split") or part == "validation" else part


def _read_layout(name: str, table: Mapping[str, Any]) -> Layout:
    columns = {name: _read_column(column) for name, column in table["columns"].items()}
    rows = [
        PaperRow(method, "" if weight is None else str(weight), list(map(str, metrics)))
        for method, weight, metrics in table["rows"]
    ]
    more = table.get("note"), table.get("data_columns", False)
    return Layout(table["title"], columns, rows, table.get("protocols", [name]), *more)


def _read_column(column: Mapping[str, Any]) -> Column:
    column = dict(column)  # layouts share columns by YAML anchors
    select = {key: column.pop(key) for key in SELECTABLE if key in column}
    return Column(select={key: v if isinstance(v, list) else [v] for key, v in select.items()}, **column)
