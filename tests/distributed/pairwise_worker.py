"""One of two processes: OST's loss of clips that the processes share unevenly, against one process."""

from types import SimpleNamespace

import torch
from torch import distributed

from tc_clip_pl.baselines.ost.model import OST
from tc_clip_pl.training.objectives.pairwise_kl import PairwiseKL

SHARES = {"even": (2, 2), "uneven": (3, 1), "one has none": (0, 4)}


def build_model(folder):
    model = OST.from_pretrained(folder, num_frames=4).double().train()
    tokens = torch.randint(1, 100, (4, 3, 6))
    tokens[..., -1] = model.tokenizer.eos_token_id
    model.set_class_tokens(tokens)
    return model


def loss_of(model, video, label):
    return PairwiseKL()(model, video, SimpleNamespace(label=label), 0.0).loss


def check(model, video, label, share, alone):
    parameters, rank = list(model.parameters()), distributed.get_rank()
    loss = loss_of(model, video.split(share)[rank], label.split(share)[rank])
    torch.testing.assert_close(loss, alone[0])
    # What `training_step` weighs the loss with, and DDP's mean over the processes.
    gradients = torch.autograd.grad(loss * share[rank] * len(share) / sum(share), parameters)
    for gradient, expected in zip(gradients, alone[1], strict=True):
        distributed.all_reduce(gradient)
        torch.testing.assert_close(gradient / len(share), expected)


def whole_batch(model, video, label):
    loss = loss_of(model, video, label)
    return loss, torch.autograd.grad(loss, list(model.parameters()))


def main(join, folder):
    torch.manual_seed(1)
    model = build_model(folder)
    batch = torch.randn(4, 4, 3, 32, 32, dtype=torch.float64), torch.tensor([0, 2, 1, 2])
    alone = whole_batch(model, *batch)  # before there is a process group
    join()
    for share in SHARES.values():
        check(model, *batch, share, alone)
