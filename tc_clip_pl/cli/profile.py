"""`tcclip profile`: the cost of configurations, without weights."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.configs import find_config

if TYPE_CHECKING:
    from rich.table import Table

    from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig

HELP = """\
tcclip profile [--config NAME ...] [--clip NAME]:
count parameters (without token embeddings) and multiply-adds

Counts one view and one class text of 77 tokens, without loading weights.
`as published` counts all tokens in all layers, like the paper; `executed` is
what runs here. Systems other than TC-CLIP (`model.system`) have all that is not
text in the column `vision`. `tcclip benchmark` measures the speed.

  --config NAME ...      configurations to profile (the rows of the paper's
                         Tables 6 and 14)
  --clip NAME            hub name of a published CLIP, a folder, or world
                         (openai/clip-vit-base-patch16)
  --format table|json    output format (table)"""

MIN_WIDTH = 100  # characters, for the table
BASE = "openai/clip-vit-base-patch16"
TC_CLIP = "tc_clip"
PAPER_ROWS: dict[str, dict[str, Any]] = {
    "ViFi-CLIP (frame-wise)": {"reference_tokens": "none", "prompting": "template"},
    "TC-CLIP": {},
    "TC-CLIP§ (layers 4, 8, 12)": {"tc_layers": [4, 8, 12]},
    "TC-CLIP, late fusion": {"prompting": "late_fusion"},
}


@dataclass(frozen=True)
class Model:
    """What a configuration says of its model: the CLIP, the system, and the options of this."""

    clip: str
    system: str
    options: dict[str, Any]


def profile(argv: list[str]) -> None:
    """Profile configurations and print one row for each.

    Args:
        argv: Arguments after the subcommand.

    Raises:
        UserError: If a configuration is not found.
        ValueError: If a configuration is invalid, or its CLIP is neither a folder nor a known name.
    """
    options = _parse(argv)
    rows = {Path(name).stem: _read_model(find_config(name)) for name in options.config} or {
        name: Model(options.clip, TC_CLIP, overrides) for name, overrides in PAPER_ROWS.items()
    }
    configs = {name: _build_config(model) for name, model in rows.items()}
    costs = _profile_all(configs)
    if options.format == "json":
        print(json.dumps(costs, indent=2))
        return
    from rich.console import Console

    # A pipe counts as 80 columns wide, in which the numbers would be cut off.
    Console(width=max(Console().width, MIN_WIDTH)).print(_table(costs))


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tcclip profile", add_help=False)  # the help page is HELP
    parser.add_argument("--config", nargs="+", default=[])
    parser.add_argument("--clip", default=BASE)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser.parse_args(argv)


def _read_model(path: Path) -> Model:
    """Return what a configuration says of its model; options that are null are left open."""
    import yaml

    model = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("model") or {}
    system = model.get("system", TC_CLIP)
    options = model.get("config" if system == TC_CLIP else "options") or {}
    return Model(model.get("pretrained", BASE), system, {k: v for k, v in options.items() if v is not None})


def _build_config(model: Model) -> "VideoCLIPConfig":
    """Build the configuration of a model from its CLIP, whose sizes are known or read from its folder."""
    from tc_clip_pl.modules.backbone.interface import backbone_options
    from tc_clip_pl.modules.loading import read_config
    from tc_clip_pl.modules.names import locate
    from tc_clip_pl.modules.systems import find_system

    config_class = find_system(model.system).config_class
    if not Path(locate(model.clip)).is_dir():
        return config_class(**backbone_options(model.clip), **model.options)
    return config_class.from_dict({**read_config(model.clip), "model_type": config_class.model_type, **model.options})


def _profile_all(configs: "dict[str, VideoCLIPConfig]") -> dict[str, dict[str, Any]]:
    """Return costs by name of the configuration."""
    from rich.console import Console
    from rich.progress import track

    from tc_clip_pl.profiling import count_cost

    # Progress goes to stderr: stdout is the table, or JSON for another program.
    tracked = track(configs.items(), "profiling", console=Console(stderr=True), transient=True)
    return {name: count_cost(config).as_dict() for name, config in tracked}


def _table(costs: dict[str, dict[str, Any]]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="Multiply-adds in billions (the paper's GFLOPs)", title_justify="left")
    table.add_column("model")
    for column in ("params M", "vision", "text", "prompting", "as published", "executed"):
        table.add_column(column, justify="right")
    for name, row in costs.items():
        counts = [f"{row[key] / 1e9:.2f}" for key in ("vision", "text", "prompting", "total", "executed")]
        table.add_row(name, f"{row['parameters'] / 1e6:.1f}", *counts)
    return table
