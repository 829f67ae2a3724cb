"""Random numbers that differ between processes, although all of them have the same random state."""

from collections.abc import Callable

import torch.distributed
from torch import Tensor


def draw_own(draw: Callable[[int], Tensor]) -> Tensor:
    """Draw a number for this process; all processes advance their random state alike.

    Args:
        draw: Draws that many numbers, such as `torch.rand`.

    Returns:
        (), one of them.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return draw(1)[0]
    return draw(torch.distributed.get_world_size())[torch.distributed.get_rank()]
