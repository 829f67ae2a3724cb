"""In which order, and by which process, clips are read; the same for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class SampleKey(NamedTuple):
    """What a sampler asks the dataset for. The epoch travels along, so that workers need not be told of it."""

    epoch: int
    index: int
    is_padding: bool = False


def clip_seed(seed: int, epoch: int, index: int) -> int:
    """Returns the seed (63 bits) of every random draw made for clip `index` in `epoch`."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class TrainingSampler(Sampler[SampleKey]):
    """Shuffles the clips anew each epoch and deals them to the processes one device batch at a time.

    So W processes see exactly the batches that one process with W-fold accumulation sees. What is left at the end is
    shared out in pairs, as neighbors are mixed; a process that gets none of it has one clip that is padding.

    Args:
        num_clips: Number of training clips, at least 1.
        batch_size: Clips in a device batch.
        seed: Seed of the data; with the epoch, it fixes the order.
        rank: Number of this process.
        world_size: Number W of processes.
    """

    def __init__(self, num_clips: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.num_clips, self.batch_size, self.seed = num_clips, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch's order; the Trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._num_dealt // self.world_size + (max(1, len(self._left)) if self._num_left else 0)

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_clips)
        dealt = order[: self._num_dealt].reshape(-1, self.world_size, self.batch_size)[:, self.rank].ravel()
        for index in (*dealt.tolist(), *order[self._left.start : self._left.stop].tolist()):
            yield SampleKey(self.epoch, index)
        if self._num_left and not self._left:
            yield SampleKey(self.epoch, int(order[-1]), is_padding=True)

    @property
    def _num_dealt(self) -> int:
        """Clips that make up full batches on every process."""
        return self.num_clips - self._num_left

    @property
    def _num_left(self) -> int:
        return self.num_clips % (self.batch_size * self.world_size)

    @property
    def _left(self) -> range:
        """Positions in the epoch's order of what this process gets of the clips left."""
        unit = 1 if self.batch_size % 2 else 2
        units = -(-self._num_left // unit)
        start, stop = (min(unit * (r * units // self.world_size), self._num_left) for r in (self.rank, self.rank + 1))
        return range(self._num_dealt + start, self._num_dealt + stop)


class EvaluationSampler(Sampler[SampleKey]):
    """Shares the clips out in order, each exactly once over all processes.

    Where the number does not divide, processes at the end get one clip again, marked as padding and never counted.

    Args:
        num_clips: Number of clips.
        rank: Number of this process.
        world_size: Number of processes.
    """

    def __init__(self, num_clips: int, rank: int = 0, world_size: int = 1) -> None:
        self.num_clips, self.rank, self.world_size = num_clips, rank, world_size

    def __len__(self) -> int:
        return -(-self.num_clips // self.world_size)

    def __iter__(self) -> Iterator[SampleKey]:
        for position in range(self.rank, len(self) * self.world_size, self.world_size):
            yield SampleKey(0, min(position, self.num_clips - 1), is_padding=position >= self.num_clips)
