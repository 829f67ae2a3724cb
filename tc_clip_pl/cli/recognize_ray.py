"""`tcclip recognize --engine ray`: the answers of many machines, printed or in shards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.answer_formats import JsonLines, Writer, open_writer
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.model_option import name_model
from tc_clip_pl.cli.progress import with_progress
from tc_clip_pl.cli.recognize_options import is_timeline, read_views

if TYPE_CHECKING:
    from jsonargparse import Namespace

SHARD_VIDEOS = 256
SHARD_NAME = "answers-{:06d}.jsonl"
JOB_FILE = "job.json"
JOB_OPTIONS = ("model", "views", "window", "stride", "top", "unknown_threshold")
"""Options that all shards of a job have in common, besides labels and videos."""


def recognize_on_ray(options: Namespace, labels: list[str]) -> int:
    """Answer for videos by the workers of a Ray cluster.

    Returns:
        0 if at least one video could be read, else 1.

    Raises:
        UserError: The folder of the shards has those of another job.
        DataError: A source does not exist, or a worker failed.
    """
    from tc_clip_pl.search.video_sources import list_videos

    videos = list(list_videos(options.videos))
    options.model = name_model(options.model)
    if options.shards:
        return _write_shards(Path(options.shards), videos, options, labels)
    with open_writer(options.format, options.top, options.unknown_threshold, is_timeline(options)) as writer:
        for result in with_progress(_answers(videos, options, labels), len(videos), "Recognizing"):
            _write(result, writer)
    return 0 if writer.num_answers else 1


def _answers(videos: list[str], options: Namespace, labels: list[str]) -> Iterator[Any]:
    from tc_clip_pl.ray_jobs import RecognizeWorker, run_on_ray

    given = {name: options[name] for name in ("batch_size", "decoder") if options[name] is not None}
    source = options.model
    arguments = {
        "source": str(Path(source).resolve()) if Path(source).exists() else source,
        "options": {**given, **read_views(options.views)},
        "labels": labels,
        "window": options.window,
        "stride": options.stride,
        "unknown_threshold": options.unknown_threshold,
    }
    return run_on_ray(RecognizeWorker, arguments, videos)


def _write(result: Any, writer: Writer) -> None:
    from tc_clip_pl.inference.answers import Answer

    if isinstance(result, Answer):
        writer.answer(result)
    else:
        video, segments = result
        for segment in segments:
            writer.segment(video, segment)


def _write_shards(folder: Path, videos: list[str], options: Namespace, labels: list[str]) -> int:
    """Write the shards that are missing, each in one step, and say what all of them hold."""
    _open_job(folder, videos, options, labels)
    shards = [videos[start : start + SHARD_VIDEOS] for start in range(0, len(videos), SHARD_VIDEOS)]
    missing = [n for n in range(len(shards)) if not (folder / SHARD_NAME.format(n)).exists()]
    wanted = [video for n in missing for video in shards[n]]
    with closing(_answers(wanted, options, labels)) as answers:
        results = with_progress(answers, len(wanted), "Recognizing")
        for n in missing:
            unfinished = folder / f"{SHARD_NAME.format(n)}.unfinished"
            with unfinished.open("w", encoding="utf-8") as file:
                writer = JsonLines(options.top, options.unknown_threshold, is_timeline(options), file=file)
                for _ in shards[n]:
                    _write(next(results), writer)
            unfinished.replace(folder / SHARD_NAME.format(n))
        next(results, None)  # lets Ray end
    num_bad = len({row["video"] for row in _read(folder, len(shards)) if "error" in row})
    print(f"{folder}: {len(videos)} videos, {num_bad} not read; {len(missing)} of {len(shards)} shards are new.")
    return 0 if num_bad < len(videos) else 1


def _open_job(folder: Path, videos: list[str], options: Namespace, labels: list[str]) -> None:
    job = {"labels": labels, **{name: options[name] for name in JOB_OPTIONS}, "videos": videos}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / JOB_FILE
    if not file.exists():
        if any(folder.iterdir()):
            raise UserError(f"{folder} has other files: name a new folder for the shards.")
        file.write_text(json.dumps(job, indent=2) + "\n", encoding="utf-8")
        return
    stored = json.loads(file.read_text(encoding="utf-8"))
    if differing := [name for name, value in job.items() if stored.get(name) != value]:
        raise UserError(
            f"{folder} has shards of a job with other {differing[0]}: name a new folder, or repeat that job."
        )


def _read(folder: Path, count: int) -> Iterable[dict[str, Any]]:
    for n in range(count):
        with (folder / SHARD_NAME.format(n)).open(encoding="utf-8") as file:
            yield from map(json.loads, file)
