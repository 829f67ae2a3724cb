"""The tiny CLIP: a loadable folder, whole words as tokens, reproducible weights."""

import torch
from transformers import AutoTokenizer, CLIPModel

from tc_clip_pl.checkpoints.tiny_clip import make_tiny_tokenizer, save_tiny_clip, tiny_clip_config


def test_known_words_are_one_token_and_others_are_spelled():
    tokenizer = make_tiny_tokenizer(["brush hair"])
    assert tokenizer.tokenize("Brush hair") == ["brush</w>", "hair</w>"]
    assert tokenizer.tokenize("cat") == ["c", "a", "t</w>"]


def test_eos_is_the_highest_token_id():
    tokenizer = make_tiny_tokenizer(["brush hair"])
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    assert tokenizer("brush").input_ids[-1] == tokenizer.eos_token_id


def test_folder_loads_with_hugging_face(tmp_path):
    folder = save_tiny_clip(tmp_path / "clip", ["brush hair"], image_size=32)
    model, tokenizer = CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.vision_config.image_size == 32
    tokens = tokenizer(["brush hair", "cat"], padding=True, return_tensors="pt")
    assert model.get_text_features(**tokens).pooler_output.shape == (2, 64)


def test_weights_depend_on_the_seed_alone(tmp_path):
    folders = [save_tiny_clip(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    first, again, other = (CLIPModel.from_pretrained(folder).visual_projection.weight for folder in folders)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_sizes_reach_both_encoders():
    tokenizer = make_tiny_tokenizer(["brush hair"])
    sizes = {"width": 32, "layers": 2, "mlp_ratio": 3, "text_heads": 8, "max_tokens": 9, "patch_size": 4}
    config = tiny_clip_config(tokenizer, image_size=12, **sizes)
    for part in (config.text_config, config.vision_config):
        assert (part.hidden_size, part.num_hidden_layers, part.intermediate_size) == (32, 2, 96)
    assert (config.text_config.num_attention_heads, config.text_config.max_position_embeddings) == (8, 9)
    assert (config.vision_config.image_size, config.vision_config.patch_size, config.projection_dim) == (12, 4, 32)


def test_saving_leaves_the_random_state_alone(tmp_path):
    before = torch.get_rng_state()
    save_tiny_clip(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
