"""Loss and accuracy over optimizer steps and epochs, whatever batches and processes their clips came in."""

import pytest
import torch

from tc_clip_pl.training.training_metrics import TrainingFigures


def test_every_clip_counts_the_same_in_a_step_and_in_an_epoch():
    figures, logits = TrainingFigures(), torch.eye(3)
    figures.add(torch.tensor(2.0), logits, torch.tensor([0, 1, 0]))
    figures.add(torch.tensor(4.0), logits[:1], torch.tensor([[0.2, 0.8, 0.0]]))
    step = figures.end_step(lambda total: total)
    assert (float(step["loss"]), float(step["top1"])) == (pytest.approx(10 / 4), pytest.approx(2 / 4))
    figures.add(torch.tensor(1.0), logits[:2], torch.tensor([0, 1]))
    step = figures.end_step(lambda total: 2 * total)  # another process with the same clips
    assert (float(step["loss"]), float(step["top1"])) == (1.0, 1.0)
    epoch = figures.end_epoch()
    assert (float(epoch["loss"]), float(epoch["top1"])) == (pytest.approx(14 / 8), pytest.approx(6 / 8))


def test_a_process_without_clips_adds_nothing():
    figures, other = TrainingFigures(), torch.tensor([6.0, 1.0, 2.0])
    step = figures.end_step(lambda total: total + other)
    assert (float(step["loss"]), float(step["top1"])) == (3.0, 0.5)
