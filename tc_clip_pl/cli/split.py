"""`tcclip split`: draws K-shot lists and base and novel halves from a dataset's own annotations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tc_clip_pl.cli.data_module import build_data_parser, busy, parse_data_words
from tc_clip_pl.cli.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from datamodules.make_splits.plan import DataSource, DrawnList, SplitPlan

HELP = """\
tcclip split --data NAME --data.root DIR --output_dir DIR: draw training lists from a dataset's own annotations

  tcclip split --data HMDB51DataModule --data.root data/hmdb51 --output_dir my_splits
  tcclip fit --config few_shot_hmdb.yaml --data.root data/hmdb51 --data.splits_dir my_splits --data.num_shots 4

Writes, in the published layout, the whole training and evaluation list, K-shot training lists (the 2-shot list lies
inside the 4-shot one), and base and novel halves of the classes with labels from 0 in each and base training lists of
several seeds; label files; and a manifest with the seed, counts and SHA-256 of what was read and written.
The same seed gives the same lists on any machine. Nothing is overwritten.

  --output_dir DIR      where to write; give it to the other commands as --data.splits_dir
  --seed N              of every draw (1024)
  --shots 2,4,8,16      training clips for each class, one list each; none for no such list
  --base_novel BOOL     whether to draw base and novel halves; by default in split 1, of datasets that have them
  --base_shots N        clips for each class in a base training list (16)
  --base_lists N        base training lists, each with a seed of its own (3)
  --config NAME         take the data of a configuration
  --data.split N        number of the split to draw from, where there are several"""


def make_splits(words: list[str]) -> None:
    """Draw and write lists, and print what was written.

    Args:
        words: Options; see `HELP`.

    Raises:
        UserError: If the words are wrong.
        ValueError: If the annotations are, or a list is there already.
    """
    with busy("Reading the annotations"):
        from datamodules.make_splits.plan import draw_lists
        from datamodules.make_splits.source import read_source
        from datamodules.make_splits.write import write_lists

        parser = build_data_parser()
        _add_options(parser)
        data, options = parse_data_words(parser, words)
        folder = _folder(options)
        if not hasattr(data, "request"):
            raise UserError(f"{type(data).__name__} is no single dataset; give one that has annotations of its own.")
        source = read_source(data.request)
        plan = _plan(source, options)
        lists = draw_lists(source, plan)
        manifest = write_lists(folder, source, plan, lists)
    common = os.path.commonpath(lists)
    print(f"{source.name}, split {source.split}, seed {plan.seed}: lists in {folder / common}")
    _print_table({os.path.relpath(file, common): found for file, found in lists.items()})
    print(f"Where they come from: {manifest}")
    print(f"To use them: --data.splits_dir {folder}")


def _add_options(parser: ArgumentParser) -> None:
    from datamodules.make_splits.plan import SplitPlan

    plan = SplitPlan()
    parser.add_argument("--output_dir", type=str | None)
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--shots", type=str | None)
    parser.add_argument("--base_novel", type=bool | None)
    parser.add_argument("--base_shots", type=int, default=plan.base_shots)
    parser.add_argument("--base_lists", type=int, default=plan.base_lists)


def _folder(options: Namespace) -> Path:
    if not options.output_dir:
        raise UserError("Where to write is not given; give a directory by --output_dir DIR.")
    return Path(options.output_dir).expanduser()


def _numbers(text: str) -> tuple[int, ...]:
    """`2,4,8` or `none`."""
    words = [] if text == "none" else [word.strip() for word in text.strip("[]").split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise UserError(f"--shots is {text!r}; give whole numbers from 1, such as 2,4,8,16, or none.")
    return tuple(sorted({int(word) for word in words}))


def _plan(source: DataSource, options: Namespace) -> SplitPlan:
    """What was asked for; by default, all that the dataset has a place for."""
    from datamodules.make_splits.plan import DEFAULT_SHOTS, SplitPlan

    for name in ("base_shots", "base_lists"):
        if options[name] < 1:
            raise UserError(f"--{name} is {options[name]}; it must be at least 1.")
    default = DEFAULT_SHOTS if source.published.few_shot else ()
    shots = default if options.shots is None else _numbers(options.shots)
    base_novel = options.base_novel
    if base_novel is None:
        base_novel = bool(source.halves) and source.split == 1
    return SplitPlan(options.seed, shots, base_novel, options.base_shots, options.base_lists)


def _print_table(lists: Mapping[str, DrawnList]) -> None:
    import rich
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("List", overflow="fold")
    for column in ("Classes", "Clips", "Per class"):
        table.add_column(column, justify="right")
    for file, found in lists.items():
        counts = Counter(label for _, label in found.entries)
        per_class = sorted({counts[label] for label in range(len(found.class_names))})
        extent = f"{per_class[0]}" if len(per_class) == 1 else f"{per_class[0]} to {per_class[-1]}"
        table.add_row(file, str(len(found.class_names)), str(len(found.entries)), extent)
    rich.print(table)
