"""One of two processes: BatchKL of its share of a batch, weighted and averaged, against the whole batch."""

from types import SimpleNamespace

import torch
from torch import distributed

from tc_clip_pl.baselines.actionclip.model import ActionCLIP
from tc_clip_pl.training.objectives.batch_kl import BatchKL

SHARES = {"uneven": (3, 1), "one has none": (0, 4)}


def gradients(model, video, label, share=1.0):
    """The loss and its gradients; dropping clips changes `share`, as `training_step` weighs the loss."""
    loss = BatchKL()(model, video, SimpleNamespace(label=label), 0.0).loss
    return loss, torch.autograd.grad(loss * share, model.parameters())


def main(join, folder):
    torch.manual_seed(0)  # of the head
    # One template: the draws of the processes cannot differ.
    model = ActionCLIP.from_pretrained(folder, num_frames=4, templates=["a video of {}"]).train().double()
    model.set_class_names(["brush hair", "cartwheel"])
    video = torch.randn(4, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    label = torch.tensor([0, 1, 1, 0])
    loss, expected = gradients(model, video, label)
    join()
    rank, processes = distributed.get_rank(), distributed.get_world_size()
    for share in SHARES.values():
        mine = [rows.split(share)[rank] for rows in (video, label)]
        own_loss, found = gradients(model, *mine, share=share[rank] * processes / len(video))
        torch.testing.assert_close(own_loss, loss)
        for gradient, whole in zip(found, expected, strict=True):
            distributed.all_reduce(gradient)  # DDP averages
            torch.testing.assert_close(gradient / processes, whole, rtol=1e-7, atol=1e-9)
