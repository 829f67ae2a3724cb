"""`tcclip benchmark`: measure, print a table, write JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.benchmark.options import (
    add_options,
    build_optimizer_factory,
    build_settings,
    parse_options,
    read_sections,
    split_what,
)
from tc_clip_pl.cli.progress import with_progress
from tc_clip_pl.cli.startup import announced

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from tc_clip_pl.benchmarks.rows import Row

HELP = """\
tcclip benchmark WHAT [--config NAME ...] [--KEY VALUE ...]:
time the model, its kernels or its data, beside a frame-wise CLIP

  tcclip benchmark model --batch_size 1 8 32 --output model.json
  tcclip benchmark train --config few_shot_hmdb --kernels plain compiled
  tcclip benchmark data --config few_shot_hmdb --data.root HMDB51

  model       inference, the videos on the device, the classes cached
  train       forward pass, backward pass and optimizer step
  latency     model, until the host has the answer: one video by default
  data        clips: seconds of each stage, clips/s of the loader, how long a
              training step waits for it
  attention   attention over frame and context tokens, alone
  matching    the rounds of bipartite matching of one layer, alone

Weights are random. Beside the model stand the frame-wise model of the same CLIP
(reference_tokens none, prompting template) and Hugging Face's own CLIP, frame
by frame: compiled on a GPU, unless the kernels are plain. A row that does not
fit into the memory says so.

  --config NAME           model and data of a run; several are merged
  --model.pretrained X    hub name of a published CLIP, a folder, or world
                          (openai/clip-vit-base-patch16)
  --model.config.KEY V    options of the model, as in tcclip fit
  --kernels NAME ...      auto, plain, compiled, triton (auto)
  --batch_size N ...      videos per call (GPU: 1 8 32, train 8 32; CPU: 1)
  --num_frames N ...      frames per video (those of the configuration)
  --num_classes N ...     classes (400)
  --repeats N             timed calls of each row (20)
  --device D              auto, cpu or cuda (auto)
  --output FILE           JSON with device, versions and command; written anew
                          after each row, so that a run that ends early keeps
                          its rows
  --format F              table, markdown or json, on stdout (table)"""


def benchmark(argv: list[str]) -> None:
    """Measure, and print a table.

    Args:
        argv: Arguments after the subcommand; see `HELP`.

    Raises:
        UserError: The arguments are wrong, or the output cannot be written.
        ValueError: The model cannot be built.
    """
    what, rest = split_what(argv)
    sections, arguments = read_sections(rest)
    with announced("Loading PyTorch ..."):
        from jsonargparse import ArgumentParser

        parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        add_options(parser)
    options = parse_options(parser, sections, arguments)
    record = _run_models(what, argv, options, sections)
    if options.format == "json":
        print(json.dumps(record, indent=1))
    else:
        _print_table(record, options.format)


def _run_models(what: str, argv: list[str], options: Namespace, sections: dict[str, Any]) -> dict[str, Any]:
    """Run a benchmark of models; return its record."""
    from tc_clip_pl.benchmarks.compare import count_rows
    from tc_clip_pl.benchmarks.inference import benchmark_inference
    from tc_clip_pl.benchmarks.peak import measure_peak
    from tc_clip_pl.benchmarks.training import benchmark_training
    from tc_clip_pl.cli.benchmark.record import describe_run

    settings = build_settings(what, options, sections)
    record = describe_run(what, argv, settings.device)
    record |= {"model": options.model.pretrained, "repeats": settings.repeats}
    record |= {"peak": measure_peak(settings.device), "rows": []}
    rows = (
        benchmark_training(settings, build_optimizer_factory(sections))
        if what == "train"
        else benchmark_inference(settings, by_host=what == "latency")
    )
    return _collect(rows, count_rows(settings), record, options.output)


def _collect(rows: Iterator[Row], total: int, record: dict[str, Any], output: str | None) -> dict[str, Any]:
    """Add rows to a record as they come, and write it after each."""
    from tc_clip_pl.benchmarks.rows import as_records
    from tc_clip_pl.cli.benchmark.record import write_record

    measured: list[Row] = []
    for row in with_progress(rows, total, f"benchmark {record['benchmark']}"):
        measured.append(row)
        record["rows"] = as_records(measured, (record["peak"] or {}).get("tflops"))
        if not sys.stderr.isatty():
            print(_line(record["rows"][-1]), file=sys.stderr, flush=True)
        if output:
            write_record(record, Path(output).expanduser())
    return record


def _line(row: dict[str, Any]) -> str:
    """Return a measured row as one line."""
    settings = [f"{name} {row[name]}" for name in ("kernels", "batch_size", "num_frames", "num_classes") if name in row]
    result = row["note"] or f"{row['median_ms']:.4g} ms"
    return f"{row['name']}, {', '.join(settings)}: {result}"


def _print_table(record: dict[str, Any], form: str) -> None:
    from tc_clip_pl.cli.benchmark.tables import markdown_table, rich_table

    if form == "markdown":
        print(markdown_table(record))
        return
    from rich.console import Console

    # A pipe counts as 80 columns wide, in which numbers could be cut off.
    console = Console()
    console = console if console.is_terminal else Console(width=max(console.width, 120))
    console.print(rich_table(record))
