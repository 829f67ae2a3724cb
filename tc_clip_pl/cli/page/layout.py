"""What stands where on the page, and what its button does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tc_clip_pl.cli.page import timeline
from tc_clip_pl.cli.page.request import MIN_WINDOW, Limits, Result, answer
from tc_clip_pl.inference.recognizer import Recognizer

ATTENTION = "Above: what [CLS] attends to in each frame the model saw, from blue (least) to red (most)."
STYLE = f"{timeline.STYLE} .clip video {{ max-height: 340px; }}"
BARS = 10
COLUMNS = 4
WAITING = 32  # requests; one more is told that the page is busy
DEFAULT_WINDOW = 10.0  # seconds
KEPT = 3600  # seconds that an upload stays on the disk


def build_page(recognizer: Recognizer, model: str, limits: Limits) -> gr.Blocks:
    """Build the page.

    Args:
        recognizer: The model that answers.
        model: Its name, as the page shows it.
        limits: What a request may ask for.
    """

    def respond(video: str | None, labels: str, window: float | None) -> Iterator[tuple[Any, ...]]:
        if video is None:
            raise gr.Error("Drop a video first, or record one.", duration=None)
        try:
            for result in answer(recognizer, video, labels, window or 0, limits):
                yield _show(result)
        except ValueError as error:  # a DataError is one: a sentence for the user
            raise gr.Error(str(error).replace(video, Path(video).name), duration=None) from error

    with gr.Blocks(title="tcclip", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown(f"# tcclip\nWhich of your words describes your video? The model `{Path(model).name}` answers.")
        with gr.Row():
            with gr.Column():
                inputs = _draw_inputs(limits)
                button = gr.Button("Recognize", variant="primary")
            with gr.Column():
                outputs = _draw_outputs()
        # One request at a time has the device; the model itself keeps the labels of several threads apart.
        button.click(respond, inputs, outputs, concurrency_limit=1, api_name="recognize")
    return page.queue(max_size=WAITING)


def _draw_inputs(limits: Limits) -> list[gr.components.Component]:
    label = f"Video, up to {limits.max_mb:g} MB and {limits.max_seconds:g} s"
    return [
        gr.Video(label=label, sources=["upload", "webcam"], elem_classes="clip"),
        gr.Textbox(label="Labels, separated by commas", lines=2, placeholder="brush hair, ride bike, shake hands"),
        gr.Number(DEFAULT_WINDOW, minimum=MIN_WINDOW, label="Seconds of a window, for the timeline of longer videos"),
    ]


def _draw_outputs() -> list[gr.components.Component]:
    return [
        gr.Label(label="Answers", num_top_classes=BARS),
        gr.HTML(visible=False, label="Timeline", show_label=True, container=True, padding=True),
        gr.Image(label="Attention", show_label=False, format="png", buttons=["fullscreen"]),
        gr.Markdown(),
    ]


def _show(result: Result) -> tuple[Any, ...]:
    """Return the values of the components of `_draw_outputs`."""
    segments = gr.HTML(timeline.draw_timeline(result.segments), visible=bool(result.segments))
    timings = " · ".join(f"{step} {seconds:.2f} s" for step, seconds in result.timings.items())
    text = f"{ATTENTION}\n\nA video of {result.duration:.1f} s: {timings}"
    return dict(result.ranking), segments, _tile(result.frames), text


def _tile(frames: np.ndarray) -> np.ndarray:
    """Arrange (T, H, W, 3) frames in 0..1 in rows, with white between them: one uint8 picture for any screen."""
    missing = -len(frames) % COLUMNS
    gap = max(1, frames.shape[1] // 32)
    padded = np.pad(frames, ((0, missing), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    padded[len(frames) :] = 1.0
    rows = [np.concatenate(padded[n : n + COLUMNS], axis=1) for n in range(0, len(padded), COLUMNS)]
    return (255 * np.concatenate(rows)[:-gap, :-gap]).round().astype(np.uint8)
