"""Collectives, FSDP2 sharding, and how processes end when one of them fails."""

from typing import Any, TypeVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import Module, Parameter
from torch.nn.utils import get_total_norm

Item = TypeVar("Item")


def is_distributed() -> bool:
    """Return whether this is one of several processes of a process group."""
    return distributed.is_available() and distributed.is_initialized()


def gather_lists(items: list[Item]) -> list[Item]:
    """Concatenate the lists of all processes in rank order; a collective, so every process must call it."""
    if not is_distributed():
        return items
    per_rank: list[list[Item]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(per_rank, items)
    return [item for rank_items in per_rank for item in rank_items]


def sum_over_processes(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, on its device; a collective, so every process must call it."""
    total = value.clone()
    if is_distributed():
        distributed.all_reduce(total)
    return total


class _Gather(torch.autograd.Function):
    """Concatenates the rows of all processes; torch's own function for it has other names in other versions."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient).chunk(distributed.get_world_size())[distributed.get_rank()]


def gather_with_gradient(rows: Tensor) -> Tensor:
    """Concatenate the rows of all processes in rank order; gradients flow back to the process that each row is of.

    A collective, in both directions. Where every process computes the same loss of all rows, the gradient of a row is
    the sum of theirs, which the averaging of DDP undoes.

    Args:
        rows: (B, ...), equally many on every process.

    Returns:
        (W * B, ...) for W processes.
    """
    return _Gather.apply(rows) if is_distributed() else rows


def is_sharded(model: Module) -> bool:
    """Return whether FSDP2 shards a model's parameters over the processes."""
    return isinstance(model, FSDPModule)


def shard(model: Module, device: torch.device) -> None:
    """Shard a model's parameters over all processes with FSDP2, in place.

    Args:
        model: Not sharded yet.
        device: Where this process computes.
    """
    # FSDP2 does not take 0-d parameters such as CLIP's temperature: every process keeps them whole, so their gradients
    # have to be averaged here.
    scalars = {parameter for parameter in model.parameters() if parameter.ndim == 0}
    for parameter in scalars:
        parameter.register_hook(_average_over_processes)
    # A mesh of our own: by default, Lightning's splits the devices of a node for tensor parallelism, not for data.
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    # By default the outermost module stays unsharded after a forward pass, and `parameters()` would then hand out
    # temporary whole tensors: weights written there (`WeightSpaceEnsemble`) would be lost.
    fully_shard(model, mesh=mesh, reshard_after_forward=True, ignored_params=scalars)


def _average_over_processes(gradient: Tensor) -> Tensor:
    total = gradient.clone()  # a hook must not change the gradient it is given
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


@torch.no_grad()  # the gradient function of `to_local` cannot be recorded in Lightning's inference mode
def local_shard(parameter: Tensor) -> Tensor:
    """Return the rows of a parameter that this process holds, sharing memory with it; all, if it is not sharded."""
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def shard_like(tensor: Tensor, parameter: Parameter) -> Tensor:
    """Cut out of a whole tensor, known to every process, the rows that this process holds of a parameter."""
    if not isinstance(parameter, DTensor):
        return tensor
    # src_data_rank=None: each process cuts its own copy, without communication
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None).to_local()


def gradient_norm(module: Module) -> Tensor:
    """Return the L2 norm of all gradients of a module; a collective if the module is sharded."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    # torch cannot stack sharded norms with whole ones, so they are taken apart and combined: |(a, b)| = |(|a|, |b|)|
    whole = get_total_norm([gradient for gradient in gradients if not isinstance(gradient, DTensor)])
    sharded = [gradient for gradient in gradients if isinstance(gradient, DTensor)]
    # The norm of no gradients would be on the CPU, and joining it with that of the others wait for the GPU.
    return get_total_norm([get_total_norm(sharded).full_tensor(), whole]) if sharded else whole


class EndTogether(Callback):
    """End all processes on this machine when the first one fails.

    Lightning watches the processes that it started, and ends the first when one of them fails, but not the other way
    round: on GPUs, the others would wait in NCCL until its time-out. Under SLURM or torchrun the launcher does this.
    """

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Kill the processes that this one has started."""
        processes = getattr(trainer.strategy.launcher, "procs", [])
        for process in processes:
            process.kill()
        # Lightning's watch would find them dead and kill this one, before it can say why it fails.
        processes.clear()
