"""Batches with and without unreadable clips."""

import torch
from lightning.pytorch.utilities import move_data_to_device

from datamodules.video.batch import Clip, VideoBatch, collate_evaluation_clips, collate_training_clips


def clips(*errors):
    return [
        Clip(torch.full((1, 2, 3, 4, 4), n, dtype=torch.uint8), n, f"{n}.mp4", 10 + n, error)
        for n, error in enumerate(errors)
    ]


def test_collates_readable_clips():
    for collate in (collate_training_clips, collate_evaluation_clips):
        batch = collate(clips(None, None))
        assert batch.video.shape == (2, 1, 2, 3, 4, 4) and batch.video.dtype == torch.uint8
        assert batch.label.tolist() == [0, 1] and batch.label.dtype == torch.int64
        assert batch.video_id == ["0.mp4", "1.mp4"] and batch.seed.tolist() == [10, 11] and batch.skipped == []


def test_keeps_the_order_in_memory_until_it_is_on_the_device():
    pictures = [torch.randint(256, (1, 2, 5, 6, 3), dtype=torch.uint8) for _ in range(2)]  # as decoded: colors last
    batch = collate_training_clips([Clip(picture.movedim(-1, -3), 0, "a.mp4", 1) for picture in pictures])
    assert batch.video.movedim(-3, -1).is_contiguous()
    moved = batch.to("cpu").video
    assert moved.is_contiguous() and torch.equal(moved, torch.stack(pictures).movedim(-1, -3))


def test_training_drops_unreadable_clips():
    batch = collate_training_clips(clips(None, "1.mp4: broken", None))
    assert batch.video[:, 0, 0, 0, 0, 0].tolist() == [0, 2] and batch.label.tolist() == [0, 2]
    assert batch.video_id == ["0.mp4", "2.mp4"] and batch.seed.tolist() == [10, 12]
    assert batch.skipped == ["1.mp4: broken"]
    assert collate_training_clips(clips("0.mp4: broken")).video.shape == (0, 1, 2, 3, 4, 4)


def test_evaluation_keeps_unreadable_clips_as_padding():
    batch = collate_evaluation_clips(clips(None, "1.mp4: broken"))
    assert batch.label.tolist() == [0, -1] and batch.skipped == ["1.mp4: broken"] and len(batch.video_id) == 2


def test_moves_to_a_device_except_for_the_seeds():
    batch = move_data_to_device(collate_training_clips(clips(None, "1.mp4: broken")), torch.device("cpu"))
    assert isinstance(batch, VideoBatch) and batch.video.device.type == "cpu" and batch.skipped == ["1.mp4: broken"]
    moved = batch.to("meta")
    assert moved.video.is_meta and moved.label.is_meta and not moved.seed.is_meta
