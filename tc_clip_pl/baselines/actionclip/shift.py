"""The in-network prompt "Shift": frames exchange channels of their patches before every vision layer (Sec. 3.3)."""

from typing import Any

import torch
from torch import Tensor

from tc_clip_pl.modules.backbone.interface import EncoderLayer


def shift_channels(tokens: Tensor) -> Tensor:
    """Take an eighth of the patches' channels from the next frame and an eighth from the one before.

    Args:
        tokens: (B, T, N, D), [CLS] first, which stays as it is.

    Returns:
        (B, T, N, D), with zeros where there is no such frame.
    """
    part = tokens.shape[-1] // 8
    cls, patches = tokens[:, :, :1], tokens[:, :, 1:]
    nothing = patches.new_zeros(patches[:, :1, :, :part].shape)
    following = torch.cat((patches[:, 1:, :, :part], nothing), dim=1)
    preceding = torch.cat((nothing, patches[:, :-1, :, part : 2 * part]), dim=1)
    return torch.cat((cls, torch.cat((following, preceding, patches[..., 2 * part :]), dim=-1)), dim=2)


class ShiftLayer(EncoderLayer):
    """CLIP's layer behind `shift_channels`, on its residual path too.

    Attributes:
        num_frames: T, by which the layer tells videos apart.
    """

    num_frames: int

    def forward(self, hidden_states: Tensor, *arguments: Any, **options: Any) -> Any:
        """Shift, then run the layer on the (B * T, N, D) tokens of frames."""
        shifted = shift_channels(hidden_states.unflatten(0, (-1, self.num_frames))).flatten(0, 1)
        return super().forward(shifted, *arguments, **options)
