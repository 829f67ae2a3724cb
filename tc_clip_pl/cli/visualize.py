"""`tcclip visualize`: what a model looks at in a video, as sheet, film and PDF."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tc_clip_pl.cli.arguments import parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.model_option import device_checked, name_model
from tc_clip_pl.cli.startup import announced

if TYPE_CHECKING:
    from jsonargparse import Namespace
    from torch import Tensor

    from datamodules.options import ClipOptions
    from tc_clip_pl.modules.outputs import TCCLIPOutput
    from tc_clip_pl.modules.tc_clip import TCCLIP
    from tc_clip_pl.visualization.attention_maps import PatchQuery

HELP = """\
tcclip visualize VIDEO --labels LABELS --out DIR [--KEY VALUE ...]:
draw what a model looks at in a video (Figs. 6, 7 and 9-11 of the paper)

  tcclip visualize a.mp4 --labels "brush hair, ride bike" --out pictures
  tcclip visualize a.mp4 --labels labels.txt --out pictures --model RUN \\
      --patch 5,3,7

DIR gets sheet.png, sheet.pdf for papers, and overlay.mp4. Their rows: the
frames; the seed tokens; the context tokens in the average color of their
patches, the one that lasts longest outlined in red; [CLS] attention; and that
of a frame-wise model.

  --model SOURCE      as in `tcclip recognize`; of a plain CLIP, context tokens
                      are drawn as its weights make them without training
  --beside SOURCE     the frame-wise model; default: the CLIP that the model was
                      made from
  --patch T,ROW,COL   also the attention of one patch, carried back to the
                      patches of the context tokens; counted from 0
  --layer N           layer of the vision encoder, from 0; default: the last one
                      that makes context tokens
  --device cpu|cuda   default: cpu, which is fast enough for one video"""

OPTIONS = {
    **dict.fromkeys(("labels", "out", "model", "beside", "patch"), (str, None)),
    "layer": (int, None),
    "device": (str, "cpu"),
}
"""Option -> type and default."""
FRAMES_PER_SECOND = 4
FILES = ("sheet.png", "sheet.pdf", "overlay.mp4")
DRAWN = {"prompting": "template"}
"""A plain CLIP with TC but without VP: there is nothing random in its context tokens."""


def visualize(argv: list[str]) -> None:
    """Draw what a model looks at in a video.

    Args:
        argv: Arguments after `tcclip visualize`; see `HELP`.

    Raises:
        UserError: The arguments are wrong.
        DataError: The video cannot be read, or the labels are wrong.
        OSError, ValueError: There is no such model, layer or patch.
    """
    options = _parse(argv)
    with announced("Loading PyTorch ..."):
        from tc_clip_pl.cli.library_logging import silence_library_logs
        from tc_clip_pl.inference.clip_loader import read_clip
        from tc_clip_pl.inference.labels import read_labels
        from tc_clip_pl.inference.model_source import load_source
        from tc_clip_pl.modules.tc_clip import TCCLIP
    silence_library_logs()
    labels, query = read_labels(options.labels), _read_patch(options.patch)
    model, clip_options = load_source(name_model(options.model), **DRAWN)
    if not isinstance(model, TCCLIP):
        raise UserError(f"{model.title} cannot be drawn, only TC-CLIP and its frame-wise models.")
    clip = read_clip(options.video, replace(clip_options, num_temporal_views=1, num_spatial_views=1))
    look = partial(_look, clip=clip, options=clip_options, labels=labels, device=options.device)
    _write(options, clip[0], look(model), _look_beside(model, options.beside, look), query, labels)


def _parse(argv: list[str]) -> Namespace:
    options = parse_arguments(argv, {"video": "?"}, OPTIONS)
    if not options.video or not options.labels or not options.out:
        raise UserError('Give a video, labels and a folder: tcclip visualize a.mp4 --labels "a, b" --out DIR.')
    folder = Path(options.out)
    if folder.exists() and (not folder.is_dir() or any(path.name not in FILES for path in folder.iterdir())):
        raise UserError(f"{folder} holds other files than {', '.join(FILES)}: name another folder.")
    return options


def _read_patch(text: str | None) -> PatchQuery | None:
    from tc_clip_pl.visualization.attention_maps import PatchQuery

    if text is None:
        return None
    if not re.fullmatch(r"\d+,\d+,\d+", text):
        raise UserError(f"--patch is {text!r}; give frame, row and column, counted from 0, such as 5,3,7.")
    return PatchQuery(*map(int, text.split(",")))


def _look(model: TCCLIP, clip: Tensor, options: ClipOptions, labels: list[str], device: str) -> TCCLIPOutput:
    import torch

    from tc_clip_pl.inference.replica import Replica

    with device_checked(device):
        replica = Replica(model, options, torch.device(device))
    (output,) = replica.outputs(clip[None], labels, look_inside=True)
    return output


def _look_beside(model: TCCLIP, beside: str | None, look: Callable[[TCCLIP], TCCLIPOutput]) -> TCCLIPOutput | None:
    """Look with a frame-wise model too, if the model is none itself and there is one."""
    from tc_clip_pl.inference.model_source import load_source

    source = beside or model.config.clip_name_or_path
    if model.config.reference_tokens == "none" or source is None:
        return None
    try:
        other, _ = load_source(source)
    except OSError:
        if beside:
            raise
        print(f"The CLIP {source} is not there any more: no frame-wise model beside.", file=sys.stderr)
        return None
    sizes = [(m.config.vision_config.image_size, m.config.vision_config.num_hidden_layers) for m in (model, other)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"--beside {source} takes frames of {sizes[1][0]} pixels in {sizes[1][1]} layers, the model of "
            f"{sizes[0][0]} in {sizes[0][1]}: name a model of the same CLIP."
        )
    return look(other)


def _write(
    options: Namespace,
    pixels: Tensor,
    output: TCCLIPOutput,
    beside: TCCLIPOutput | None,
    query: PatchQuery | None,
    labels: list[str],
) -> None:
    from datamodules.synthetic.video_files import write_video
    from tc_clip_pl.visualization.inside import draw_inside
    from tc_clip_pl.visualization.sheet import join_panels, plot_sheet

    rows = draw_inside(pixels, output, options.layer, query, beside)
    scores = output.logits[0].float().softmax(-1).tolist()
    best = max(range(len(labels)), key=scores.__getitem__)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    figure = plot_sheet(rows, f"{Path(options.video).name}: {labels[best]} ({scores[best]:.0%})")
    figure.savefig(folder / "sheet.png", dpi=200)
    figure.savefig(folder / "sheet.pdf", dpi=200)
    write_video(folder / "overlay.mp4", join_panels(rows), FRAMES_PER_SECOND)
    _print_answers(dict(zip(labels, scores, strict=True)))
    print(f"Wrote {', '.join(str(folder / name) for name in FILES)}: {', '.join(rows)}.")


def _print_answers(scores: dict[str, float], shown: int = 5) -> None:
    import rich
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table("Answer", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("%", justify="right")
    for label, score in sorted(scores.items(), key=lambda pair: -pair[1])[:shown]:
        table.add_row(Text(label), f"{100 * score:.1f}")
    rich.print(table)
