"""`tcclip convert`: a checkpoint as a folder that loads alone."""

from __future__ import annotations

import hashlib
import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.arguments import parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.startup import announced
from tc_clip_pl.cli.whole_folder import written_whole

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from datamodules.options import ClipOptions
    from tc_clip_pl.modules.video_clip import VideoCLIP

HELP = """\
tcclip convert CKPT OUT [--clip CLIP] [--ensemble W] [--KEY VALUE ...]:
turn a checkpoint into a folder that loads alone

  tcclip convert official.pth OUT --clip openai/clip-vit-base-patch16
  tcclip convert outputs/NAME/version_0/checkpoints/last.ckpt OUT --ensemble 0.7
  tcclip test --config NAME --model.pretrained OUT

CKPT is a published checkpoint of TC-CLIP, Open-VCLIP or FROSTER, one of CLIP's
weights fine-tuned under TC-CLIP's names (as ViFi-CLIP) or under OpenAI's
original ones, or a checkpoint of `tcclip fit`. Nothing that it pickles runs,
and weights that are unknown or missing are an error. OUT gets configuration,
weights, tokenizer, a model card, and preprocessor_config.json: how frames are
sampled, resized and normalized.

  --clip CLIP               folder or hub name of the CLIP that was fine-tuned;
                            published checkpoints need it, one of `tcclip fit`
                            where that CLIP has moved
  --ensemble W              write W x fine-tuned + (1 - W) x CLIP, as the paper
                            tests with 0.7; the new parameters stay fine-tuned
  --system NAME             CKPT is a published one of another system: a5,
                            actionclip, ost, vifi_prompt, vitaclip or xclip
  --options JSON            its options, such as '{"num_frames": 32}'
  --push_to_hub NAME        also upload OUT to Hugging Face's hub, as a private
                            model if NAME is new (log in by `hf auth login`)

Published weights do not tell these; the defaults are the paper's:

  --num_frames N            frames of a view (16)
  --seed_ratio R            share of the patches that become seeds (0.3)
  --num_context_tokens K    context tokens of a video (96)
  --merges_per_round N      merges in one round of the matching (100)"""

MODEL_OPTIONS = {"num_frames": int, "seed_ratio": float, "num_context_tokens": int, "merges_per_round": int}


@dataclass(frozen=True)
class Source:
    """A checkpoint that was read.

    Attributes:
        model: Its model, fine-tuned.
        input: How clips are sampled and normalized for it.
        facts: What the model card says of it, line by line.
    """

    model: VideoCLIP
    input: ClipOptions
    facts: dict[str, str]


def convert(argv: list[str]) -> None:
    """Write a checkpoint to OUT as a folder that `TCCLIP.from_pretrained` loads.

    Args:
        argv: Arguments after `tcclip convert`; see `HELP`.

    Raises:
        UserError: The arguments are wrong, CKPT is no checkpoint, or OUT exists or cannot be written.
        OSError: CLIP is not where it should be.
        ValueError: CKPT belongs to another model or another CLIP, or an option is out of range.
    """
    options = _parse(argv)
    target = Path(options.out)
    with written_whole(target) as folder:
        with announced("Loading PyTorch ..."):
            from tc_clip_pl.cli.library_logging import silence_library_logs
        silence_library_logs()
        _write(_read(options), options.ensemble, folder)
    if options.push_to_hub is not None:
        print(f"Uploaded to {_push(target, options.push_to_hub)}")
    weights = "" if options.ensemble is None else " --ensembling.weights [1.0]"  # the folder holds the ensembled ones
    print(f"Wrote {target}. Next: tcclip test --config NAME --model.pretrained {target}{weights}")


def _push(folder: Path, name: str) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi()
    try:
        name = api.create_repo(name, private=True, exist_ok=True).repo_id
        return str(api.upload_folder(folder_path=folder, repo_id=name))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{folder} was written, but not uploaded to {name} ({reason}); try `hf upload {name} {folder}` again."
        ) from error


def _parse(argv: list[str]) -> Namespace:
    texts = dict.fromkeys(("clip", "system", "options", "push_to_hub"), str)
    kinds = {**texts, "ensemble": float, **MODEL_OPTIONS}
    options = parse_arguments(argv, {"ckpt": "?", "out": "?"}, {name: (kind, None) for name, kind in kinds.items()})
    _check(options)
    return options


