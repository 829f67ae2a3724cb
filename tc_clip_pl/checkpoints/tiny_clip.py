"""A tiny random CLIP with its own tokenizer: for tests, and to start pre-training from."""

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
    tokenizer: CLIPTokenizer,
    image_size: int = 48,
    patch_size: int = 8,
    width: int = 64,
    layers: int = 3,
    mlp_ratio: int = 2,
    text_heads: int = 2,
    max_tokens: int = 77,
) -> CLIPConfig:
    """Return the configuration of the tiny CLIP: three layers per encoder, 36 patches by default.

    36 patches give 10 seeds per frame, so 16 frames suffice for the paper's 96 context tokens.

    Args:
        tokenizer: Determines vocabulary and special tokens.
        image_size: Side of the square frames in pixels.
        patch_size: Side of a patch in pixels.
        width: Hidden size of both encoders, and size of the joint embedding.
        layers: Layers of each encoder.
        mlp_ratio: Width of the hidden layer of an MLP, relative to `width`.
        text_heads: Attention heads of the text encoder; the vision encoder has four.
        max_tokens: Length of the longest text.
    """
    shared = {
        "hidden_size": width,
        "intermediate_size": mlp_ratio * width,
        "num_hidden_layers": layers,
        "projection_dim": width,
    }
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = {"vocab_size": len(tokenizer), "num_attention_heads": text_heads, "max_position_embeddings": max_tokens}
    return CLIPConfig(
        text_config={**shared, **special, **text},
        vision_config={**shared, "num_attention_heads": 4, "image_size": image_size, "patch_size": patch_size},
        projection_dim=width,
    )


def world_clip_config(tokenizer: CLIPTokenizer, width: int = 96) -> CLIPConfig:
    """Return the configuration of the CLIP that `tcclip pretrain` trains on the generated world.

    Args:
        tokenizer: Determines vocabulary and special tokens.
        width: As in `tiny_clip_config`, a multiple of four.
    """
    sizes = {"image_size": 64, "layers": 4, "mlp_ratio": 4, "text_heads": 4, "max_tokens": 32}
    return tiny_clip_config(tokenizer, width=width, **sizes)


def build_random_clip(config: CLIPConfig, seed: int = 0) -> CLIPModel:
    """Build a CLIP with random weights, leaving the random state of the caller alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIPModel(config)


def save_tiny_clip(folder: str | Path, texts: Iterable[str] = (), seed: int = 0, **sizes: int) -> Path:
    """Save a tiny random CLIP and its tokenizer in Hugging Face's format.

    Args:
        folder: Created if it does not exist.
        texts: Class names, whose words become tokens.
        seed: Random seed of the weights.
        **sizes: As in `tiny_clip_config`.

    Returns:
        The folder.
    """
    tokenizer = make_tiny_tokenizer([PROMPT_TEMPLATE, *texts])
    build_random_clip(tiny_clip_config(tokenizer, **sizes), seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)
