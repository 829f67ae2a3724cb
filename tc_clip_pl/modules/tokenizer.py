"""Class names to token ids."""

from collections.abc import Sequence
from itertools import cycle

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.text_prompting import PROMPTINGS

PROMPT_TEMPLATE = "a photo of a"
CLASS_TEXT = f"{PROMPT_TEMPLATE} {{}}."
"""Text of a class, for every prompting that has no `class_texts` of its own."""


def tokenize_template(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the token ids of "a photo of a", without SOS and EOS."""
    return tokenizer(PROMPT_TEMPLATE, add_special_tokens=False)["input_ids"]


def tokenize_class_names(
    tokenizer: PreTrainedTokenizerBase, class_names: Sequence[str], config: TCCLIPConfig
) -> Tensor:
    """Tokenize the text of every class: "a photo of a {class name}.", or what the prompting makes of the name.

    A text has {} in place of the name, and {short} in place of what stands before the name's first colon.

    Args:
        tokenizer: The tokenizer of the backbone.
        class_names: Y names.
        config: Configuration of the model that will read the tokens.

    Returns:
        (Y, L) token ids, padded to the longest text; (S, Y, L) if the prompting has S texts per class. Attention is
        causal, so padding after EOS changes nothing, and there is no need to pad to the full length of the text
        encoder.

    Raises:
        ValueError: If the list is empty or a name is too long for the text encoder.
    """
    if not class_names:
        raise ValueError("The list of class names is empty: give at least one class.")
    texts = getattr(PROMPTINGS[config.prompting], "class_texts", (CLASS_TEXT,))
    filled = [text.format(name, short=name.partition(":")[0]) for text in texts for name in class_names]
    ids = tokenizer(filled)["input_ids"]
    room = config.text_config.max_position_embeddings
    for name, row in zip(cycle(class_names), ids):
        if len(row) + config.num_added_tokens > room:
            raise ValueError(
                f"The class name {name!r} needs {len(row) + config.num_added_tokens} tokens with its prompt, and the "
                f"text encoder takes {room}: shorten it."
            )
    rows = [torch.tensor(row) for row in ids]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
    return padded.unflatten(0, (len(texts), -1)) if len(texts) > 1 else padded
