"""Seeds of further streams: the same in every version, and apart from each other."""

import torch

from datamodules.transforms.seeding import derive_seed, seeded


def test_derived_seeds_never_change():
    """Published figures depend on them."""
    seeds = [derive_seed(seed, stream) for seed, stream in ((0, 0), (0, 1), (2**63 - 1, 0))]
    assert seeds == [4334430513956379144, 2440950710608614359, 4469158401452630045]


def test_derived_seeds_differ_and_fit_the_generator():
    seeds = {derive_seed(seed, stream) for seed in range(200) for stream in range(2)}
    assert len(seeds) == 400 and 2**62 < max(seeds) < 2**63


def test_seeding_leaves_the_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(1):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(1)
    assert torch.equal(inside, torch.rand(3))
