"""`tcclip split`: draw K-shot lists and base/novel halves from a dataset's own annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tc_clip_pl.cli.data_module import build_data_parser, parse_data_args, spinner
from tc_clip_pl.cli.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from datamodules.make_splits.plan import DataSource, DrawnList, SplitPlan

HELP = """\
tcclip split --data NAME --data.root DIR --output_dir DIR:
draw few-shot and base/novel splits from a dataset's own annotations

  tcclip split --data HMDB51DataModule --data.root data/hmdb51 \\
      --output_dir my_splits
  tcclip fit --config few_shot_hmdb.yaml --data.root data/hmdb51 \\
      --data.splits_dir my_splits --data.num_shots 4

Writes the full training and test lists, K-shot training lists (each contains
the smaller ones), base and novel halves of the classes with several base
training lists, label files, and a manifest with the seed, counts and SHA-256
of all files. The layout is that of the published splits. The same seed gives
the same lists on any machine. Nothing is overwritten.

  --output_dir DIR    output directory; pass it on as --data.splits_dir
  --seed N            seed of every draw (1024)
  --shots 2,4,8,16    training clips per class, one list each; or none
  --base_novel BOOL   whether to draw base and novel halves (true for split 1
                      of datasets that have them)
  --base_shots N      clips per class in a base training list (16)
  --base_lists N      number of base training lists, with different seeds (3)
  --config NAME       take the dataset from a configuration
  --data.split N      number of the split to draw from, where there are several"""


def make_splits(argv: list[str]) -> None:
    """Draw and write lists, and print an overview of them.

    Args:
        argv: Arguments after `tcclip split`; see `HELP`.

    Raises:
        UserError: The arguments are wrong.
        ValueError: The annotations are wrong, or a list exists already.
    """
    with spinner("Reading the annotations"):
        from datamodules.make_splits.plan import draw_lists
        from datamodules.make_splits.source import read_source
        from datamodules.make_splits.write import write_lists

        parser = build_data_parser()
        _add_options(parser)
        data, options = parse_data_args(parser, argv)
        folder = _output_dir(options)
        if not hasattr(data, "request"):
            raise UserError(f"{type(data).__name__} is not a single dataset; give one with annotations of its own.")
        source = read_source(data.request)
        plan = _build_plan(source, options)
        lists = draw_lists(source, plan)
        manifest = write_lists(folder, source, plan, lists)
    print(f"{source.name}, split {source.split}, seed {plan.seed}: {len(lists)} lists in {folder}")
    _print_table(lists)
    print(f"Manifest: {manifest}")
    print(f"To use them: --data.splits_dir {folder}")


def _add_options(parser: ArgumentParser) -> None:
    from datamodules.make_splits.plan import SplitPlan

    plan = SplitPlan()
    parser.add_argument("--output_dir", type=str | None)
    parser.add_argument("--seed", type=int, default=plan.seed)
    # A string, since "2,4" is not YAML for a list; and None, since the default depends on the dataset.
    parser.add_argument("--shots", type=str | None)
    parser.add_argument("--base_novel", type=bool | None)
    parser.add_argument("--base_shots", type=int, default=plan.base_shots)
    parser.add_argument("--base_lists", type=int, default=plan.base_lists)


def _output_dir(options: Namespace) -> Path:
    if not options.output_dir:
        raise UserError("No output directory is given; give one with --output_dir DIR.")
    return Path(options.output_dir).expanduser()


def _parse_shots(text: str) -> tuple[int, ...]:
    """Parse `2,4,8` (or `[2, 4, 8]`, as in a configuration) or `none`."""
    items = [] if text == "none" else [item.strip() for item in text.strip("[]").split(",")]
    if not all(item.isdecimal() and int(item) for item in items):
        raise UserError(f"--shots is {text!r}; give positive integers such as 2,4,8,16, or none.")
    return tuple(sorted({int(item) for item in items}))


def _build_plan(source: DataSource, options: Namespace) -> SplitPlan:
    """Return what was asked for; by default, every list that the dataset has a published place for."""
    from datamodules.make_splits.plan import DEFAULT_SHOTS, SplitPlan

    for name in ("base_shots", "base_lists"):
        if options[name] < 1:
            raise UserError(f"--{name} is {options[name]}; it must be at least 1.")
    default = DEFAULT_SHOTS if source.published.few_shot else ()
    shots = default if options.shots is None else _parse_shots(options.shots)
    base_novel = options.base_novel
    if base_novel is None:
        # The published halves have no split number, so those of different splits would collide.
        base_novel = bool(source.halves) and source.split == 1
    return SplitPlan(options.seed, shots, base_novel, options.base_shots, options.base_lists)


def _print_table(lists: Mapping[str, DrawnList]) -> None:
    import rich
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("List", overflow="fold")
    for column in ("Classes", "Clips", "Clips/class"):
        table.add_column(column, justify="right", no_wrap=True)
    # Folders in rows of their own, or the paths would not fit into 80 columns.
    for folder, files in groupby(lists, key=lambda file: PurePosixPath(file).parent):
        table.add_row(f"{folder}/")
        for file in files:
            table.add_row(f"  {PurePosixPath(file).name}", *_describe(lists[file]))
    rich.print(table)


def _describe(drawn: DrawnList) -> tuple[str, str, str]:
    """Return the numbers of classes, of clips, and of clips per class."""
    counts = Counter(label for _, label in drawn.entries)
    per_class = sorted({counts[label] for label in range(len(drawn.class_names))})
    extent = f"{per_class[0]}" if len(per_class) == 1 else f"{per_class[0]} to {per_class[-1]}"
    return str(len(drawn.class_names)), str(len(drawn.entries)), extent
