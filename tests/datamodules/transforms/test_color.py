"""Colors of many frames, changed by a factor each, are those that torchvision gives frame by frame."""

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from datamodules.transforms import color
from tests.devices import DEVICE

SCALES = [0.0, 0.3, 1 - 2**-20, 1.0, 1.1, 1.4, 7.0]
TURNS = [-0.5, -0.1, -1 / 6, -1e-9, 0.0, 1e-9, 0.07, 1 / 3, 0.5]


@pytest.fixture
def frames():
    """(9, 3, 37, 48): any colors, dark ones, gray ones, one color alone, and those at the ends of the range."""
    frames = torch.randint(256, (9, 3, 37, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    frames[1:3] //= 64
    frames[3:5] = frames[3:5, :1]
    frames[5:7] = frames[5:7, :, :1, :1]
    frames[7:9] = frames[7:9] // 86 * 127
    return frames.to(DEVICE)


@pytest.mark.parametrize(
    ("name", "factors"), [("brightness", SCALES), ("contrast", SCALES), ("saturation", SCALES), ("hue", TURNS)]
)
def test_each_frame_is_changed_by_its_own_factor(name, factors, frames):
    original = frames.clone()
    for shift in range(len(factors)):  # each kind of frame by each factor
        drawn = torch.tensor([factors[(frame + shift) % len(factors)] for frame in range(len(frames))])
        changed = getattr(color, f"adjust_{name}")(frames, drawn.view(-1, 1, 1, 1).to(DEVICE))
        assert changed.dtype == torch.uint8
        for frame, factor, result in zip(frames, drawn.tolist(), changed, strict=True):
            assert torch.equal(result, getattr(F, f"adjust_{name}")(frame, factor)), (name, factor)
    assert torch.equal(frames, original)


@pytest.mark.parametrize("turn", [-0.4, 0.0, 0.05])
def test_hue_of_all_colors(turn):
    levels = torch.arange(0, 256, 3, dtype=torch.uint8)  # 86 of each channel, 0 and 255 among them
    colors = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij")).flatten(2)[None].to(DEVICE)
    turn = torch.tensor(turn).item()  # rounded to float32
    factor = torch.full((1, 1, 1, 1), turn, device=DEVICE)
    assert torch.equal(color.adjust_hue(colors, factor), F.adjust_hue(colors, turn))
