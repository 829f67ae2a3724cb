"""`tcclip profile`: what configurations cost, before any weight is there."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.configs import find_config

if TYPE_CHECKING:
    from rich.table import Table

    from tc_clip_pl.modules.config import TCCLIPConfig

HELP = """\
tcclip profile [--config NAME ...] [--clip NAME] [--measure] [--format table|json]

Parameters (without the token embeddings) and multiply-adds of one view against one class of 77 tokens, counted without
weights. `as published` sends all tokens through all layers, as the paper counts; `executed` is what runs here.

  --config NAME ...     configurations to profile; by default the rows of the paper's Tables 6 and 14
  --clip NAME           hub name of a published CLIP, or a folder (default: openai/clip-vit-base-patch16)
  --measure             also time inference and training with random weights, on the GPU if there is one
  --batch_size N        videos in a batch when measuring (default: 8)
  --num_classes N       classes when measuring (default: 400)
  --format table|json   how to print (default: table)"""

BASE = "openai/clip-vit-base-patch16"
PAPER_ROWS: dict[str, dict[str, Any]] = {
    "ViFi-CLIP (frame-wise)": {"reference_tokens": "none", "prompting": "template"},
    "TC-CLIP": {},
    "TC-CLIP§ (layers 4, 8, 12)": {"tc_layers": [4, 8, 12]},
    "TC-CLIP, late fusion": {"prompting": "late_fusion"},
}


def profile(arguments: list[str]) -> None:
    """Counts, and with ``--measure`` times, every configuration, and prints a row for each.

    Args:
        arguments: words after the subcommand.

    Raises:
        UserError: where a configuration is not found.
        ValueError: where one means nothing, or names a CLIP of unknown size.
    """
    options = _parse(arguments)
    rows = {Path(name).stem: _read_model(find_config(name)) for name in options.config} or {
        name: (options.clip, overrides) for name, overrides in PAPER_ROWS.items()
    }
    figures = _profile_all({name: _build_config(clip, overrides) for name, (clip, overrides) in rows.items()}, options)
    if options.format == "json":
        print(json.dumps(figures, indent=2))
        return
    from rich import print as rich_print

    rich_print(_table(figures))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tcclip profile", add_help=False)
    parser.add_argument("--config", nargs="+", default=[])
    parser.add_argument("--clip", default=BASE)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--num_classes", type=int, default=400)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser.parse_args(arguments)


def _read_model(path: Path) -> tuple[str, dict[str, Any]]:
    import yaml

    model = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("model") or {}
    return model.get("pretrained", BASE), model.get("config") or {}


def _build_config(clip: str, overrides: dict[str, Any]) -> "TCCLIPConfig":
    from tc_clip_pl.modules.backbone import backbone_options
    from tc_clip_pl.modules.config import TCCLIPConfig
    from tc_clip_pl.modules.loading import read_config

    if not Path(clip).is_dir():
        return TCCLIPConfig(**backbone_options(clip), **overrides)
    return TCCLIPConfig.from_dict({**read_config(clip), "model_type": TCCLIPConfig.model_type, **overrides})


def _profile_all(configs: "dict[str, TCCLIPConfig]", options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    from dataclasses import asdict

    import torch
    from rich.console import Console
    from rich.progress import track

    from tc_clip_pl.profiling import count_cost, measure_speed

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    figures = {}
    for name, config in track(configs.items(), "profiling", console=Console(stderr=True), transient=True):
        figures[name] = count_cost(config).as_dict()
        if options.measure:
            figures[name] |= asdict(measure_speed(config, device, options.batch_size, options.num_classes))
    return figures


def _table(figures: dict[str, dict[str, Any]]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="Multiply-adds in billions (the paper's GFLOPs)", title_justify="left")
    table.add_column("model")
    for column in ("params M", "vision", "text", "prompting", "as published", "executed"):
        table.add_column(column, justify="right")
    is_measured = any("inference" in row for row in figures.values())
    for column in ("videos/s", "train videos/s", "GiB", "train GiB") if is_measured else ():
        table.add_column(column, justify="right")
    for name, row in figures.items():
        counts = [f"{row[key] / 1e9:.2f}" for key in ("vision", "text", "prompting", "total", "executed")]
        speeds = [_number(row[k]) for k in ("inference", "training", "inference_gib", "training_gib") if k in row]
        table.add_row(name, f"{row['parameters'] / 1e6:.1f}", *counts, *speeds)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
