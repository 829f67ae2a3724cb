"""Full precision inside autocast."""

import torch

from tc_clip_pl.ops.precision import without_autocast


def test_products_keep_their_precision():
    tensor = torch.rand(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with without_autocast(tensor):
            assert (tensor @ tensor).dtype == torch.float32
        assert (tensor @ tensor).dtype == torch.bfloat16


def test_meta_tensors_have_no_autocast_to_turn_off():
    with without_autocast(torch.rand(2, device="meta")):
        assert not torch.is_autocast_enabled("cpu")
