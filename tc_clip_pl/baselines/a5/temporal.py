"""The transformer over the frames of a video (Efficient-Prompt, Sec. 3.3)."""

import torch
from torch import Tensor, nn

from tc_clip_pl.baselines.a5.config import NUM_HEADS


def quick_gelu(values: Tensor) -> Tensor:
    """Compute CLIP's approximation of GELU, ``x sigmoid(1.702 x)``."""
    return values * torch.sigmoid(1.702 * values)


class TemporalTransformer(nn.Module):
    """Pre-norm layers over frame embeddings, without a mask; it starts from PyTorch's own random values.

    Args:
        num_frames: T.
        width: E, of the frame embeddings.
        num_layers: Number of layers.
    """

    def __init__(self, num_frames: int, width: int, num_layers: int) -> None:
        super().__init__()
        self.position_table = nn.Parameter(nn.init.normal_(torch.empty(num_frames, width), std=0.01))
        options = {"dropout": 0.0, "activation": quick_gelu, "batch_first": True, "norm_first": True}
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, NUM_HEADS, 4 * width, **options) for _ in range(num_layers)
        )

    def forward(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) frame embeddings to (B, E) video embeddings: the mean over the frames of the last layer."""
        states = frame_embeds + self.position_table
        for layer in self.layers:
            states = layer(states)
        return states.mean(dim=1)
