"""A tiny random CLIP with its own tokenizer, for the demo and for tests."""

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from tc_clip_pl.modules.tokenizer import PROMPT_TEMPLATE

SOS, EOS = "<|startoftext|>", "<|endoftext|>"


def make_tiny_tokenizer(texts: Iterable[str]) -> CLIPTokenizer:
    """Build a CLIP tokenizer whose vocabulary covers a few texts.

    Args:
        texts: Each of their words becomes one token. Other words are split into letters, so every text can be encoded.

    Returns:
        A byte-pair tokenizer with CLIP's special tokens.
    """
    words = sorted({word for text in texts for word in re.findall(r"[a-z]+", text.lower())})
    # CLIP lowercases its input. A letter with `</w>` ends a word.
    alphabet = sorted({chr(code) for code in range(33, 127)} - set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    tokens, merges = [*alphabet, *(f"{letter}</w>" for letter in alphabet)], []
    for word in words:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:  # merge from the left, one letter at a time, until the word is one token
            merges.append((pieces[0], pieces[1]))
            pieces[:2] = ["".join(pieces[:2])]
            tokens.append(pieces[0])
    # The two special tokens come last: the original CLIP finds EOS as the highest token id.
    vocab = {token: index for index, token in enumerate(dict.fromkeys([*tokens, SOS, EOS]))}
    return CLIPTokenizer(vocab=vocab, merges=list(dict.fromkeys(merges)), model_max_length=77)


def tiny_clip_config(
    tokenizer: CLIPTokenizer, image_size: int = 48, patch_size: int = 8, width: int = 64
) -> CLIPConfig:
    """Return the configuration of the tiny CLIP: three layers per encoder, 36 patches by default.

    36 patches give 10 seeds per frame, so 16 frames suffice for the paper's 96 context tokens.

    Args:
        tokenizer: Determines vocabulary and special tokens.
        image_size: Side of the square frames in pixels.
        patch_size: Side of a patch in pixels.
        width: Hidden size of both encoders, and size of the joint embedding.
    """
    shared = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 3, "projection_dim": width}
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return CLIPConfig(
        text_config={**shared, **special, "vocab_size": len(tokenizer), "num_attention_heads": 2, "pad_token_id": 0},
        vision_config={**shared, "num_attention_heads": 4, "image_size": image_size, "patch_size": patch_size},
        projection_dim=width,
    )


def save_tiny_clip(folder: str | Path, texts: Iterable[str] = (), seed: int = 0, **sizes: int) -> Path:
    """Save a tiny random CLIP and its tokenizer in Hugging Face's format.

    Args:
        folder: Created if it does not exist.
        texts: Class names, whose words become tokens.
        seed: Random seed of the weights.
        **sizes: image_size, patch_size and width, as in `tiny_clip_config`.

    Returns:
        The folder.
    """
    tokenizer = make_tiny_tokenizer([PROMPT_TEMPLATE, *texts])
    with torch.random.fork_rng(devices=[]):  # leave the random state of the caller alone
        torch.manual_seed(seed)
        model = CLIPModel(tiny_clip_config(tokenizer, **sizes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)
