"""Every clip is read once, and in the same order for any number of processes."""

import pytest

from datamodules.video.samplers import EvaluationSampler, SampleKey, TrainingSampler, clip_seed


def batches(num_clips, batch_size, rank, world_size, epoch=0):
    sampler = TrainingSampler(num_clips, batch_size, seed=7, rank=rank, world_size=world_size)
    sampler.set_epoch(epoch)
    keys = list(sampler)
    assert len(keys) == len(sampler)
    assert all(key.epoch == epoch and 0 <= key.index < num_clips for key in keys)
    starts = range(0, len(keys), batch_size)
    return [[key.index for key in keys[start : start + batch_size] if not key.is_padding] for start in starts]


@pytest.mark.parametrize("num_clips", [1, 7, 16, 33, 102])
@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_one_process_reads_every_clip_once(num_clips, batch_size):
    seen = [index for batch in batches(num_clips, batch_size, 0, 1) for index in batch]
    assert sorted(seen) == list(range(num_clips))


@pytest.mark.parametrize("world_size", [2, 3, 4])
@pytest.mark.parametrize("num_clips", [1, 2, 7, 48, 102])
@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_processes_together_read_every_clip_once(num_clips, world_size, batch_size):
    ranks = [batches(num_clips, batch_size, rank, world_size) for rank in range(world_size)]
    assert len({len(rank_batches) for rank_batches in ranks}) == 1  # the same number of batches for all
    assert sorted(index for rank_batches in ranks for batch in rank_batches for index in batch) == list(
        range(num_clips)
    )


@pytest.mark.parametrize("world_size", [2, 3, 4])
@pytest.mark.parametrize("num_clips", [1, 5, 48, 54, 102])
def test_processes_have_the_steps_and_pairs_of_one_process_with_accumulation(num_clips, world_size):
    one = [index for batch in batches(num_clips, 4, 0, 1, epoch=3) for index in batch]
    ranks = [batches(num_clips, 4, rank, world_size, epoch=3) for rank in range(world_size)]
    many = [batch for step in zip(*ranks, strict=True) for batch in step]
    assert [index for batch in many for index in batch] == one
    pairs = [tuple(batch[start : start + 2]) for batch in many for start in range(0, len(batch), 2)]
    assert pairs == [tuple(one[start : start + 2]) for start in range(0, num_clips, 2)]


def test_order_changes_with_the_epoch_and_is_reproducible():
    assert batches(50, 8, 0, 1, epoch=1) == batches(50, 8, 0, 1, epoch=1)
    assert batches(50, 8, 0, 1, epoch=1) != batches(50, 8, 0, 1, epoch=2)


@pytest.mark.parametrize("num_clips", [1, 5, 8, 9])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_evaluation_counts_every_clip_once(num_clips, world_size):
    ranks = [list(EvaluationSampler(num_clips, rank, world_size)) for rank in range(world_size)]
    assert len({len(rank_batches) for rank_batches in ranks}) == 1
    assert {len(rank_batches) for rank_batches in ranks} == {len(EvaluationSampler(num_clips, 0, world_size))}
    counted = [key.index for rank_batches in ranks for key in rank_batches if not key.is_padding]
    assert sorted(counted) == list(range(num_clips))
    assert all(0 <= key.index < num_clips for rank_batches in ranks for key in rank_batches)


@pytest.mark.parametrize(("num_clips", "step", "kept"), [(102, 64, 64), (128, 64, 128), (130, 64, 128), (50, 64, 50)])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_remainder_is_dropped_at_the_global_batch(num_clips, step, kept, world_size):
    """HMDB 2-shot has 102 clips: one step of 64 an epoch. Less than a step is kept."""

    def read(epoch):
        seen = []
        for rank in range(world_size):
            sampler = TrainingSampler(num_clips, 8, 7, rank, world_size, drop_remainder_of=step)
            sampler.set_epoch(epoch)
            keys = list(sampler)
            assert len(keys) == len(sampler) and sampler.num_clips == kept
            seen += [key.index for key in keys if not key.is_padding]
        return seen

    assert len(read(0)) == len(set(read(0))) == kept
    if kept < num_clips:
        assert set(read(0)) != set(read(1))  # each epoch drops others


def test_clip_seed_depends_on_seed_epoch_and_index():
    seeds = {clip_seed(seed, epoch, index) for seed in range(3) for epoch in range(3) for index in range(3)}
    assert len(seeds) == 27 and all(0 <= seed < 2**63 for seed in seeds)


def test_one_process_needs_no_rank():
    training, evaluation = TrainingSampler(10, 4, seed=7), EvaluationSampler(5)
    assert list(training) == list(TrainingSampler(10, 4, 7, rank=0, world_size=1))
    assert sorted(training) == [SampleKey(0, index) for index in range(10)]
    assert list(evaluation) == [SampleKey(0, index) for index in range(5)]


def test_evaluation_deals_in_turn_and_draws_as_in_epoch_0():
    ranks = [list(EvaluationSampler(3, rank, world_size=2)) for rank in range(2)]
    assert ranks == [[SampleKey(0, 0), SampleKey(0, 2)], [SampleKey(0, 1), SampleKey(0, 2, is_padding=True)]]


def test_clip_seed_golden():
    """Another seed would change every draw of runs that others repeat, without a word."""
    assert clip_seed(1024, 3, 7) == 2962376283428781648
