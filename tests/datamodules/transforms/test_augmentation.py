"""Flip, color jitter and grayscale: one draw per clip, from its own seed."""

import pytest
import torch

from datamodules.transforms.augmentation import Augmentation, augment_clips, build_clip_augmentation, normalize
from datamodules.transforms.seeding import seeded

UNCHANGED = dict(flip_probability=0.0, color_jitter_probability=0.0, grayscale_probability=0.0)


@pytest.fixture
def video():
    frame = torch.randint(256, (4, 1, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return frame.expand(4, 5, 3, 12, 16).contiguous()  # all frames of a clip are equal


def augment(video, seed, allow_flip=True, **settings):
    return augment_clips(video, torch.tensor(seed), build_clip_augmentation(Augmentation(**settings), allow_flip))


def test_probability_zero_changes_nothing(video):
    assert torch.equal(augment(video, [1, 2, 3, 4], **UNCHANGED), video)


def test_all_frames_of_a_clip_share_a_draw(video):
    changed = augment(video, [1, 2, 3, 4])
    assert changed.dtype == torch.uint8
    for frame in range(1, 5):
        assert torch.equal(changed[:, frame], changed[:, 0])
    assert not torch.equal(changed, video)


def test_a_clip_depends_only_on_its_own_seed(video):
    together = augment(video, [1, 2, 3, 4])
    for b in range(4):
        assert torch.equal(augment(video[b : b + 1], [b + 1]), together[b : b + 1])
    same = augment(video[:1].repeat(4, 1, 1, 1, 1), [1, 2, 3, 4])
    assert not torch.equal(same[0], same[1])


def test_flip_reverses_the_columns_and_can_be_disabled(video):
    always = {**UNCHANGED, "flip_probability": 1.0}
    assert torch.equal(augment(video, [1, 2, 3, 4], **always), video.flip(-1))
    assert torch.equal(augment(video, [1, 2, 3, 4], allow_flip=False, **always), video)


def test_flips_about_half_of_the_clips():
    video = torch.zeros(400, 1, 3, 2, 2, dtype=torch.uint8)
    video[..., 0] = 255
    changed = augment(video, list(range(400)), **{**UNCHANGED, "flip_probability": 0.5})
    assert 150 < (changed[:, 0, 0, 0, 0] == 0).sum() < 250


def test_grayscale_makes_the_channels_equal(video):
    gray = augment(video, [1, 2, 3, 4], **{**UNCHANGED, "grayscale_probability": 1.0})
    assert torch.equal(gray[:, :, 0], gray[:, :, 1]) and torch.equal(gray[:, :, 0], gray[:, :, 2])


def test_normalize_matches_loop(video):
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    result = normalize(video, mean, std)
    assert result.dtype == torch.float32
    for c in range(3):
        expected = (video[:, :, c].double() - mean[c]) / std[c]
        assert torch.allclose(result[:, :, c].double(), expected, atol=1e-5)


def test_seeding_restores_the_generator():
    state = torch.get_rng_state()
    with seeded(5):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    with seeded(5):
        assert torch.equal(torch.rand(3), first)


def test_defaults_are_the_published_ones():
    settings = Augmentation()
    assert (settings.flip_probability, settings.color_jitter_probability) == (0.5, 0.8)
    assert (settings.grayscale_probability, settings.mix_probability) == (0.2, 1.0)
    assert (settings.mixup_alpha, settings.cutmix_alpha) == (0.8, 1.0)
