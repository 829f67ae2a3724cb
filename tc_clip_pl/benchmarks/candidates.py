"""The models that are compared: a TC-CLIP, and the frame-wise model of the same CLIP, ours and Hugging Face's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.acceleration import use_kernels
from tc_clip_pl.modules.backbone.interface import VisionModel
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.recomputation import recompute_activations
from tc_clip_pl.modules.tc_clip import TCCLIP

CLASS_TOKENS = 12  # tokens of a typical class text
AUTO, PLAIN, COMPILED = "auto", "plain", "compiled"


class Scorer(Protocol):
    """What the benchmarks need of a model: scores of videos, and how many classes there are."""

    def set_num_classes(self, num_classes: int) -> None:
        """Set how many classes are scored."""

    def score(self, video: Tensor) -> Tensor:
        """Compute (B, Y) logits of (B, T, 3, H, W) normalized pixels."""


class TCScorer(nn.Module):
    """A `TCCLIP` with random weights."""

    def __init__(self, config: TCCLIPConfig) -> None:
        super().__init__()
        self.model = TCCLIP(config)

    def set_num_classes(self, num_classes: int) -> None:
        """Set the classes, of texts of typical length."""
        self.model.set_blank_classes(num_classes, CLASS_TOKENS)

    def score(self, video: Tensor) -> Tensor:
        """Score videos."""
        return self.model(video).logits


class FrameWiseScorer(nn.Module):
    """Hugging Face's own CLIP vision model over the frames; their mean meets fixed vectors in place of class texts."""

    def __init__(self, config: TCCLIPConfig) -> None:
        super().__init__()
        self.vision_model = VisionModel(config.vision_config)
        self.classes: Tensor | None = None

    def set_num_classes(self, num_classes: int) -> None:
        """Set the class vectors."""
        width = self.vision_model.config.hidden_size
        self.classes = torch.randn(width, num_classes, device=self.vision_model.device) * width**-0.5

    def score(self, video: Tensor) -> Tensor:
        """Score videos."""
        frames = self.vision_model(pixel_values=video.flatten(0, 1)).pooler_output
        return frames.unflatten(0, video.shape[:2]).mean(1).to(self.classes.dtype) @ self.classes


@dataclass(frozen=True)
class Candidate:
    """A model to be measured.

    Attributes:
        name: Its name in tables.
        kernels: Its implementation: a name that `use_kernels` takes.
        config: Its configuration.
        is_baseline: Whether it is Hugging Face's model, which others are compared with.
        recomputes: Whether its training recomputes activations.
    """

    name: str
    kernels: str
    config: TCCLIPConfig
    is_baseline: bool = False
    recomputes: bool = False

    def build(self, device: torch.device) -> nn.Module:
        """Build a `Scorer` with random weights on a device."""
        with torch.device(device):
            scorer = FrameWiseScorer(self.config) if self.is_baseline else TCScorer(self.config)
        if self.recomputes:
            recompute_activations(scorer.vision_model if self.is_baseline else scorer.model)
        if self.is_baseline:
            if self.kernels == COMPILED and device.type != "meta":
                scorer.vision_model.compile(dynamic=False)
        else:
            use_kernels(scorer.model, self.kernels, every_size=True)
        return scorer


def build_candidates(config: TCCLIPConfig, kernels: Sequence[str], device: torch.device) -> Iterator[Candidate]:
    """Yield the models to compare, the baselines last.

    The baseline is given the means of the run: it is compiled, but beside plain kernels, where it is eager, as it is
    beside "auto" on a CPU.

    Args:
        config: Configuration of the model.
        kernels: Implementations of the model.
        device: Where they run.
    """
    for name in kernels:
        yield Candidate("TC-CLIP", name, config)
    for name in kernels:
        yield Candidate("frame-wise", name, frame_wise(config))
    for means in dict.fromkeys(baseline_means(name, device) for name in kernels):
        yield Candidate("HF CLIP", means, config, is_baseline=True)


def baseline_means(kernels: str, device: torch.device) -> str:
    """Return how the baseline of an implementation runs: compiled or plain."""
    return PLAIN if kernels == PLAIN or (kernels == AUTO and device.type == "cpu") else COMPILED


def frame_wise(config: TCCLIPConfig) -> TCCLIPConfig:
    """Return the configuration of the frame-wise model with the encoders and frames of another."""
    kept = ("vision_config", "text_config", "projection_dim", "num_frames", "prompt_token_ids")
    return TCCLIPConfig(**{name: getattr(config, name) for name in kept}, reference_tokens="none", prompting="template")
