"""FSDP without a GPU, for tests: Lightning's strategy asks for one, torch does not."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.strategies import FSDPStrategy
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import enable_wrap


class CPUFSDPStrategy(FSDPStrategy):
    """Lightning's strategy in everything but the device that it hands to torch."""

    @contextmanager
    def model_sharded_context(self) -> Iterator[None]:
        with enable_wrap(wrapper_cls=FullyShardedDataParallel, device_id=torch.device("cpu"), **self.kwargs):
            yield