def _check(options: Namespace) -> None:
    if not options.ckpt or not options.out:
        raise UserError("Give a checkpoint and an output folder: tcclip convert CKPT OUT.")
    if not Path(options.ckpt).is_file():
        raise UserError(f"There is no checkpoint file {options.ckpt}; check the path.")
    if Path(options.out).exists():
        raise UserError(f"{options.out} exists: name another folder, or remove it.")
    if options.options is not None and options.system is None:
        raise UserError("--options are those of another system: name it by --system.")
    if options.ensemble is not None and not 0 <= options.ensemble <= 1:
        raise UserError(f"--ensemble is {options.ensemble:g}; it must be between 0 (CLIP's encoders) and 1.")


def _read(options: Namespace) -> Source:
    from tc_clip_pl.checkpoints.inert import read_inert

    given = {name: options[name] for name in MODEL_OPTIONS if options[name] is not None}
    checkpoint = read_inert(options.ckpt)
    if isinstance(checkpoint, dict) and {"state_dict", "tc_clip"} <= checkpoint.keys():
        if given:
            raise UserError(f"{options.ckpt} knows its model: leave --{next(iter(given))} out.")
        return _read_ours(options.ckpt, options.clip)
    return _read_published(checkpoint, options, given)


def _read_published(checkpoint: Any, options: Namespace, given: dict[str, Any]) -> Source:
    from datamodules.options import ClipOptions
    from tc_clip_pl.baselines.published import load_published
    from tc_clip_pl.checkpoints.conversion import load_onto_clip
    from tc_clip_pl.checkpoints.official import published_weights
    from tc_clip_pl.checkpoints.open_vclip import INPUT
    from tc_clip_pl.checkpoints.openai import has_open_vclip_names

    weights = published_weights(checkpoint, options.ckpt) if options.system is None else {}
    if options.clip is None:
        raise UserError(
            f"{options.ckpt} does not hold its CLIP's token embeddings: name the CLIP that was fine-tuned, as in "
            "--clip openai/clip-vit-base-patch16."
        )
    if options.system is None:
        model = load_onto_clip(weights, options.clip, **given)
    elif given:
        raise UserError(f"--{next(iter(given))} is an option of TC-CLIP; give those of {options.system} by --options.")
    else:
        own = _read_json(options.options)
        model = load_published(options.system, checkpoint, options.ckpt, options.clip, **own)
    size = model.config.vision_config.image_size
    facts = {"Source": _identify(options.ckpt), "Format": "published checkpoint, converted name by name"}
    special = INPUT if has_open_vclip_names(weights) else {}
    return Source(model, ClipOptions(num_frames=model.config.num_frames, image_size=size, **special), facts)


def _read_json(text: str | None) -> dict[str, Any]:
    try:
        options = json.loads(text or "{}")
    except ValueError as error:
        raise UserError(f"--options is no JSON ({error}): give such as '{{\"num_frames\": 32}}'.") from error
    if not isinstance(options, dict):
        raise UserError(f"--options is {text}: give names and values, such as '{{\"num_frames\": 32}}'.")
    return options


def _read_ours(ckpt: str, clip: str | None) -> Source:
    from tc_clip_pl.inference.model_source import recorded_input
    from tc_clip_pl.modules.names import recorded_name
    from tc_clip_pl.training.checkpoint import load_model, read_facts

    model, stored = load_model(ckpt), read_facts(ckpt)
    if clip is not None:
        model.config.clip_name_or_path = recorded_name(clip)
        model.clip_state_dict()  # refuses another CLIP
    facts = {"Source": _identify(ckpt), "Format": "checkpoint of `tcclip fit`"}
    if stored.run:
        facts["Run"] = stored.run["name"]
    facts["Training"] = f"{stored.global_step} optimizer steps"
    if stored.class_names:
        facts["Trained on"] = f"{len(stored.class_names)} classes"
    return Source(model, recorded_input(stored), facts)


def _identify(path: str) -> str:
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return f"`{Path(path).name}`, SHA-256 {hashlib.sha256(content).hexdigest()}"


def _write(source: Source, ensemble: float | None, folder: Path) -> None:
    from datamodules.input_contract import write_input_contract
    from tc_clip_pl.cli.model_card import model_card
    from tc_clip_pl.training.weight_ensembling import build_weight_sets, check_can_ensemble, write_parameters

    model = source.model
    if ensemble is not None:
        check_can_ensemble(model, (ensemble,), remedy="leave --ensemble out")
        write_parameters(model, build_weight_sets(model, (ensemble,))[ensemble])
        model.config.ensemble_weight = ensemble
    model.save_pretrained(folder)
    write_input_contract(folder, source.input)
    (folder / "README.md").write_text(model_card(model.config, source.input, source.facts), encoding="utf-8")
