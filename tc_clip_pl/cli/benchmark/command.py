"""`tcclip benchmark`: measure, print a table, write JSON."""

from __future__ import annotations

import json
from typing import Any

from tc_clip_pl.cli.benchmark.options import read_sections, split_what
from tc_clip_pl.cli.startup import announced

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
by frame: compiled, unless the kernels are plain, as auto is on a CPU. A row
that does not fit into the memory says so.

  --config NAME           model and data of a run; several are merged
  --model.pretrained X    hub name of a published CLIP, a folder, or world
                          (openai/clip-vit-base-patch16)
  --model.config.KEY V    options of the model, as in tcclip fit
  --model.checkpoint_activations true
                          train: recompute activations, to see what it saves
  --kernels NAME ...      auto, plain, compiled, triton (auto; of attention and
                          matching all that run at speed)
  --batch_size N ...      videos per call (GPU: 8 32, model 1 8 32; CPU and
                          latency: 1)
  --num_frames N ...      frames per video (those of the configuration)
  --num_classes N ...     classes (400)
  --repeats N             timed calls of each row (20)
  --data.KEY V            data: options of the data, as in tcclip fit; without
                          any, generated films in a temporary folder
  --clips N               data: clips to read, in whole batches (64)
  --step true|false       data: whether each batch is trained on (on a GPU)
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
        ValueError: The model cannot be built, or the data cannot be read.
    """
    what, rest = split_what(argv)
    sections, arguments = read_sections(rest)
    with announced("Loading PyTorch and Lightning ..."):
        from tc_clip_pl.cli.benchmark.run_data import run_data
        from tc_clip_pl.cli.benchmark.run_models import run_models
    run = run_data if what == "data" else run_models
    record, form = run(what, argv, sections, arguments if what != "data" else rest)
    if form == "json":
        print(json.dumps(record, indent=1))
    else:
        _print_table(record, form)


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
