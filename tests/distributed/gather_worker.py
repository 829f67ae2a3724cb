"""One of two processes: a loss of all pairs of rows, which the processes share unevenly, against one process."""

import torch
from torch import distributed

from tc_clip_pl.training.objectives.gather import at_least_one, gather_rows

SHARES = {"even": (2, 2), "uneven": (3, 1), "one has none": (0, 4), "none at all": (0, 0)}


def loss_of_pairs(rows):
    return ((rows @ rows.T).exp()).sum() / max(len(rows), 1)


def check(share):
    torch.manual_seed(0)
    rows, encode = torch.randn(sum(share), 3, dtype=torch.float64), torch.nn.Linear(3, 2).double()
    whole = loss_of_pairs(encode(rows))
    expected = torch.autograd.grad(whole, encode.parameters()) if sum(share) else [torch.zeros(2, 3), torch.zeros(2)]

    mine = rows.split(share)[distributed.get_rank()]
    gathered = gather_rows(encode(at_least_one(mine))[: len(mine)])
    loss = loss_of_pairs(gathered)
    torch.testing.assert_close(loss, whole)
    assert torch.equal(gather_rows(mine), rows)
    # What `training_step` weighs the loss with, and DDP's mean over the processes.
    weighted = loss * len(mine) * len(share) / max(sum(share), 1)
    for gradient, whole_gradient in zip(torch.autograd.grad(weighted, encode.parameters()), expected, strict=True):
        distributed.all_reduce(gradient)
        torch.testing.assert_close(gradient / len(share), whole_gradient.double())


def main(join):
    join()
    for share in SHARES.values():
        check(share)
