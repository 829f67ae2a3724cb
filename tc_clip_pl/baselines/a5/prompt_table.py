"""Where the learned vectors stand around a class name (Efficient-Prompt, Sec. 3.2)."""

import torch
from torch import Tensor


def surround_names(table: Tensor, token_embeds: Tensor, eos: Tensor, num_prefix: int, num_postfix: int) -> Tensor:
    """Put the tokens of every class name on top of one table that is indexed by absolute position.

    The result is [SOS | prefix | name | postfix | EOS]. All names see the same prefix, but the rows of the postfix
    depend on the length of the name: after one token more, they are the rows one further down.

    Args:
        table: (R, D) learned vectors, one for each position of the text encoder.
        token_embeds: (Y, L, D) frozen embeddings of [SOS | name | EOS].
        eos: (Y,) position of EOS among these.
        num_prefix: Vectors before the name, p.
        num_postfix: Vectors after the name, q.

    Returns:
        (Y, L + p + q, D), EOS at eos + p + q. Vectors that stand behind EOS have no effect: attention is causal.
    """
    length = token_embeds.shape[1] + num_prefix + num_postfix
    position, eos = torch.arange(length, device=eos.device).expand(len(eos), -1), eos[:, None]
    is_name = (position > num_prefix) & (position < num_prefix + eos)
    is_eos = position == num_prefix + eos + num_postfix
    # From which token each position takes its embedding, where it takes one.
    source = torch.where(is_eos, eos, torch.where(is_name, position - num_prefix, 0))
    tokens = token_embeds.gather(1, source.unsqueeze(-1).expand(-1, -1, token_embeds.shape[-1]))
    is_token = is_name | is_eos | (position == 0)
    return torch.where(is_token.unsqueeze(-1), tokens, table[:length])
