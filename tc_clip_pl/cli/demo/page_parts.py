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
from tc_clip_pl.cli.demo.accuracies import Confusion
from tc_clip_pl.cli.demo.charts import draw_accuracy_by_weight, draw_confusions
from tc_clip_pl.cli.demo.films import choose_film, look_at_attention, look_inside, predict, read_films
from tc_clip_pl.cli.demo.runs import FRAME_WISE, TC_CLIP, DemoRun
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.training.checkpoint import load_model

EXAMPLE_FRAMES = 8
"""Frames of the films that are shown by group; the models see fewer."""
GROUP_TEXTS = {
    "static": "One frame is enough: it shows what the action names. What happens in the film says nothing.",
    "relational": "Frame by frame, these four are distributed alike: a striped thing of any color at any place. Only a "
    "comparison of frames tells what changes and what stays; a model that scores each frame alone can but guess one of "
    "four.",
    "order": "Every film of the one action is a film of the other played backwards. Both models have one positional "
    "embedding for all frames, so that they see the frames without their order and guess one of two.",
}
INSIDE = ("a striped thing jumping around", "a star moving right")
"""Actions of which the page looks into one film each."""
PARTS = {
    "film": ("Film", "The frames that both models get."),
    "seeds": (
        "Seed tokens",
        "The patches that [CLS] attends to most become seeds; the others stay as they are.",
    ),
    "context": (
        "Context tokens",
        "Similar seeds of all frames merge: patches with the same border, in any frame, are one context token. The one "
        "in red is found in the most frames.",
    ),
    "attention": (
        "[CLS] attention, TC-CLIP",
        "What each frame's answer is drawn from: blue is least, red is most, each frame on its own scale.",
    ),
    "frame-wise": ("[CLS] attention, frame-wise", "The same where no frame sees another."),
}


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
    scores = {method: predict(model, films) for method, model in models.items()}
    shown = []
    for action in INSIDE:
        index = choose_film(films, action, scores[TC_CLIP], scores[FRAME_WISE])
        strips = {"film": films.strip(index), **look_inside(models[TC_CLIP], films, index)}
        strips["frame-wise"] = look_at_attention(models[FRAME_WISE], films, index)
        answers = {}
        for method, of_method in scores.items():
            probability, label = of_method[index].max(-1)
            answers[method] = f"{films.class_names[label]} ({float(probability):.0%})"
        parts = [{"name": PARTS[key][0], "text": PARTS[key][1], "picture": embed(strips[key])} for key in PARTS]
        shown.append({"name": action, "file": films.names[index], "answers": answers, "parts": parts})
    return shown


def draw_charts(confusions: Mapping[str, Mapping[float, Confusion]]) -> dict[str, str]:
    """Return the pictures of `confusions` and of the accuracy `by_weight`."""
    return {
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
