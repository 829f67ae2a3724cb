"""Embedding and recognizing on the machines of a Ray cluster, by Ray Data.

Ray distributes the videos in shards, restarts workers that die, and gives their shards to others; the driver gets each
result once and alone writes files, so that no disk need be shared but that of the videos. The model's source must be
readable everywhere: a hub name, or a path on all machines.
"""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from datamodules.errors import DataError
from tc_clip_pl.inference.answers import Answer, Segment, merge, partition
from tc_clip_pl.inference.recognizer import Recognizer
from tc_clip_pl.modules.loading import hash_weights
from tc_clip_pl.search.embedding import VideoVectors, embed_videos
from tc_clip_pl.search.index import IndexSettings
from tc_clip_pl.search.video_sources import local_copy

SHARD = 16
"""Videos that a worker gets at a time, and does again if it dies."""
MAX_RETRIES = 5
"""Of a shard whose workers die, as by a file that exhausts the memory; then the job ends."""
OWN_ERROR = "DataError: "
"""What stands before the sentence of a `DataError` in a traceback."""
Timeline = tuple[str, list[Segment]]


class EmbedWorker:
    """Embeds videos, as `embed_videos`.

    Args:
        settings: Of the index; the weights must be those.
        options: Fields of `ClipOptions` that replace the model's own.

    Raises:
        DataError: The source has other weights here.
    """

    def __init__(self, settings: IndexSettings, options: dict[str, Any]) -> None:
        self.recognizer, self.settings = _load(settings.model, options), settings
        found = hash_weights(self.recognizer.replicas[0].model.state_dict())
        if found != settings.weights:
            raise DataError(
                f"{settings.model} has other weights ({found[:12]}) on a worker: copy the same model there."
            )

    def __call__(self, videos: list[str]) -> list[VideoVectors]:
        """Embed videos."""
        return list(embed_videos(self.recognizer, videos, self.settings.window, self.settings.stride))


class RecognizeWorker:
    """Answers for videos, as `Recognizer.stream`, or for their segments.

    Args:
        source: The model.
        options: Fields of `ClipOptions` that replace the model's own.
        labels: Class names.
        window: Length of a window in seconds, for segments; None for whole videos.
        stride: From the start of a window to that of the next, in seconds.
        unknown_threshold: As in `answers.merge`.
    """

    def __init__(
        self,
        source: str,
        options: dict[str, Any],
        labels: Sequence[str],
        window: float | None = None,
        stride: float | None = None,
        unknown_threshold: float = 0.0,
    ) -> None:
        self.recognizer = _load(source, options)
        self.labels, self.window, self.stride, self.unknown_threshold = labels, window, stride, unknown_threshold

    def __call__(self, videos: list[str]) -> list[Answer | Timeline]:
        """Answer for videos, in order."""
        return [self._answer(video) for video in videos] if self.window else self._answer_whole(videos)

    def _answer_whole(self, videos: list[str]) -> list[Answer]:
        copies, answers = {}, {}
        with ExitStack() as stack:
            for video in videos:
                try:
                    copies[video] = stack.enter_context(local_copy(video))
                except DataError as error:
                    answers[video] = Answer(video, error=str(error))
            for video, answer in zip(copies, self.recognizer.stream([*copies.values()], self.labels), strict=True):
                error = answer.error and answer.error.replace(copies[video], video)
                answers[video] = replace(answer, video=video, error=error)
        return [answers[video] for video in videos]

    def _answer(self, video: str) -> Answer | Timeline:
        try:
            with local_copy(video) as path:
                windows = self.recognizer.timeline(path, self.labels, self.window, self.stride)
                return video, list(merge(partition(windows), self.unknown_threshold))
        except DataError as error:
            return Answer(video, error=str(error))


def run_on_ray(make_worker: Callable[..., Any], arguments: dict[str, Any], videos: Sequence[str]) -> Iterator[Any]:
    """Have workers process videos, in shards.

    Connects to the cluster that `RAY_ADDRESS` names or that runs on this machine, else starts one for this process.
    Every GPU has a worker, or every CPU if there is no GPU.

    Args:
        make_worker: Makes a function from a list of videos to the list of their results, once per worker.
        arguments: Its arguments.
        videos: Paths or URLs that all machines can read.

    Yields:
        One result per video, exactly; in order, but as the worker orders those of a shard.

    Raises:
        DataError: Ray is not installed, or a worker failed for a reason that trying again does not change.
    """
    ray = _start_ray()
    if not videos:
        return
    resources = ray.cluster_resources()
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
    num_shards = -(-len(videos) // SHARD)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    shards = ray.data.from_items(
        [{"videos": videos[n * SHARD : (n + 1) * SHARD]} for n in range(num_shards)], override_num_blocks=num_shards
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray 2.60 announces another name for its retries
        results = shards.map_batches(
            _bind(make_worker, arguments),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(gpus or cpus, num_shards)),
            num_gpus=1 if gpus else 0,
            num_cpus=1,
            ray_remote_args_fn=lambda: {"max_task_retries": MAX_RETRIES},
        )
    count = 0
    try:
        for row in results.iter_rows():
            for result in pickle.loads(row["results"]):  # written by our own workers
                count += 1
                yield result
    except ray.exceptions.RayError as error:
        raise DataError(_explain(error, is_dead=isinstance(error, ray.exceptions.RayActorError))) from error
    if count != len(videos):
        raise RuntimeError(f"Ray returned {count} results for {len(videos)} videos.")


class _Shards:
    """What Ray Data calls: a row with videos in, a row with their pickled results out."""

    def __init__(self, make_worker: Callable[..., Any], arguments: dict[str, Any]) -> None:
        if not torch.cuda.is_available():
            torch.set_num_threads(1)  # a worker per CPU
        self.worker = make_worker(**arguments)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = [pickle.dumps(self.worker([str(video) for video in shard])) for shard in batch["videos"]]
        results = np.empty(len(rows), object)  # an array of bytes would lose zeros at their end
        results[:] = rows
        return {"results": results}


def _bind(make_worker: Callable[..., Any], arguments: dict[str, Any]) -> type[_Shards]:
    """Bind the arguments of `_Shards`; Ray would keep those of a constructor where a restarted worker may miss them."""

    class Bound(_Shards):
        def __init__(self) -> None:
            super().__init__(make_worker, arguments)

    return Bound


def _load(source: str, options: dict[str, Any]) -> Recognizer:
    return Recognizer.from_pretrained(source, **{**options, "num_workers": 0})


def _start_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DataError('--engine ray needs Ray: pip install "ray[data]<2.64".') from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="error", configure_logging=True)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _explain(error: Exception, is_dead: bool) -> str:
    """Return what ended a job: a sentence of ours that a worker raised, its death, or the last line of a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    own = next((line.partition(OWN_ERROR)[2] for line in reversed(lines) if OWN_ERROR in line), None)
    if own is None and is_dead:  # a worker that cannot be made is dead too, but tells its error
        return (
            f"The job ended, since workers died {1 + MAX_RETRIES} times on the same {SHARD} videos: look for a file "
            "that exhausts the memory."
        )
    return f"The job failed on a worker: {own or (lines[-1] if lines else type(error).__name__)}"
