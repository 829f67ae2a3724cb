"""The report of the demo: one page that needs nothing beside itself, and its table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import rich
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from rich import box
from rich.table import Table

from datamodules.synthetic.actions import GROUPS
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.tour.accuracies import Row, accuracy_rows, read_confusions
from tc_clip_pl.cli.tour.page_parts import draw_charts, draw_examples, draw_inside, load_models, tell_origin
from tc_clip_pl.cli.tour.runs import FRAME_WISE, TC_CLIP, DemoRun


def write_page(runs: Mapping[str, DemoRun], data: Path, path: Path) -> None:
    """Write the page whole or not at all, and print its table and where it is.

    Args:
        runs: The finished runs by method.
        data: The dataset on disk.
        path: The HTML file; an earlier one is replaced.

    Raises:
        UserError: The file cannot be written.
    """
    confusions = {method: read_confusions(run.results) for method, run in runs.items()}
    rows = accuracy_rows(confusions[FRAME_WISE], confusions[TC_CLIP])
    models = load_models(runs)
    page = _template().render(
        rows=rows,
        groups=draw_examples(data, models[TC_CLIP].config.vision_config.image_size),
        inside=draw_inside(models, data),
        **draw_charts(confusions),
        **tell_origin(runs, confusions[TC_CLIP][1.0]),
    )
    unfinished = path.with_suffix(".unfinished")
    try:
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another folder.") from error
    rich.print("", accuracy_table(rows), sep="\n")
    print(f"Report: {path}")


def accuracy_table(rows: Sequence[Row]) -> Table:
    """Build the table of the report for a terminal."""
    table = Table(title="Test accuracy by group (%)", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column()
    for group in GROUPS:
        table.add_column(group, justify="right")
    for row in rows:
        table.add_row(row.name, *(f"{value:.0f}" for value in row.values), style="dim" if row.is_expected else "")
    return table


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tc_clip_pl.cli.tour", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
