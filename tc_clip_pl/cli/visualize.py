"""`tcclip visualize`: what a model looks at in a video, as sheet, film and PDF."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.errors import UserError, explain_parser_error
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
        from tc_clip_pl.inference.labels import read_labels
        from tc_clip_pl.inference.model_source import DEFAULT, load_source
    silence_library_logs()
    labels, query = read_labels(options.labels), _read_patch(options.patch)
    if options.model is None:
        print(f"No --model: {DEFAULT}, a small CLIP that knows only generated films.", file=sys.stderr)
    model, clip_options = load_source(options.model or DEFAULT, **DRAWN)
    pixels = _read_view(options.video, clip_options)
    output = _look(model.to(options.device), pixels, clip_options, labels)
    beside = _look_beside(model, options, pixels, clip_options, labels)
    _write(options, pixels, output, beside, query, labels)


def _parse(argv: list[str]) -> Namespace:
    from argparse import ArgumentError

    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("video", type=str, nargs="?")
    for name in ("labels", "out", "model", "beside", "patch"):
        parser.add_argument(f"--{name}", type=str | None, default=None)
    parser.add_argument("--layer", type=int | None, default=None)
    parser.add_argument("--device", type=str, default="cpu")
    try:
        options = parser.parse_args(argv)
    except ArgumentError as error:
        raise UserError(explain_parser_error(error.message, parser.get_defaults().keys())) from error
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


def _read_view(video: str, options: ClipOptions) -> Tensor:
    """Return the (T, 3, H, W) uint8 frames of one view, center crop."""
    from dataclasses import replace

    from datamodules.errors import DataError
    from tc_clip_pl.inference.clip_loader import load_clips

    one_view = replace(options, num_temporal_views=1, num_spatial_views=1, batch_size=1, num_workers=0)
    ((clip,),) = load_clips([video], one_view)
    if clip.error:
        raise DataError(clip.error.removeprefix(f"{video}: "))
    return clip.video[0]


def _look(model: TCCLIP, pixels: Tensor, options: ClipOptions, labels: list[str]) -> TCCLIPOutput:
    import torch

    from datamodules.transforms.augmentation import normalize

    model.set_class_names(labels)
    with torch.inference_mode():
        video = normalize(pixels[None].to(model.device), options.mean, options.std)
        return model(video, return_sources=True, return_attentions=True)


def _look_beside(model: TCCLIP, options: Namespace, *seen: Any) -> TCCLIPOutput | None:
    """Look with a frame-wise model too, if the model is none itself and there is one."""
    from tc_clip_pl.inference.model_source import load_source

    source = options.beside or model.config.clip_name_or_path
    if model.config.reference_tokens == "none" or source is None:
        return None
    try:
        other, _ = load_source(source)
    except OSError:
        if options.beside:
            raise
        print(f"The CLIP {source} is not there any more: no frame-wise model beside.", file=sys.stderr)
        return None
    sizes = [m.config.vision_config for m in (model, other)]
    if sizes[0].image_size != sizes[1].image_size or sizes[0].num_hidden_layers != sizes[1].num_hidden_layers:
        raise UserError(f"--beside {source} has frames or layers of another number than the model: name another one.")
    return _look(other.to(options.device), *seen)


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
