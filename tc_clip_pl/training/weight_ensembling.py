"""Weight-space ensembling: test with weights between CLIP's and the fine-tuned ones."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.nn import Module

from tc_clip_pl.ops.interpolation import interpolate_state_dicts
from tc_clip_pl.training.distributed import is_sharded, local_shard, shard_like


class WeightSpaceEnsemble(Callback):
    """Test with `theta = (1 - w) theta_CLIP + w theta_fine_tuned`, and restore the fine-tuned weights afterwards.

    Only the parameters that CLIP has in its two encoders are interpolated; those that TC-CLIP adds stay fine-tuned.
    CLIP's weights are reloaded from where the model came from when a test starts. Both copies stay on the CPU, so the
    device never holds a second model. The fine-tuned weights are restored bit for bit, even after an error.

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
        self._fine_tuned: dict[str, Tensor] = {}  # empty unless interpolated weights are in the model

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap in the interpolated weights."""
        if self.weight == 1.0:  # plain fine-tuned test: the original CLIP need not be available
            return
        model = pl_module.model
        fine_tuned = copy_clip_parameters(model)
        # Interpolation is element-wise, so a sharded model needs no communication: each process does its own rows.
        ensembled = interpolate_state_dicts(original_clip_parameters(model), fine_tuned, self.weight)
        # Set before the first write, so that an error halfway through is undone as well, and after everything that
        # may fail without having changed the model.
        self._fine_tuned = fine_tuned
        write_parameters(model, ensembled)
        rank_zero_info(f"Running with ensembled weights: {self.weight:g} x fine-tuned + {1 - self.weight:g} x CLIP.")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the fine-tuned weights."""
        self._restore(pl_module)

    # Predictions are those of the same weights.
    on_predict_start, on_predict_end = on_test_start, on_test_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore the fine-tuned weights after an error or an interruption."""
        self._restore(pl_module)

    def _restore(self, pl_module: LightningModule) -> None:
        write_parameters(pl_module.model, self._fine_tuned)
        self._fine_tuned = {}


@torch.no_grad()
def copy_clip_parameters(model: Module) -> dict[str, Tensor]:
    """Copy to the CPU the parameters that a TC-CLIP shares with CLIP; of a sharded model, this process's rows."""
    added = model.new_parameter_names()
    named = model.named_parameters()
    return {name: local_shard(p).to("cpu", copy=True) for name, p in named if name not in added}


def original_clip_parameters(model: Module) -> dict[str, Tensor]:
    """Read the same parameters from the CLIP that the model was initialized from.

    Raises:
        OSError: If that CLIP is no longer where it was.
    """
    clip, added = model.clip_state_dict(), model.new_parameter_names()
    named = model.named_parameters()
    return {name: shard_like(clip[name], p).cpu() for name, p in named if name not in added}


@torch.no_grad()
def write_parameters(model: Module, tensors: dict[str, Tensor]) -> None:
    """Write tensors into the parameters of those names, in place, so that an optimizer keeps its references."""
    if is_sharded(model):
        model.reshard()  # an error inside a forward pass leaves temporary whole parameters in the model
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        local_shard(parameters[name]).copy_(tensor)
    model.clear_class_cache()  # the model cannot see in-place writes
