"""A tiny random CLIP with a tokenizer of its own, for the demo and for tests."""

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from tc_clip_pl.modules.tokenizer import PROMPT_TEMPLATE

SOS, EOS = "<|startoftext|>", "<|endoftext|>"


def make_tiny_tokenizer(texts: Iterable[str]) -> CLIPTokenizer:
    """CLIP's byte-pair tokenizer with one token for every word of the texts, and for every letter of other words."""
    words = sorted({word for text in texts for word in re.findall(r"[a-z]+", text.lower())})
    alphabet = sorted({chr(code) for code in range(33, 127)} - set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    tokens, merges = [*alphabet, *(f"{letter}</w>" for letter in alphabet)], []
    for word in words:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:  # join from the left, one letter at a time
            merges.append((pieces[0], pieces[1]))
            pieces[:2] = ["".join(pieces[:2])]
            tokens.append(pieces[0])
    vocab = {token: index for index, token in enumerate(dict.fromkeys([*tokens, SOS, EOS]))}
    return CLIPTokenizer(vocab=vocab, merges=list(dict.fromkeys(merges)), model_max_length=77)


def tiny_clip_config(
    tokenizer: CLIPTokenizer, image_size: int = 48, patch_size: int = 8, width: int = 64
) -> CLIPConfig:
    """Three layers for each encoder, and 36 patches: enough for the paper's 16 frames and 96 context tokens."""
    shared = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 3, "projection_dim": width}
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return CLIPConfig(
        text_config={**shared, **special, "vocab_size": len(tokenizer), "num_attention_heads": 2, "pad_token_id": 0},
        vision_config={**shared, "num_attention_heads": 4, "image_size": image_size, "patch_size": patch_size},
        projection_dim=width,
    )


def save_tiny_clip(folder: str | Path, texts: Iterable[str] = (), seed: int = 0, **sizes: int) -> Path:
    """Writes a tiny random CLIP in CLIP's own folder format.

    Args:
        folder: made where it does not exist.
        texts: class names, whose words become tokens.
        seed: of the weights.
        **sizes: image_size, patch_size and width, as in `tiny_clip_config`.

    Returns:
        The folder.
    """
    tokenizer = make_tiny_tokenizer([PROMPT_TEMPLATE, *texts])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIPModel(tiny_clip_config(tokenizer, **sizes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)
