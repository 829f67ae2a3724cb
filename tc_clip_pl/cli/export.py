"""`tcclip export`: a model as programs that answer without this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.arguments import check_known, parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.model_option import name_model
from tc_clip_pl.cli.startup import announced
from tc_clip_pl.cli.whole_folder import written_whole

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from datamodules.options import ClipOptions
    from tc_clip_pl.modules.tc_clip import TCCLIP
    from tc_clip_pl.modules.video_clip import VideoCLIP

HELP = """\
tcclip export OUT --model SOURCE --labels LABELS [--format torch_export|onnx]:
write a model as two programs that run without this package

  tcclip export exported --model RUN --labels "brush hair, ride bike"
  tcclip export exported --model RUN --labels labels.txt --format onnx

OUT gets video.pt2 or .onnx: (B, T, 3, H, W) normalized frames to embeddings;
text.pt2 or .onnx: token ids of the labels, and what the video side says for
them, to embeddings; export.json: the labels' token ids, how frames are sampled
and normalized, the factor of the cosine; and the tokenizer, for other labels.
Any number of videos B and of labels (2 or more) runs. README.md has a script.

  --model SOURCE               as in `tcclip recognize` (world)
  --labels LABELS              words separated by commas, or a file of them
  --format torch_export|onnx   onnx needs `pip install onnx onnxscript`"""

SUFFIXES = {"torch_export": ".pt2", "onnx": ".onnx"}
OPTIONS = {"model": (str, None), "labels": (str, None), "format": (str, "torch_export")}
"""Option -> type and default."""
MAX_BATCH = 1024
MAX_LABELS = 1 << 16


def export(argv: list[str]) -> None:
    """Write a model to OUT as two programs.

    Args:
        argv: Arguments after `tcclip export`; see `HELP`.

    Raises:
        UserError: The arguments are wrong, or the model's logits are no cosine of one embedding per video.
        DataError: The labels are wrong.
        OSError, ValueError: There is no such model.
    """
    options = _parse(argv)
    with announced("Loading PyTorch ..."):
        from tc_clip_pl.cli.library_logging import silence_library_logs
        from tc_clip_pl.inference.labels import read_labels
        from tc_clip_pl.inference.model_source import load_source
    silence_library_logs()
    labels = read_labels(options.labels)
    model, clip_options = load_source(name_model(options.model))
    _check(model)
    model.set_class_names(labels)
    with written_whole(Path(options.out)) as folder, announced("Exporting ..."):
        _write_programs(model, folder, options.format)
        _write_facts(model, clip_options, labels, folder)
    print(f"Wrote {options.out}: video{SUFFIXES[options.format]}, text{SUFFIXES[options.format]}, export.json.")


def _parse(argv: list[str]) -> Namespace:
    options = parse_arguments(argv, {"out": "?"}, OPTIONS)
    if not options.out or not options.labels:
        raise UserError('Give a folder and labels: tcclip export OUT --model SOURCE --labels "a, b".')
    check_known(options, "format", SUFFIXES)
    if Path(options.out).exists():
        raise UserError(f"{options.out} exists: name another folder, or remove it.")
    return options


def _check(model: VideoCLIP) -> None:
    from tc_clip_pl.checkpoints.export import POOLING
    from tc_clip_pl.modules.tc_clip import TCCLIP

    if type(model) is not TCCLIP:  # one that extends it scores in another way
        raise UserError(f"{model.title} cannot be exported, only TC-CLIP and its frame-wise models.")
    config = model.config
    if config.frame_pooling != POOLING:
        raise UserError(f"A model with frame_pooling {config.frame_pooling} cannot be exported, only {POOLING}.")
    if model.has_several_texts:
        raise UserError(f"A model with prompting {config.prompting} cannot be exported: it has many texts a class.")


def _write_programs(model: TCCLIP, folder: Path, form: str) -> None:
    import torch
    from torch.export import Dim

    from tc_clip_pl.checkpoints.export import TextSide, VideoSide, padded_input_ids

    model = model.float().requires_grad_(False)
    vision = model.config.vision_config
    video = torch.zeros(2, model.config.num_frames, vision.num_channels, vision.image_size, vision.image_size)
    video_side, text_side = VideoSide(model), TextSide(model)
    with torch.no_grad():
        _, *tokens = video_side(video)
        batch, labels = Dim("batch", min=1, max=MAX_BATCH), Dim("labels", min=2, max=MAX_LABELS)
        text_shapes = {"input_ids": {0: labels}, **({"vision_tokens": {0: batch}} if tokens else {})}
        _write_program(video_side, (video,), {"video": {0: batch}}, folder / f"video{SUFFIXES[form]}")
        inputs = (padded_input_ids(model), *tokens)
        _write_program(text_side, inputs, text_shapes, folder / f"text{SUFFIXES[form]}")


def _write_program(side: Any, inputs: tuple[Any, ...], shapes: dict[str, Any], path: Path) -> None:
    import torch

    program = torch.export.export(side, inputs, dynamic_shapes=shapes, strict=False)
    if path.suffix == ".pt2":
        torch.export.save(program, path)
        return
    try:
        import onnxscript  # noqa: F401 (PyTorch's exporter needs it)
    except ImportError as error:
        raise UserError("--format onnx needs two packages: pip install onnx onnxscript.") from error
    from tc_clip_pl.checkpoints.onnx_operators import TRANSLATIONS

    torch.onnx.export(
        program, inputs, path, dynamo=True, external_data=False, verbose=False, custom_translation_table=TRANSLATIONS
    )


def _write_facts(model: TCCLIP, options: ClipOptions, labels: list[str], folder: Path) -> None:
    from datamodules.transforms.spatial import short_side
    from tc_clip_pl.checkpoints.export import padded_input_ids

    facts = {
        "labels": labels,
        "input_ids": padded_input_ids(model).tolist(),
        "logit_scale": model.logit_scale.exp().item(),
        "num_frames": options.num_frames,
        "short_side": short_side(options.image_size),
        "crop_size": options.image_size,
        "mean": options.mean,
        "std": options.std,
    }
    (folder / "export.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
    if model.tokenizer is not None:
        model.tokenizer.save_pretrained(folder)
