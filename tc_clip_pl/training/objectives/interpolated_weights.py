"""A second gradient at weights between CLIP's and the present ones: how Open-VCLIP forgets less."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.func import functional_call

from tc_clip_pl.modules.process_draws import draw_own
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.training.objectives.base import Objective, StepResult
from tc_clip_pl.training.objectives.cross_entropy import CrossEntropy


class InterpolatedWeights(Objective):
    """Minimize a loss both at the present weights and at weights nearer to CLIP's.

    Every step, in every process, draws ``alpha`` from ``U(0, max_clip_share)`` anew. The gradient is ``grad L(theta) +
    weight * grad L(theta')`` with ``theta' = alpha theta_CLIP + (1 - alpha) theta``: the second one is taken by theta'
    and used as it is, without the factor ``1 - alpha`` of the chain rule. Only trained parameters that CLIP has are
    interpolated. The step takes twice the time and memory; CLIP's weights stay on the device besides.

    Args:
        objective: The loss; cross-entropy over the classes by default.
        max_clip_share: Largest share of CLIP's weights, in (0, 1].
        weight: Weight of the second loss, above 0.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, objective: Objective | None = None, max_clip_share: float = 0.6, weight: float = 0.5) -> None:
        super().__init__()
        if not 0 < max_clip_share <= 1:
            raise ValueError(f"InterpolatedWeights.max_clip_share is {max_clip_share:g}; it must be in (0, 1].")
        if not 0 < weight < float("inf"):
            raise ValueError(f"InterpolatedWeights.weight is {weight:g}; it must be above 0.")
        self.objective = objective or CrossEntropy()
        self.max_clip_share, self.weight = max_clip_share, weight
        self._clip: dict[str, Tensor] = {}  # neither buffers nor parameters: checkpoints and DDP leave them alone

    def prepare(self, model: VideoCLIP, trainer: Trainer) -> None:
        """Read CLIP's weights.

        Raises:
            ValueError: If the model is sharded, recomputes activations, does not know its CLIP, or trains nothing that
                CLIP has.
            OSError: If that CLIP is gone.
        """
        self.objective.prepare(model, trainer)
        self.scores_classes = self.objective.scores_classes
        self.refuse_sharding(trainer)
        if any(getattr(module, "gradient_checkpointing", False) for module in model.modules()):
            # They would be computed again from the present weights.
            raise ValueError(
                "InterpolatedWeights cannot recompute activations: set model.checkpoint_activations to false."
            )
        clip, new = model.clip_state_dict(), model.new_parameter_names()
        trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self._clip = {name: clip[name] for name in trained if name not in new}
        if not self._clip:
            raise ValueError("InterpolatedWeights has nothing to interpolate: no weight that CLIP has is trained.")

    def forward(self, model: VideoCLIP, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        """Compute the sum of both losses; the logits are those of the present weights."""
        arguments = (video, batch, label_smoothing)
        loss, logits = self.objective(model, *arguments)
        share = float(draw_own(torch.rand)) * self.max_clip_share
        weights = {f"model.{name}": tensor for name, tensor in self._interpolate(model, share).items()}
        nearer = functional_call(_Step(model, self.objective), weights, arguments).loss
        return StepResult(loss + self.weight * nearer, logits)

    def _interpolate(self, model: VideoCLIP, share: float) -> dict[str, Tensor]:
        parameters = dict(model.named_parameters())
        self._clip = {
            name: tensor.to(parameters[name].device) for name, tensor in self._clip.items()
        }  # moves them once
        # The way to CLIP is a constant, so that the gradient by theta' reaches theta as it is.
        return {name: p + share * (clip - p.detach()) for name, clip in self._clip.items() for p in [parameters[name]]}


class _Step(nn.Module):
    """An objective and its model as one module, for `functional_call` to replace the model's weights."""

    def __init__(self, model: VideoCLIP, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        return self.objective(self.model, video, batch, label_smoothing)
