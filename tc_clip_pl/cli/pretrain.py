"""`tcclip pretrain`: a CLIP that knows the generated world, from nothing but a seed."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tc_clip_pl.cli.arguments import parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.startup import announced, process_rank
from tc_clip_pl.cli.whole_folder import written_whole

if TYPE_CHECKING:
    from jsonargparse import Namespace
    from lightning.pytorch import LightningDataModule, Trainer
    from rich.table import Table
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from tc_clip_pl.training.pretraining import ContrastivePretraining

HELP = """\
tcclip pretrain OUT [--KEY VALUE ...]:
train a small CLIP on captioned pictures of the generated world

  tcclip pretrain my_clip
  tcclip pretrain my_clip --steps 2000 --batch_size 256     # 2 CPU cores
  tcclip fit --config NAME --model.pretrained my_clip

Pictures and captions are drawn while training, so that no data is needed. OUT
gets weights and tokenizer in Hugging Face's format. At the end the model is
asked about held-out pictures which of all captions "a photo of a star", "a
photo of a red star", ... is true. The CLIP that `--model.pretrained world`
names was made by the recipe of the defaults.

  --steps N           optimizer steps (3000)
  --batch_size N      pictures per step, over all devices (1024)
  --lr R              peak learning rate (0.001)
  --width N           hidden size of both encoders, a multiple of 4 (96)
  --seed N            seed of weights, pictures and captions (0)
  --accelerator A     auto, cpu or gpu (auto)
  --devices N         GPUs, or processes on a CPU (1)"""

OPTIONS = {
    "steps": (int, 3000),
    "batch_size": (int, 1024),
    "lr": (float, 1e-3),
    "width": (int, 96),
    "seed": (int, 0),
    "accelerator": (Literal["auto", "cpu", "gpu"], "auto"),
    "devices": (int, 1),
}
"""Option -> type and default."""
LEAST = {"steps": 1, "batch_size": 2, "seed": 0, "devices": 1}
VALIDATIONS = 10


def pretrain(argv: list[str]) -> None:
    """Train a CLIP, write it to OUT, and print what it knows about held-out pictures.

    Args:
        argv: Arguments after `tcclip pretrain`; see `HELP`.

    Raises:
        UserError: The arguments are wrong, or OUT exists or cannot be written.
        ValueError: The batch does not fit the devices, or the loss is not finite.
    """
    options = _parse(argv)
    target = Path(options.out)
    # Only the first process writes; the others are started by it, or beside it by a launcher.
    with nullcontext() if process_rank() else written_whole(_unused(target)) as folder:
        with announced("Loading PyTorch and Lightning ..."):
            trainer, module, data, tokenizer = _build(options)
        began = time.monotonic()
        _fit(trainer, module, data)
        minutes = (time.monotonic() - began) / 60
        trainer.validate(module, datamodule=data, verbose=False)
        if folder is None:
            return
        module.clip.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    _report(trainer, module, minutes)
    print(f"Wrote {target}. Next: tcclip fit --config NAME --model.pretrained {target}")


def _parse(argv: list[str]) -> Namespace:
    options = parse_arguments(argv, {"out": "?"}, OPTIONS)
    _check(options)
    return options


def _check(options: Namespace) -> None:
    if not options.out:
        raise UserError("No output folder is given: tcclip pretrain OUT.")
    for name, least in LEAST.items():
        if options[name] < least:
            raise UserError(f"--{name} is {options[name]}; it must be at least {least}.")
    if not 0 < options.lr < float("inf"):
        raise UserError(f"--lr is {options.lr:g}; it must be above 0.")
    if options.width < 4 or options.width % 4:
        raise UserError(f"--width is {options.width}; it must be a multiple of 4, the number of attention heads.")


def _unused(target: Path) -> Path:
    if target.exists():
        raise UserError(f"{target} exists: name another folder, or remove it.")
    return target


def _build(options: Namespace) -> tuple[Trainer, ContrastivePretraining, LightningDataModule, PreTrainedTokenizerBase]:
    from datamodules.synthetic.caption_data_module import CaptionDataModule
    from datamodules.synthetic.captions import QUESTIONS, candidates, vocabulary_texts
    from tc_clip_pl.checkpoints.tiny_clip import build_random_clip, make_tiny_tokenizer, world_clip_config
    from tc_clip_pl.cli.library_logging import silence_library_logs
    from tc_clip_pl.training.pretraining import ContrastivePretraining

    silence_library_logs()
    tokenizer = make_tiny_tokenizer(vocabulary_texts())

    def tokenize(texts: list[str]) -> Tensor:
        return tokenizer(texts, return_tensors="pt", padding=True)["input_ids"]

    clip = build_random_clip(world_clip_config(tokenizer, options.width), options.seed)
    questions = {question: tokenize(candidates(question)) for question in QUESTIONS}
    module = ContrastivePretraining(clip, questions, options.lr)
    data = CaptionDataModule(tokenize, batch_size=options.batch_size, seed=options.seed)
    return _build_trainer(options), module, data, tokenizer


def _build_trainer(options: Namespace) -> Trainer:
    from lightning.pytorch import Trainer
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    from tc_clip_pl.cli.trainer_settings import choose_precision
    from tc_clip_pl.training.distributed import EndTogether
    from tc_clip_pl.training.interrupts import KeepInterrupts
    from tc_clip_pl.training.step_progress import StepProgress

    try:
        return Trainer(
            max_steps=options.steps,
            accelerator=options.accelerator,
            devices=options.devices,
            strategy="ddp" if options.devices > 1 else "auto",
            precision=choose_precision(options.accelerator),
            callbacks=[StepProgress(), EndTogether(), KeepInterrupts()],
            val_check_interval=-(-options.steps // VALIDATIONS),
            check_val_every_n_epoch=None,  # the interval counts steps, not batches of an epoch
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the data module shares the pictures out itself
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise UserError(" ".join(str(error).split())) from error


def _fit(trainer: Trainer, module: ContrastivePretraining, data: LightningDataModule) -> None:
    try:
        trainer.fit(module, datamodule=data)
    except SystemExit as stop:  # Lightning ends an interrupted training by exit(1), without a word
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _report(trainer: Trainer, module: ContrastivePretraining, minutes: float) -> None:
    import rich
    import torch

    device = trainer.strategy.root_device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{trainer.max_steps} steps in {minutes:.1f} minutes on {trainer.world_size} x {machine}.")
    rich.print(_table(module, {name: float(value) for name, value in trainer.callback_metrics.items()}))


def _table(module: ContrastivePretraining, metrics: dict[str, float]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from datamodules.synthetic.captions import candidates

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="Accuracy on held-out pictures (%)", title_justify="left")
    table.add_column("question")
    for column in ("captions", "chance", "accuracy"):
        table.add_column(column, justify="right")
    table.add_column("a caption")
    for question, tokens in module.questions.items():
        accuracy, chance = 100 * metrics[f"val/{question}"], 100 / len(tokens)
        table.add_row(question, str(len(tokens)), f"{chance:.1f}", f"{accuracy:.1f}", candidates(question)[0])
    return table
