"""What `page.html` shows, section by section, its pictures as text that stands in the page itself."""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave

from datamodules.synthetic.actions import DEMO, GROUPS
from tc_clip_pl.cli.tour.accuracies import Confusion
from tc_clip_pl.cli.tour.charts import draw_accuracy_by_weight, draw_confusions
from tc_clip_pl.cli.tour.films import look_inside, read_films
from tc_clip_pl.cli.tour.runs import FRAME_WISE, TC_CLIP, DemoRun
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.training.checkpoint import load_model

EXAMPLE_FRAMES = 8
"""Frames of the films that are shown by group; the models see fewer."""
GROUP_TEXTS = {
    "static": "One frame is enough: it shows what the action names. What happens in the film says nothing.",
    "relational": "Frame by frame, these four are distributed alike: a striped thing of any color at any place. Only a "
    "comparison of frames tells what changes and what stays. A model that scores each frame alone gives all four the "
    "same score on average, so that one answer in four is expected to be right.",
    "order": "Every film of the one action is a film of the other played backwards. Both models have one positional "
    "embedding for all frames, so that they see the frames without their order: one answer in two is expected to be "
    "right.",
}
INSIDE = ("a striped thing changing color", "a star moving right")
"""Actions whose first test film the page looks into."""


def load_models(runs: Mapping[str, DemoRun]) -> dict[str, TCCLIP]:
    """Load the fine-tuned models (w = 1) of some runs."""
    return {method: load_model(run.checkpoint) for method, run in runs.items()}


def draw_examples(data: Path, image_size: int) -> list[dict[str, Any]]:
    """Return the groups, each with its text and the first test film of every action."""
    films = read_films(data, EXAMPLE_FRAMES, image_size)
    return [
        {
            "name": group,
            "text": GROUP_TEXTS[group],
            "films": [
                {"name": action.name, "picture": embed(films.strip(films.first_of(action.name)))}
                for action in DEMO
                if action.group == group
            ],
        }
        for group in GROUPS
    ]


def draw_inside(models: Mapping[str, TCCLIP], data: Path) -> list[dict[str, Any]]:
    """Return the films that the page looks into: what both models answer, and what they see."""
    config = models[TC_CLIP].config
    films = read_films(data, config.num_frames, config.vision_config.image_size)
    shown = []
    for action in INSIDE:
        index = films.first_of(action)
        seen = {method: look_inside(model, films, index) for method, model in models.items()}
        pictures = {"film": films.strip(index), **seen[TC_CLIP].strips}
        pictures["frame_wise"] = seen[FRAME_WISE].strips["attention"]
        pictures = {name: embed(picture) for name, picture in pictures.items()}
        shown.append({"name": action, "seen": seen, "on_context": seen[TC_CLIP].on_context, "pictures": pictures})
    return shown


def draw_charts(confusions: Mapping[str, Mapping[float, Confusion]]) -> dict[str, Any]:
    """Return the pictures of `confusions` and of the accuracy `by_weight`, and the `agreement` in percent."""
    return {
        "agreement": {
            method: {change: 100 * each[1.0].agreement(change) for change in ("recolor", "jump")}
            for method, each in confusions.items()
        },
        "confusions": embed(draw_confusions({name: each[1.0] for name, each in confusions.items()}, "relational")),
        "by_weight": embed(draw_accuracy_by_weight(confusions)),
    }


def tell_origin(runs: Mapping[str, DemoRun], tested: Confusion) -> dict[str, Any]:
    """Return how the page came about: numbers of films, commands, minutes, machine, versions."""
    results = [run.results for run in runs.values()]
    versions = results[-1]["versions"]
    return {
        "num_train": results[-1]["data"]["splits"]["train"]["num_clips"],
        "num_actions": len(tested.actions),
        "num_films": {group: tested.num_films(group) for group in GROUPS},
        "commands": [shlex.join(each["command"]) for each in results],
        "minutes": f"{sum(each['minutes'] or 0 for each in results):.1f}",
        "device": results[-1]["machine"]["device"],
        "versions": ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "transformers", "lightning")),
    }


def embed(picture: Figure | np.ndarray) -> str:
    """Return a figure, or an image of (H, W, 3) in 0..1, as a PNG in a data URL."""
    stream = BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(stream, format="png", dpi=150)
    else:
        imsave(stream, picture.clip(0, 1), format="png")
    return f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"
