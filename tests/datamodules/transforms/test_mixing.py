"""MixUp and CutMix: soft targets say what is in the clip, and no batch size changes a draw."""

import pytest
import torch

from datamodules.transforms.mixing import build_mixers, mix_pairs

CLASSES = 5


def batch(size):
    # Clip b is filled with the value b, so that a mixed clip shows the shares of its two sources.
    video = torch.arange(size).float()[:, None, None, None, None].expand(size, 2, 3, 16, 16).contiguous()
    return video, torch.arange(size) % CLASSES, torch.arange(size) + 100


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_targets_are_the_shares_of_the_pictures(mixup, cutmix):
    video, label, seed = batch(12)
    mixed, target = mix_pairs(video, label, seed, build_mixers(mixup, cutmix, CLASSES), 1.0, CLASSES)
    assert mixed.shape == video.shape and target.dtype == torch.float32
    assert torch.allclose(target.sum(1), torch.ones(12))
    for b in range(12):
        partner = b ^ 1
        share = (mixed[b].mean() - partner) / (b - partner)
        assert torch.isclose(target[b, label[b]], share, atol=1e-4)
        assert torch.isclose(target[b, label[partner]], 1 - share, atol=1e-4)


def test_any_even_batch_size_gives_the_same_clips():
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


def test_leaves_its_input_and_the_global_generator_alone():
    video, label, seed = batch(6)
    before, state = video.clone(), torch.get_rng_state()
    mix_pairs(video, label, seed, build_mixers(0.8, 1.0, CLASSES), 1.0, CLASSES)
    assert torch.equal(video, before) and torch.equal(torch.get_rng_state(), state)


def test_last_clip_of_an_odd_batch_and_probability_zero_stay_plain():
    video, label, seed = batch(3)
    mixers = build_mixers(0.8, 1.0, CLASSES)
    mixed, target = mix_pairs(video, label, seed, mixers, 1.0, CLASSES)
    assert torch.equal(mixed[2], video[2]) and target[2].tolist() == [0, 0, 1, 0, 0]
    mixed, target = mix_pairs(video, label, seed, mixers, 0.0, CLASSES)
    assert torch.equal(mixed, video) and torch.equal(target.argmax(1), label)


def test_alpha_zero_leaves_a_mixer_out():
    assert [len(build_mixers(*alphas, CLASSES)) for alphas in ((0, 0), (0.8, 0), (0, 1), (0.8, 1))] == [0, 1, 1, 2]
