"""The model card of a converted checkpoint: what is known of it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datamodules.options import ClipOptions
    from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig

CARD = """\
---
library_name: tcclip
pipeline_tag: video-classification
{base}---

# Video action recognition with {method}

{facts}

```python
from {home} import {system}

model = {system}.from_pretrained("FOLDER")
model.set_class_names(["brush hair", "ride bike"])
logits = model(video).logits  # video: {video}, normalized
```

`preprocessor_config.json` says how frames are sampled, resized, cropped and normalized;
`datamodules.input_contract.read_input_contract` reads it.
"""

METHODS = {"none": "a frame-wise CLIP", "window": "a CLIP that attends to neighboring frames"}
"""What a model without Temporal Contextualization is, by its reference tokens."""


def model_card(config: VideoCLIPConfig, options: ClipOptions, facts: Mapping[str, str]) -> str:
    """Return a model card in Markdown, with the metadata of Hugging Face's hub.

    Args:
        config: Of the model.
        options: How its clips are sampled and normalized.
        facts: What is known of its origin, by name.
    """
    from tc_clip_pl.modules.systems import find_system
    from tc_clip_pl.training.weight_ensembling import describe_weight

    system, clip = find_system(config.model_type), config.clip_name_or_path
    on_hub = clip is not None and clip.count("/") == 1 and not Path(clip).is_absolute()
    name = "unknown" if clip is None else clip if on_hub else Path(clip).name  # a path here says nothing elsewhere
    choices = config.reference_tokens if system.title == "TC-CLIP" else None
    known = {
        **facts,
        "CLIP": f"{name}, SHA-256 of its weights {config.clip_sha256 or 'unknown'}",
        "Weights": describe_weight(1.0 if config.ensemble_weight is None else config.ensemble_weight),
        "Model": system.title if choices is None else f"reference tokens {choices}, prompting {config.prompting}",
        "Input": f"{options.num_frames} frames of {options.image_size} x {options.image_size} pixels",
        "Test views": f"{options.num_temporal_views} temporal x {options.num_spatial_views} spatial",
    }
    return CARD.format(
        base=f"base_model: {clip}\n" if on_hub else "",
        method=METHODS.get(choices, system.title),
        system=system.__name__,
        home=system.__module__,
        facts="\n".join(f"- {name}: {value}" for name, value in known.items()),
        video=f"(B, {options.num_frames}, 3, {options.image_size}, {options.image_size})",
    )
