"""MixUp and CutMix: soft targets match the mixed clips, and draws do not depend on the batch size."""

import pytest
import torch
from torchvision.transforms import v2

from datamodules.transforms.mixing import build_mixers, mix_pairs
from datamodules.transforms.seeding import seeded

CLASSES = 5


def batch(size):
    # Clip b is filled with the value b, so that its mean shows the mixing weight.
    video = torch.arange(size).float()[:, None, None, None, None].expand(size, 2, 3, 16, 16).contiguous()
    return video, torch.arange(size) % CLASSES, torch.arange(size) + 100


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_targets_match_the_mixed_clips(mixup, cutmix):
    video, label, seed = batch(12)
    mixed, target = mix_pairs(video, label, seed, build_mixers(mixup, cutmix, CLASSES), 1.0, CLASSES)
    assert mixed.shape == video.shape and target.dtype == torch.float32
    assert torch.allclose(target.sum(1), torch.ones(12))
    for b in range(12):
        partner = b ^ 1
        weight = (mixed[b].mean() - partner) / (b - partner)
        assert torch.isclose(target[b, label[b]], weight, atol=1e-4)
        assert torch.isclose(target[b, label[partner]], 1 - weight, atol=1e-4)


def test_result_does_not_depend_on_an_even_batch_size():
    video, label, seed = batch(12)
    mixers = build_mixers(0.8, 1.0, CLASSES)
    whole = mix_pairs(video, label, seed, mixers, 0.7, CLASSES)
    for size in (2, 4, 6):
        parts = [
            mix_pairs(video[i : i + size], label[i : i + size], seed[i : i + size], mixers, 0.7, CLASSES)
            for i in range(0, 12, size)
        ]
        for expected, pieces in zip(whole, zip(*parts, strict=True), strict=True):
            assert torch.equal(expected, torch.cat(pieces))


def test_input_and_global_generator_stay_unchanged():
    video, label, seed = batch(6)
    before, state = video.clone(), torch.get_rng_state()
    mix_pairs(video, label, seed, build_mixers(0.8, 1.0, CLASSES), 1.0, CLASSES)
    assert torch.equal(video, before) and torch.equal(torch.get_rng_state(), state)


def test_odd_last_clip_and_probability_zero_are_not_mixed():
    video, label, seed = batch(3)
    mixers = build_mixers(0.8, 1.0, CLASSES)
    mixed, target = mix_pairs(video, label, seed, mixers, 1.0, CLASSES)
    assert torch.equal(mixed[2], video[2]) and target[2].tolist() == [0, 0, 1, 0, 0]
    mixed, target = mix_pairs(video, label, seed, mixers, 0.0, CLASSES)
    assert torch.equal(mixed, video) and torch.equal(target.argmax(1), label)


def test_alpha_zero_disables_a_mixer():
    assert [len(build_mixers(*alphas, CLASSES)) for alphas in ((0, 0), (0.8, 0), (0, 1), (0.8, 1))] == [0, 1, 1, 2]


@pytest.mark.parametrize(("probability", "least", "most"), [(1.0, 100, 100), (0.5, 35, 65)])
def test_pairs_are_mixed_with_the_given_probability(probability, least, most):
    video, label, seed = batch(200)
    mixed, _ = mix_pairs(video, label, seed, build_mixers(0.8, 0.0, CLASSES), probability, CLASSES)
    is_mixed = (mixed != video).flatten(1).any(1).view(100, 2)
    assert torch.equal(is_mixed[:, 0], is_mixed[:, 1])
    assert least <= is_mixed[:, 0].sum() <= most


def test_whether_a_pair_is_mixed_is_independent_of_the_flip():
    mixers, flip = build_mixers(0.8, 0.0, CLASSES), v2.RandomHorizontalFlip(0.5)
    counts = torch.zeros(2, 2)
    video, label, ramp = torch.zeros(2, 1, 3, 2, 2), torch.tensor([0, 1]), torch.arange(2.0).expand(1, 3, 2, 2)
    for number in range(400):
        seed = torch.tensor([number, number])
        with seeded(number):  # the flip is the first draw of a clip's augmentation
            flipped = not torch.equal(flip(ramp), ramp)
        mixed = mix_pairs(video, label, seed, mixers, 0.5, CLASSES)[1].max() < 1
        counts[int(flipped), int(mixed)] += 1
    assert counts.min() > 70  # 100 each if independent; two of them are 0 if the draws are the same
