"""Class names to token ids."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.modules.config import TCCLIPConfig

PROMPT_TEMPLATE = "a photo of a"


def tokenize_template(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of "a photo of a", without SOS and EOS."""
    return tokenizer(PROMPT_TEMPLATE, add_special_tokens=False)["input_ids"]


def tokenize_class_names(
    tokenizer: PreTrainedTokenizerBase, class_names: Sequence[str], config: TCCLIPConfig
) -> Tensor:
    """Token ids of "a photo of a {class name}.", (Y, L), padded to the longest name.

    Raises:
        ValueError: where the list is empty or a name is too long for the text encoder.
    """
    if not class_names:
        raise ValueError("The list of class names is empty.")
    ids = tokenizer([f"{PROMPT_TEMPLATE} {name}." for name in class_names])["input_ids"]
    added = config.num_prompt_vectors - len(config.prompt_token_ids) if config.has_prompt_vectors else 0
    room = config.text_config.max_position_embeddings - added
    for name, row in zip(class_names, ids, strict=True):
        if len(row) > room:
            raise ValueError(
                f"The class name {name!r} needs {len(row) + added} tokens with its prompt and the text encoder has "
                f"{room + added}: shorten it."
            )
    rows = [torch.tensor(row) for row in ids]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
