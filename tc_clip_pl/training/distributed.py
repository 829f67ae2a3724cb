"""What several processes have to agree on: sums, lists, whole parameters, and their common end."""

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, distributed
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import wrap
from torch.nn import Module

Item = TypeVar("Item")


def is_distributed() -> bool:
    """Whether this is one of several processes that talk to each other."""
    return distributed.is_available() and distributed.is_initialized()


def gather_lists(items: list[Item]) -> list[Item]:
    """The lists of all processes, one behind the other in the order of the processes; every process must call it."""
    if not is_distributed():
        return items
    of_all: list[list[Item]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(of_all, items)
    return [item for of_one in of_all for item in of_one]


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of a tensor of all processes; every process must call it."""
    total = tensor.clone()
    if is_distributed():
        distributed.all_reduce(total)
    return total


def is_sharded(model: Module) -> bool:
    """Whether each process holds but a part of a module's parameters (FSDP)."""
    return any(isinstance(part, FullyShardedDataParallel) for part in model.modules())


def shard(model: Module, device: torch.device) -> Module:
    """Take a model apart where the strategy shards models (FSDP), and leave it as it is under any other.

    FSDP takes no scalars such as CLIP's temperature; each process keeps them whole, and their gradients are averaged.

    Args:
        model: Not sharded.
        device: Where this process computes.

    Returns:
        The model, or what FSDP has made of it.
    """
    scalars = [parameter for parameter in model.parameters() if parameter.ndim == 0]
    sharded = wrap(model, ignored_states=scalars)
    if is_sharded(sharded):
        for parameter in scalars:
            parameter.data = parameter.data.to(device)
            parameter.register_hook(lambda gradient: sum_over_processes(gradient) / distributed.get_world_size())
    return sharded


def plain_name(name: str) -> str:
    """The name that a parameter has in a model that is not sharded."""
    return name.replace("_fsdp_wrapped_module.", "")


def gradient_norm(module: Module) -> Tensor:
    """L2 norm of all gradients of a module together; every process must call it if the module is sharded."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    if not is_sharded(module):
        return torch.nn.utils.get_total_norm(gradients)
    scalars = [gradient for gradient in gradients if gradient.ndim == 0]  # those that every process has
    parts = torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient.ndim])
    whole = torch.nn.utils.get_total_norm(scalars)
    return (sum_over_processes(parts.to(whole.device).square()) + whole.square()).sqrt()


def whole_parameters(model: Module) -> AbstractContextManager[None]:
    """Within it, every process sees and may write the whole parameters; all must enter if the model is sharded."""
    return FullyShardedDataParallel.summon_full_params(model) if is_sharded(model) else nullcontext()


class EndTogether(Callback):
    """Where one process fails, the others end too, instead of waiting for it until a time-out.

    Lightning watches the processes that it started and ends the first when one of them fails; this is the other way
    round, and names the one to blame. Processes that a cluster started are the cluster's to end.
    """

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the processes that this one has started.

        Raises:
            ChildProcessError: If one of them had failed before, and took this one along.
        """
        processes = getattr(trainer.strategy.launcher, "procs", [])
        failed = [number for number, process in enumerate(processes, start=1) if process.poll()]
        for process in processes:
            process.kill()
        if failed:
            raise ChildProcessError(f"Process {failed[0]} has failed; what it said stands above.") from exception
