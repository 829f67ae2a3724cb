"""Embeddings of videos and labels, and the file that holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tc_clip_pl.modules.outputs import TCCLIPOutput

KINDS = ("video_embeds", "frame_embeds", "context_tokens", "text_embeds")


Features = dict[str, Tensor]
"""Embeddings of one video in V views, by kind; a kind that the model does not make is missing.

``video_embeds`` (V, E), ``frame_embeds`` (V, T, E), ``context_tokens`` (V, K, E), and ``text_embeds``: (V, Y, E) where
the texts depend on the video, else (Y, E). Float32, on the CPU, not normalized but for ``video_embeds``.
"""


def split_features(views: Sequence[TCCLIPOutput], num_videos: int) -> list[Features]:
    """Sort the outputs of each view of B videos by video."""
    joined = {}
    for kind in KINDS:
        found = [getattr(view, kind) for view in views]
        if found[0] is None:
            continue
        depends_on_video = kind != "text_embeds" or found[0].ndim == 3
        joined[kind] = torch.stack(found, 1).float().cpu() if depends_on_video else found[0].float().cpu()
    return [
        {kind: t if kind == "text_embeds" and t.ndim == 2 else t[n] for kind, t in joined.items()}
        for n in range(num_videos)
    ]


def save_features(file: Path, videos: Sequence[str], features: Sequence[Features], labels: Sequence[str]) -> None:
    """Write the features of N videos, stacked, as safetensors; the metadata has `videos` and `labels` as JSON lists.

    Texts that do not depend on the video are written once: (Y, E).
    """
    tensors = {}
    for kind in features[0]:
        each = [feature[kind] for feature in features]
        tensors[kind] = each[0] if kind == "text_embeds" and each[0].ndim == 2 else torch.stack(each)
    metadata = {"videos": json.dumps(list(videos)), "labels": json.dumps(list(labels))}
    save_file({kind: tensor.contiguous() for kind, tensor in tensors.items()}, file, metadata)
