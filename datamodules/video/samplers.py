"""Orders clips and assigns them to distributed processes, such that no clip is read twice in an epoch.

torch's `DistributedSampler` repeats clips until their number divides evenly. That would train on some clips twice,
count some test clips twice, and make results depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class SampleKey(NamedTuple):
    """The key that a sampler passes to the dataset.

    It carries the epoch, because persistent workers hold a copy of the dataset that never learns of a new epoch.
    """

    epoch: int
    index: int
    is_padding: bool = False


def clip_seed(seed: int, epoch: int, index: int) -> int:
    """Return the seed of every random draw for clip `index` in `epoch`, below 2**63 to fit into int64."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class TrainingSampler(Sampler[SampleKey]):
    """Shuffles the clips in each epoch and deals them to the processes, one device batch at a time.

    W processes together see exactly the batches that one process with W-fold gradient accumulation sees. A process
    that gets no clip of the remainder at the end of the epoch gets one as padding: all must run equally many steps, or
    the others wait forever in the all-reduce of the gradients.

    Args:
        num_clips: Number of training clips, at least 1.
        batch_size: Clips per device batch.
        seed: Seed of the data; together with the epoch, it determines the order.
        rank: Rank of this process.
        world_size: Number W of processes.
        drop_remainder_of: Clips of an optimizer step over all processes; those left after the last whole step of the
            epoch are dropped, unless there is no whole step. None keeps every clip.

    Attributes:
        num_clips: Clips read in an epoch by all processes together.
    """

    def __init__(
        self,
        num_clips: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        drop_remainder_of: int | None = None,
    ) -> None:
        self.num_available, self.batch_size, self.seed = num_clips, batch_size, seed
        # Never down to nothing: a dataset smaller than one step still trains, in one short step an epoch.
        is_cut = drop_remainder_of is not None and num_clips > drop_remainder_of
        self.num_clips = num_clips - num_clips % drop_remainder_of if is_cut else num_clips
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that determines the order; the Trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._num_in_full_steps // self.world_size + (max(1, len(self._own_remainder)) if self._remainder else 0)

    def __iter__(self) -> Iterator[SampleKey]:
        # All clips are shuffled before the cut, so that each epoch drops others.
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_available)[: self.num_clips]
        # (steps, W, batch): consecutive batches of the epoch go to consecutive ranks, as accumulation would see them.
        steps = order[: self._num_in_full_steps].reshape(-1, self.world_size, self.batch_size)
        own = self._own_remainder
        for index in (*steps[:, self.rank].ravel().tolist(), *order[own.start : own.stop].tolist()):
            yield SampleKey(self.epoch, index)
        if self._remainder and not own:
            yield SampleKey(self.epoch, int(order[-1]), is_padding=True)

    @property
    def _remainder(self) -> int:
        """Number of clips left after the last step in which every process has a full batch."""
        return self.num_clips % (self.batch_size * self.world_size)

    @property
    def _num_in_full_steps(self) -> int:
        return self.num_clips - self._remainder

    @property
    def _own_remainder(self) -> range:
        """Positions, in the epoch's order, of this process's part of the remainder."""
        # MixUp and CutMix mix clips 0 and 1 of a batch, 2 and 3, and so on. Dealing whole pairs keeps each pair
        # together, so that mixing does not depend on the number of processes. Odd batches split pairs anyway.
        unit = 1 if self.batch_size % 2 else 2
        num_units = -(-self._remainder // unit)  # rounded up: the last unit may be a single clip
        # Rank r gets the units from floor(r * units / W) up to floor((r + 1) * units / W). These ranges are adjacent
        # and differ by one unit at most, so no process gets more than one batch.
        start, stop = (
            min(unit * (rank * num_units // self.world_size), self._remainder) for rank in (self.rank, self.rank + 1)
        )
        return range(self._num_in_full_steps + start, self._num_in_full_steps + stop)


class EvaluationSampler(Sampler[SampleKey]):
    """Deals the clips to the processes in turn; each clip is counted exactly once over all processes.

    Where the number of clips does not divide evenly, the last processes get the last clip again, marked as padding and
    never counted, so that all run the same number of collective operations.

    Args:
        num_clips: Number of clips.
        rank: Rank of this process.
        world_size: Number of processes.
    """

    def __init__(self, num_clips: int, rank: int = 0, world_size: int = 1) -> None:
        self.num_clips, self.rank, self.world_size = num_clips, rank, world_size

    def __len__(self) -> int:
        return -(-self.num_clips // self.world_size)  # rounded up

    def __iter__(self) -> Iterator[SampleKey]:
        for position in range(self.rank, len(self) * self.world_size, self.world_size):
            yield SampleKey(0, min(position, self.num_clips - 1), is_padding=position >= self.num_clips)
