"""Texts that begin with the same tokens, several in one row: what they share is encoded once a row.

Attention is causal, so the states of [SOS | prompts] do not depend on the class that follows. A row holds them once and
then the remaining tokens of several classes, each of which attends to the shared tokens and to its own. With 4 prompt
vectors and 12 tokens a class, that is 39 % fewer tokens than one row for each class.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tc_clip_pl.modules.backbone.interface import TextModel, call_layer, run_layers

ROW_LENGTH = 128  # longer rows share more, but attention over them costs more


def run_layers_packed(
    text_model: TextModel, states: Tensor, num_shared: int, stop: int, run_layer: Callable[..., Tensor] = call_layer
) -> Tensor:
    """Run the first layers; equals `run_layers` for texts that begin with the same tokens.

    Args:
        text_model: The text model of the backbone.
        states: (Y, L, D) before the first layer, equal for all texts in the first tokens.
        num_shared: How many these are.
        stop: Layer to stop before, counted from 0.
        run_layer: Calls a layer with its arguments.

    Returns:
        (Y, L, D) states.
    """
    num_texts, own_length = states.shape[0], states.shape[1] - num_shared
    per_row = min(num_texts, (ROW_LENGTH - num_shared) // own_length)
    if per_row < 2:
        return run_layers(text_model, states, 0, stop, run_layer)
    shared, own = states[:1, :num_shared], states[:, num_shared:]
    num_rows = -(-num_texts // per_row)
    missing = num_rows * per_row - num_texts  # the last row repeats texts, whose copies are dropped
    own = torch.cat((own, own[:missing])).unflatten(0, (num_rows, per_row)).flatten(1, 2)
    rows = torch.cat((shared.expand(num_rows, -1, -1), own), dim=1)
    mask = _packed_mask(rows, num_shared, own_length)
    rows = run_layers(text_model, rows, 0, stop, run_layer, mask)
    own = rows[:, num_shared:].unflatten(1, (per_row, own_length)).flatten(0, 1)[:num_texts]
    return torch.cat((rows[:1, :num_shared].expand(num_texts, -1, -1), own), dim=1)


def _packed_mask(rows: Tensor, num_shared: int, own_length: int) -> Tensor:
    """Return the (N, N) scores to add in a row: 0 for a token that is seen, -inf for one that is not."""
    position = torch.arange(rows.shape[1], device=rows.device)
    text = (position - num_shared).div(own_length, rounding_mode="floor")
    is_seen = ((position < num_shared) | (text == text[:, None])) & (position <= position[:, None])
    return torch.zeros_like(is_seen, dtype=rows.dtype).masked_fill(~is_seen, float("-inf"))
