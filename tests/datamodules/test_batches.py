"""Batches of a data module: the same with any number of workers, augmented and normalized on their device."""

import torch

from datamodules import Augmentation, HMDB51DataModule


def module(root, **settings):
    data = HMDB51DataModule(
        str(root), **{"num_frames": 4, "image_size": 32, "batch_size": 4, "num_workers": 0, **settings}
    )
    data.setup()
    return data


def test_workers_change_nothing(synthetic_root):
    without, within = (module(synthetic_root, num_shots=2, num_workers=workers) for workers in (0, 2))
    for a, b in zip(without.train_dataloader(), within.train_dataloader(), strict=True):
        assert torch.equal(a.video, b.video) and torch.equal(a.seed, b.seed) and a.video_id == b.video_id


def test_augment_mixes_and_normalizes(synthetic_root):
    data = module(synthetic_root)
    batch = next(iter(data.train_dataloader()))
    mixed = data.augment(batch)
    assert mixed.video.shape == batch.video.shape and mixed.video.dtype == torch.float32
    assert mixed.label.shape == (4, 10) and torch.allclose(mixed.label.sum(1), torch.ones(4))
    for off in ({"mixup_alpha": 0, "cutmix_alpha": 0}, {"mix_probability": 0}):
        plain = module(synthetic_root, augmentation=Augmentation(**off)).augment(batch)
        assert torch.equal(plain.label, batch.label)


def test_normalize_is_what_evaluation_gets(synthetic_root):
    data = module(synthetic_root)
    batch = next(iter(data.val_dataloader()))
    video = data.normalize(batch).video
    assert video.dtype == torch.float32
    red = (batch.video[:, :, :, 0].float() - data.options.mean[0]) / data.options.std[0]
    assert torch.allclose(video[:, :, :, 0], red, atol=1e-5)
    assert torch.equal(video, data.on_after_batch_transfer(batch, 0).video)
