"""`tcclip recognize`: videos and words in, ranked answers out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tc_clip_pl.cli.answer_formats import Writer, open_writer
from tc_clip_pl.cli.model_option import load_recognizer
from tc_clip_pl.cli.progress import with_progress
from tc_clip_pl.cli.recognize_options import is_timeline, parse_options, read_views
from tc_clip_pl.cli.startup import announced

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from tc_clip_pl.inference.recognizer import Recognizer

HELP = """\
tcclip recognize VIDEO_OR_FOLDER ... --labels LABELS [--KEY VALUE ...]:
say which of some words describes each video

  tcclip recognize a.mp4 --labels "brush hair, ride bike" --model RUN
  tcclip recognize my_videos --labels labels.txt --format csv > answers.csv
  tcclip recognize match.mp4 --labels labels.txt --window 10 --stride 5
  tcclip recognize --stream rtsp://HOST/live --labels "a fall, walking"

LABELS are words separated by commas, or a file: .txt with a line per label,
.csv with the header id,name, or .json with a list. A file that cannot be read
is a line of the answers; the exit code is 1 if none could be read.

  --model SOURCE            a run folder, a checkpoint, a folder of `tcclip
                            convert`, a hub name; a plain CLIP answers
                            zero-shot. Default: world, the small CLIP of the
                            generated world that comes with the package
  --format table|json|jsonl|csv
                            jsonl and csv are written answer by answer
  --top N                   labels per answer (5)
  --unknown_threshold P     answer "unknown" below this probability (0)
  --views TxS               temporal views x crops, such as 4x3; default: as the
                            model says
  --window SECONDS          answer for windows of this length: a timeline, in
  --stride SECONDS          which equal neighbors are joined (half a window)
  --stream URL              answer for the last window (10 s) of a camera, a
                            stream or a file in real time, once a stride
  --features FILE           also write video, frame, context and text embeddings
                            as safetensors
  --device cpu|cuda|cuda:0,cuda:1
                            default: a GPU if there is one. Several share this
                            process; --engine ray has a process for each
  --batch_size N            videos at a time on one device (8)
  --num_workers N           decoding processes (a share of the CPU cores)
  --decoder auto|pyav|decord|torchcodec
  --engine local|ray        ray: one worker per GPU, or per CPU, of the Ray
                            cluster that RAY_ADDRESS names, else of this
                            machine; videos may also be .txt lists and URLs
  --shards DIR              with ray: write answers as JSON lines, a file for
                            256 videos; the same command goes on"""


def recognize(argv: list[str]) -> int:
    """Print the answers for videos, or for the windows of videos or of a stream.

    Args:
        argv: Arguments after `tcclip recognize`; see `HELP`.

    Returns:
        0 if at least one video could be read, else 1.

    Raises:
        UserError: The arguments are wrong.
        DataError: A path does not exist, or the labels are wrong.
        OSError, ValueError: There is no such model, or a label is too long.
    """
    options = parse_options(argv)
    with announced("Loading PyTorch ..."):
        from tc_clip_pl.cli.library_logging import silence_library_logs
        from tc_clip_pl.inference.labels import read_labels
        from tc_clip_pl.inference.video_files import find_videos
    silence_library_logs()
    labels = read_labels(options.labels)
    if options.engine == "ray":
        from tc_clip_pl.cli.recognize_ray import recognize_on_ray

        return recognize_on_ray(options, labels)
    videos = [] if options.stream else find_videos(options.videos)
    recognizer = load_recognizer(options, **read_views(options.views))
    with open_writer(options.format, options.top, options.unknown_threshold, is_timeline(options)) as writer:
        if options.stream:
            _answer_stream(recognizer, options, labels, writer)
        elif options.window:
            _answer_windows(recognizer, videos, options, labels, writer)
        else:
            _answer_videos(recognizer, videos, options, labels, writer)
    return 0 if writer.num_answers else 1


def _answer_videos(
    recognizer: Recognizer, videos: list[str], options: Namespace, labels: list[str], writer: Writer
) -> None:
    if not options.features:
        for answer in with_progress(recognizer.stream(videos, labels), len(videos), "Recognizing"):
            writer.answer(answer)
        return
    from tc_clip_pl.inference.features import save_features

    kept, features = [], []
    for answer, found in with_progress(recognizer.embed(videos, labels), len(videos), "Recognizing"):
        writer.answer(answer)
        if found is not None:
            kept.append(answer.video)
            features.append(found)
    if features:
        save_features(Path(options.features), kept, features, labels)


def _answer_windows(
    recognizer: Recognizer, videos: list[str], options: Namespace, labels: list[str], writer: Writer
) -> None:
    from datamodules.errors import DataError
    from tc_clip_pl.inference.answers import Answer, merge, partition

    for video in with_progress(iter(videos), len(videos), "Recognizing"):
        try:
            windows = recognizer.timeline(video, labels, options.window, options.stride)
            for segment in merge(partition(windows), options.unknown_threshold):
                writer.segment(video, segment)
        except DataError as error:
            writer.answer(Answer(video, error=str(error)))


def _answer_stream(recognizer: Recognizer, options: Namespace, labels: list[str], writer: Writer) -> None:
    for segment in recognizer.watch(options.stream, labels, options.window, options.stride):
        writer.segment(options.stream, segment, at_once=True)
