"""The sentences that ActionCLIP makes of a class name, and how their scores become one (Sec. 3.3)."""

import math

import torch
from torch import Tensor

TEMPLATES = (
    "a photo of action {}",
    "a picture of action {}",
    "Human action of {}",
    "{}, an action",
    "{} this is an action",
    "{}, a video of action",
    "Playing action of {}",
    "{}",
    "Playing a kind of action, {}",
    "Doing a kind of action, {}",
    "Look, the human is {}",
    "Can you recognize the action of {}?",
    "Video classification of {}",
    "A video of {}",
    "The man is {}",
    "The woman is {}",
)
TEST_SCALE = 100.0
"""What cosines are multiplied by in tests, whatever temperature was learned."""


def average_templates(cosines: Tensor) -> Tensor:
    """Average the class probabilities of all templates.

    Args:
        cosines: (B, S, Y) of B videos with the sentences of S templates for Y classes.

    Returns:
        (B, Y) log-probabilities, in float32 or better.
    """
    dtype = torch.promote_types(cosines.dtype, torch.float32)
    log_probabilities = (TEST_SCALE * cosines.to(dtype)).log_softmax(-1)
    return log_probabilities.logsumexp(1) - math.log(cosines.shape[1])
