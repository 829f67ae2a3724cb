"""Weight-space ensembling: test with weights between CLIP's and the fine-tuned ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module

from tc_clip_pl.ops.interpolation import interpolate_state_dicts
from tc_clip_pl.training.distributed import is_sharded, local_shard, shard_like

ENSEMBLE_NOTHING = "give --ensembling.weights [1.0]"


class WeightSpaceEnsemble(Callback):
    """Test with `theta = (1 - w) theta_CLIP + w theta_fine_tuned` for several w, and leave the weights as they were.

    Only the parameters that CLIP has in its two encoders are interpolated; those that TC-CLIP adds stay fine-tuned.
    CLIP's weights are reloaded from where the model came from when a test starts.

    All w are tested in one pass over the data: a batch is decoded, moved and normalized once and scored with each set
    of weights. Every w below 1 then takes one more set of CLIP's parameters on the device (0.6 GB for ViT-B/16). With
    `sequential`, each w has its own pass, its weights are written into the model, and the copies stay on the CPU; so it
    is for a single w and under FSDP2. The metrics are the same, bit for bit. Prediction uses the first w.

    Args:
        weights: Shares of the fine-tuned weights to test, each in [0, 1], or a single one: 1 is the fine-tuned model, 0
            has CLIP's backbone. The paper uses 0.7.
        sequential: Test one w after the other, in separate passes over the data, where the device is short of memory.

    Raises:
        ValueError: If there is no weight, one is out of range, or one is given twice.

    Example:
        >>> ensemble = WeightSpaceEnsemble([1.0, 0.7], sequential=True)
        >>> trainer = Trainer(callbacks=[ensemble])  # doctest: +SKIP
        >>> for weights in ensemble.passes(trainer):  # doctest: +SKIP
        ...     trainer.test(module, datamodule=data)
    """

    def __init__(self, weights: Sequence[float] | float = (1.0, 0.7), sequential: bool = False) -> None:
        self.weights = check_weights(weights)
        self.sequential = sequential
        self._pass = self.weights  # what the next test runs with
        self._fine_tuned: dict[str, Tensor] = {}  # empty unless interpolated weights are in the model

    def passes(self, trainer: Trainer) -> Iterator[tuple[float, ...]]:
        """Yield the weights of each pass over the test data; the caller tests once for each."""
        # Not a sharded model: functional_call would replace parameters that FSDP2 gathers and frees by itself.
        one_by_one = self.sequential or isinstance(trainer.strategy, ModelParallelStrategy)
        try:
            for weights in [(weight,) for weight in self.weights] if one_by_one else [self.weights]:
                self._pass = weights
                yield weights
        finally:
            self._pass = self.weights

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the module the weights of this pass.

        Raises:
            ValueError: If a test needs several passes and was not started by `passes`, or the model has a frozen CLIP.
            OSError: If CLIP is no longer where it was.
        """
        model = pl_module.model
        check_can_ensemble(model, self._pass)
        if len(self._pass) == 1:
            self._swap_in(model, self._pass[0], "Testing")
            pl_module.weight_sets = {self._pass[0]: {}}
        elif self.sequential or is_sharded(model):
            raise ValueError("Several ensembling.weights take several passes here: test once for each of `passes`.")
        else:
            pl_module.weight_sets = build_weight_sets(model, self._pass)
            names = map(describe_weight, self._pass) if len(self._pass) < 4 else (f"w = {w:g}" for w in self._pass)
            rank_zero_info(f"Testing in one pass: {', '.join(names)}.")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap in the first weights.

        Raises:
            ValueError: If they are to be ensembled, and the model has a frozen CLIP.
        """
        check_can_ensemble(pl_module.model, self.weights[:1])
        self._swap_in(pl_module.model, self.weights[0], "Predicting")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the fine-tuned weights only."""
        self._restore(pl_module)

    on_predict_end = on_test_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the fine-tuned weights only, after an error or an interruption."""
        self._restore(pl_module)

    def _swap_in(self, model: Module, weight: float, doing: str) -> None:
        if weight == 1.0:  # the fine-tuned weights are in the model: the original CLIP need not be available
            return
        fine_tuned = copy_clip_parameters(model)
        # Interpolation is element-wise, so a sharded model needs no communication: each process does its own rows.
        ensembled = interpolate_state_dicts(original_clip_parameters(model), fine_tuned, weight)
        # Set before the first write, so that an error halfway through is undone as well, and after everything that
        # may fail without having changed the model.
        self._fine_tuned = fine_tuned
        write_parameters(model, ensembled)
        rank_zero_info(f"{doing} with ensembled weights: {describe_weight(weight)}.")

    def _restore(self, pl_module: LightningModule) -> None:
        write_parameters(pl_module.model, self._fine_tuned)  # clears the class cache even if there is nothing to write
        self._fine_tuned = {}
        pl_module.weight_sets = {1.0: {}}  # frees the other sets


def check_weights(weights: Sequence[float] | float) -> tuple[float, ...]:
    """Return ensemble weights as floats.

    Raises:
        ValueError: If there is none, one is outside [0, 1], or two have the same name in metrics and files.
    """
    values = tuple(map(float, weights)) if isinstance(weights, Sequence) else (float(weights),)
    if not values:
        raise ValueError("ensembling.weights is empty: give at least one weight, such as [1.0, 0.7].")
    if wrong := [weight for weight in values if not 0.0 <= weight <= 1.0]:
        raise ValueError(
            f"ensembling.weights must be between 0 (CLIP's encoders) and 1 (fine-tuned), got {wrong[0]:g}."
        )
    names = [f"{weight:g}" for weight in values]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"ensembling.weights has {repeated[0]} more than once: give each weight once.")
    return values


def check_can_ensemble(model: Module, weights: Sequence[float], remedy: str = ENSEMBLE_NOTHING) -> None:
    """Refuse weights other than 1 of a system that does not train CLIP's parameters.

    Args:
        model: A `VideoCLIP`.
        weights: Shares of the fine-tuned weights.
        remedy: What the user is told to do.

    Raises:
        ValueError: If there is such a weight.
    """
    if not model.can_ensemble and (others := [weight for weight in weights if weight != 1.0]):
        raise ValueError(
            f"{model.title} leaves CLIP's weights as they are, so there is nothing to ensemble them with at "
            f"w = {others[0]:g}: {remedy}."
        )


def describe_weight(weight: float) -> str:
    """Return an ensemble weight in words, such as "0.7 x fine-tuned + 0.3 x CLIP"."""
    named = {0.0: "CLIP's encoders", 1.0: "fine-tuned"}
    return named.get(weight, f"{weight:g} x fine-tuned + {1 - weight:g} x CLIP")


def build_weight_sets(model: Module, weights: Sequence[float]) -> dict[float, dict[str, Tensor]]:
    """Interpolate the parameters that a TC-CLIP shares with CLIP for each ensemble weight.

    Returns:
        New tensors by the parameter's name, on the model's device, for each weight; none for 1, the model's own.
    """
    fine_tuned = copy_clip_parameters(model)
    clip = original_clip_parameters(model) if set(weights) != {1.0} else {}
    sets: dict[float, dict[str, Tensor]] = {}
    for weight in weights:
        # On the CPU, like the weights of a separate pass: a GPU may round the interpolation differently.
        mixed = interpolate_state_dicts(clip, fine_tuned, weight) if weight != 1.0 else {}
        sets[weight] = {name: tensor.to(model.device) for name, tensor in mixed.items()}
    return sets


def forward_with(pl_module: LightningModule, weight: float, tensors: Mapping[str, Tensor], video: Tensor) -> Tensor:
    """Return `pl_module(video)`, computed with a set of `build_weight_sets`; the module's own weights stay untouched.

    Args:
        pl_module: The module, whose `model` is a TC-CLIP.
        weight: The ensemble weight, which names the set.
        tensors: The set; the model's own weights if it is empty.
        video: (B, V, T, 3, H, W), normalized.
    """
    if not tensors:
        return pl_module(video)
    # Other tensors rather than other values in the same ones: autocast caches its casts by tensor, and would go on with
    # the first weights of the step.
    parameters = {f"model.{name}": tensor for name, tensor in tensors.items()}
    with pl_module.model.separate_class_cache(weight):
        return functional_call(pl_module, parameters, (video,))


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
def write_parameters(model: Module, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors into the parameters of those names, in place, so that an optimizer keeps its references."""
    if is_sharded(model):
        model.reshard()  # an error inside a forward pass leaves temporary whole parameters in the model
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        local_shard(parameters[name]).copy_(tensor)
    model.clear_class_cache()  # the model cannot see in-place writes
