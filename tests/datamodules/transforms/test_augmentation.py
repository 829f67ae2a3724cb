"""Flip, color jitter and grayscale: one draw per clip, from its own seed."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import v2

from datamodules.errors import DataError
from datamodules.transforms.augmentation import Augmentation, augment_clips, normalize
from datamodules.transforms.seeding import seeded
from tests.devices import DEVICE, needs_gpu

UNCHANGED = dict(flip_probability=0.0, color_jitter_probability=0.0, grayscale_probability=0.0)


@pytest.fixture
def video():
    frame = torch.randint(256, (4, 1, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return frame.expand(4, 5, 3, 12, 16).contiguous()  # all frames of a clip are equal


def augment(video, seed, allow_flip=True, **settings):
    return augment_clips(video, torch.tensor(seed), Augmentation(**settings), allow_flip)


def augment_one_by_one(video, seed, settings, allow_flip):
    """Let torchvision draw and change, clip by clip."""
    strength = settings.color_jitter
    jitter = v2.ColorJitter(strength, strength, settings.saturation_jitter, settings.hue_jitter)
    transform = v2.Compose(
        [
            v2.RandomHorizontalFlip(settings.flip_probability if allow_flip else 0.0),
            v2.RandomApply([jitter], settings.color_jitter_probability),
            v2.RandomGrayscale(settings.grayscale_probability),
        ]
    )
    clips = []
    for clip, clip_seed in zip(video, seed, strict=True):
        with seeded(clip_seed):
            clips.append(transform(clip))
    return torch.stack(clips)


@pytest.mark.parametrize("allow_flip", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"color_jitter": 0.0},
        {"saturation_jitter": 0.0, "color_jitter_probability": 1.0},
        {"hue_jitter": 0.0, "color_jitter_probability": 1.0, "grayscale_probability": 0.0},
        {"color_jitter": 0.0, "saturation_jitter": 0.0, "hue_jitter": 0.0},
        {"color_jitter": 3.0, "saturation_jitter": 2.0, "hue_jitter": 0.5, "color_jitter_probability": 1.0},
        {"flip_probability": 1.0, "color_jitter_probability": 0.0, "grayscale_probability": 1.0},
        UNCHANGED,
    ],
)
def test_torchvision_clip_by_clip_gives_the_same_bits(settings, allow_flip):
    generator = torch.Generator().manual_seed(0)
    video = torch.randint(256, (100, 3, 3, 12, 16), dtype=torch.uint8, generator=generator).to(DEVICE)
    video[::5] = video[::5, :, :1]  # gray
    video[1::5] //= 32  # dark
    original, seed = video.clone(), list(range(100))
    expected = augment_one_by_one(video, seed, Augmentation(**settings), allow_flip)
    assert torch.equal(augment(video, seed, allow_flip, **settings), expected)
    assert torch.equal(video, original)


def test_large_batches_are_changed_in_parts(video, monkeypatch):
    whole = augment(video, [1, 2, 3, 4])
    monkeypatch.setattr("datamodules.transforms.augmentation.CPU_CHUNK", 3 * 3 * 12 * 16)  # 3 of a clip's 5 frames
    assert torch.equal(augment(video, [1, 2, 3, 4]), whole)
    monkeypatch.setattr("datamodules.transforms.augmentation.CPU_CHUNK", 1)
    assert torch.equal(augment(video, [1, 2, 3, 4]), whole)


class DeviceOperatorCount(TorchDispatchMode):
    """Number of operators called whose result lies on a device; the draws and their seeds are on the CPU."""

    def __init__(self, device):
        super().__init__()
        self.device, self.called = device, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        first = result[0] if isinstance(result, (list, tuple)) else result
        self.called += isinstance(first, torch.Tensor) and first.device.type == self.device
        return result


def test_number_of_device_operators_does_not_grow_with_the_batch():
    called = {}
    for clips in (4, 16, 200):
        with DeviceOperatorCount("meta") as count:  # tensors without data, beside the CPU's
            augment(torch.empty(clips, 2, 3, 8, 8, dtype=torch.uint8, device="meta"), list(range(clips)))
        called[clips] = count.called
    assert 100 < called[4] < called[16] == called[200] < 600, called


@needs_gpu
def test_the_host_does_not_wait_for_the_gpu():
    video = torch.randint(256, (16, 2, 3, 32, 32), dtype=torch.uint8, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        normalize(augment(video, list(range(16))), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_each_clip_needs_a_seed(video):
    with pytest.raises(ValueError, match="shorter"):
        augment(video, [1, 2, 3])


@pytest.mark.parametrize("name", ["flip", "color_jitter", "grayscale", "mix"])
def test_probabilities_are_checked(name):
    for right in (0.0, 1.0):
        Augmentation(**{f"{name}_probability": right}).check()
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(DataError, match=f"augmentation.{name}_probability is {wrong}; it must be from 0 to 1"):
            Augmentation(**{f"{name}_probability": wrong}).check()


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
