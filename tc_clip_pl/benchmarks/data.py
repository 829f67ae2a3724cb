"""`tcclip benchmark data`: how fast clips come, where their time goes, and how long a training step waits for them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.utils.data import DataLoader

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.video.batch import Clip, VideoBatch
from datamodules.video.dataset import VideoDataset
from datamodules.video.samplers import SampleKey
from datamodules.video.stages import StageClock
from tc_clip_pl.benchmarks.candidates import TCScorer, use_kernels
from tc_clip_pl.benchmarks.rows import Row
from tc_clip_pl.benchmarks.timing import summarize, synchronize
from tc_clip_pl.benchmarks.training import training_step
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.training.optimizer import OptimizerFactory

EPOCHS = (1, 2)
READING = ("open", "index", "decode", "convert", "cache", "resize")
STAGES = (*READING, "collate", "copy", "augment")
Step = Callable[[VideoBatch], None]


def benchmark_data(data: VideoDataModule, device: torch.device, step: Step | None = None) -> Iterator[Row]:
    """Read the training clips for two epochs as a run does, then once more in this process, stage by stage.

    Args:
        data: A data module that is set up, whose training clips fill two batches or more (`thin_out`).
        device: Where batches are copied to, and augmented.
        step: A training step on an augmented batch, which the loader has to keep up with; None only reads.

    Raises:
        DataError: A clip cannot be read.
    """
    loader = data.train_dataloader()
    for epoch in EPOCHS:
        loader.sampler.set_epoch(epoch - 1)
        yield _time_epoch(loader, data, device, epoch, step)
    yield from _time_stages(loader, data, device)


def thin_out(data: VideoDataModule, num_clips: int) -> None:
    """Keep evenly spaced training clips, so that all classes have some, as many as fill whole batches.

    Raises:
        DataError: There are too few for two batches: the first only starts the clock.
    """
    dataset, size = data.datasets["train"], data.batch_size
    count = min(num_clips, len(dataset)) // size * size
    if count < 2 * size:
        raise DataError(
            f"{min(num_clips, len(dataset))} clips are too few for two batches of {size}: give a smaller "
            "--data.batch_size, or more --clips."
        )
    dataset.records = [dataset.records[i * len(dataset) // count] for i in range(count)]


def build_step(
    config: TCCLIPConfig, kernels: str, num_classes: int, optimizer: OptimizerFactory, device: torch.device
) -> Step:
    """Build a training step of a model with random weights.

    Args:
        config: Configuration of the model.
        kernels: Its implementation.
        num_classes: Classes of the data.
        optimizer: Makes the optimizer of parameters.
        device: Where it runs.
    """
    with torch.device(device):
        scorer = TCScorer(config)
    use_kernels(scorer.model, kernels)
    scorer.set_num_classes(num_classes)
    scorer.train()
    made = optimizer([parameter for parameter in scorer.parameters() if parameter.requires_grad])
    return lambda batch: training_step(scorer, made, batch.video.squeeze(1), batch.label)


def _time_epoch(
    loader: DataLoader[VideoBatch], data: VideoDataModule, device: torch.device, epoch: int, step: Step | None
) -> Row:
    """Read an epoch; its first batch, for which workers start, only starts the clock."""
    batches, waited, num_clips = iter(loader), 0.0, 0
    start = before = time.perf_counter()
    first = None
    for _ in range(len(loader)):
        batch = next(batches)
        if first is None:
            first = time.perf_counter() - before
        else:
            waited += time.perf_counter() - before
            num_clips += len(batch.label)
        if step is not None:
            step(data.augment(batch.to(device)))
            synchronize(device)  # so that while the host waits for the next batch, the device does too
        before = time.perf_counter()
        start = before if not num_clips else start
    seconds = time.perf_counter() - start
    name = f"{'training' if step else 'loader'}, epoch {epoch}"
    measured = {"rate": num_clips / seconds, "first_batch_s": first}
    return Row(name, {"epoch": epoch}, None, measured=measured | ({"wait_share": waited / seconds} if step else {}))


def _time_stages(loader: DataLoader[VideoBatch], data: VideoDataModule, device: torch.device) -> Iterator[Row]:
    """Time each stage, per clip, in this process."""
    dataset, size, seconds = data.datasets["train"], data.batch_size, defaultdict(list)
    for start in range(0, len(dataset), size):
        clips = [_read(dataset, index, seconds) for index in range(start, start + size)]
        for name, duration in _time_batch(clips, loader, data, device):
            seconds[name].append(duration / size)
    for name in STAGES:
        if seconds[name]:  # not every decoder tells its stages, nor every run has a cache
            yield Row(name, {}, summarize(seconds[name], seconds[name][0], None))


def _read(dataset: VideoDataset, index: int, seconds: dict[str, list[float]]) -> Clip:
    with StageClock().running() as clock:
        clip = dataset[SampleKey(max(EPOCHS), index)]
    for name, duration in clock.seconds.items():
        seconds[name].append(duration)
    return clip


def _time_batch(
    clips: list[Clip], loader: DataLoader[VideoBatch], data: VideoDataModule, device: torch.device
) -> Iterator[tuple[str, float]]:
    """Yield the seconds of each stage behind the reading."""
    start = time.perf_counter()
    batch = loader.collate_fn(clips)
    yield "collate", time.perf_counter() - start
    if device.type == "cuda":
        batch = batch.pin_memory()  # in a run, a thread of the loader does
    for name, run in (("copy", partial(VideoBatch.to, device=device)), ("augment", data.augment)):
        synchronize(device)
        start = time.perf_counter()
        batch = run(batch)
        synchronize(device)
        yield name, time.perf_counter() - start
