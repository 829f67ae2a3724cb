"""Weight-space ensembling: test with weights between CLIP's and the fine-tuned ones."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.nn import Module, Parameter

from tc_clip_pl.ops.interpolation import interpolate_state_dicts
from tc_clip_pl.training.distributed import is_sharded, plain_name, whole_parameters


class WeightSpaceEnsemble(Callback):
    """Tests with `theta = (1 - w) theta_CLIP + w theta_fine_tuned` and puts the fine-tuned weights back afterwards.

    CLIP's own parameters of both encoders are interpolated; those that TC-CLIP adds stay fine-tuned. CLIP's weights
    are read from where the model was made from when a test begins, and both sets wait on the CPU, so the device never
    holds a second model. The fine-tuned weights come back bit for bit, whatever ended the test.

    Args:
        weight: Share of the fine-tuned weights, in [0, 1]: 1 tests the fine-tuned model, 0 gives CLIP's backbone. The
            paper uses 0.7.

    Raises:
        ValueError: If the weight is out of range.
    """

    def __init__(self, weight: float = 0.7) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"ensembling.weight must be between 0 (CLIP) and 1 (fine-tuned), got {weight}.")
        self.weight = weight
        self._fine_tuned: dict[str, Tensor] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the interpolated weights in."""
        if self.weight == 1.0:
            return
        model = pl_module.model
        clip = clip_parameters_before_training(model)
        with whole_parameters(model):
            fine_tuned = copy_clip_parameters(model)
            mixed = interpolate_state_dicts(clip, fine_tuned, self.weight)
            self._fine_tuned = fine_tuned  # from here on there is something to put back
            load_parameters(model, mixed)
        rank_zero_info(f"Testing with ensembled weights: {self.weight:g} x fine-tuned + {1 - self.weight:g} x CLIP.")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the fine-tuned weights back."""
        self._restore(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Put the fine-tuned weights back, after an error or an interruption too.

        Not those of a sharded model: that takes all processes, and here some may have ended.
        """
        if not is_sharded(pl_module.model):
            self._restore(pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the fine-tuned weights back, if nothing else has."""
        self._restore(pl_module)

    def _restore(self, pl_module: LightningModule) -> None:
        if self._fine_tuned:
            with whole_parameters(pl_module.model):
                load_parameters(pl_module.model, self._fine_tuned)
        self._fine_tuned = {}


def copy_clip_parameters(model: Module) -> dict[str, Tensor]:
    """Copy to the CPU those parameters of a TC-CLIP that CLIP has too."""
    added = set(map(plain_name, model.new_parameter_names()))
    named = _named_parameters(model).items()
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in named if name not in added}


def clip_parameters_before_training(model: Module) -> dict[str, Tensor]:
    """Read, on the CPU, what the same parameters were in the CLIP that a model was made from.

    Raises:
        OSError: If that CLIP is no longer where it was.
    """
    added = set(map(plain_name, model.new_parameter_names()))
    return {name: tensor for name, tensor in model.clip_state_dict().items() if name not in added}


@torch.no_grad()
def load_parameters(model: Module, tensors: dict[str, Tensor]) -> None:
    """Write tensors into a model's parameters of those names, in place."""
    parameters = _named_parameters(model)
    for name, tensor in tensors.items():
        parameters[name].copy_(tensor)
    model.clear_class_cache()  # the model cannot see in-place writes


def _named_parameters(model: Module) -> dict[str, Parameter]:
    return {plain_name(name): parameter for name, parameter in model.named_parameters()}
