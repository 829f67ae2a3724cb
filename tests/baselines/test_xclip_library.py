"""X-CLIP as transformers saves it loads as ours, with the same scores."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import XCLIPConfig, XCLIPModel

from datamodules.errors import DataError
from tc_clip_pl.baselines.xclip.model import XCLIP
from tc_clip_pl.inference.model_source import load_source
from tc_clip_pl.modules.loading import load_tokenizer
from tc_clip_pl.training.build import build_module

NAMES = ["brush hair", "cartwheel", "ride bike"]
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
COLORS = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def save_library(folder, tokenizer, **changes):
    """Save a random `XCLIPModel` and its tokenizer, with the processor of the hub's."""
    vision = {**SIZES, "image_size": 32, "patch_size": 8, "num_frames": 4}
    vision |= {"mit_hidden_size": 128, "mit_intermediate_size": 512, "mit_num_attention_heads": 2}
    config = XCLIPConfig(
        vision_config=vision,
        text_config={**SIZES, "vocab_size": len(tokenizer)},
        **{"projection_dim": 128, "prompt_num_attention_heads": 2, **changes},
    )
    torch.manual_seed(0)
    library = XCLIPModel(config).eval()
    for parameter in library.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    library.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = {"feature_extractor_type": "VideoMAEFeatureExtractor", "size": 32, **COLORS}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return library


@pytest.fixture
def library(tiny_clip_folder, tmp_path):
    return save_library(tmp_path / "library", load_tokenizer(str(tiny_clip_folder)))


@pytest.fixture
def video():
    return torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def scores(model, video):
    model.set_class_names(NAMES)
    with torch.no_grad():
        return model(video).logits


def test_scores_are_those_of_transformers(library, tmp_path, video):
    model = XCLIP.from_pretrained(tmp_path / "library")
    tokens = model.tokenizer(NAMES, padding="max_length", max_length=77, return_tensors="pt")
    with torch.no_grad():
        expected = library(pixel_values=video, **tokens).logits_per_video
    torch.testing.assert_close(scores(model, video), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1
    assert not model.logit_scale.requires_grad and model.mit.position_embedding.requires_grad


def test_files_of_old_versions_hold_positions_too(library, tmp_path, video):
    expected = scores(XCLIP.from_pretrained(tmp_path / "library"), video)
    file = tmp_path / "library" / "model.safetensors"
    numbers = {f"{part}_model.embeddings.position_ids": torch.arange(17)[None] for part in ("vision", "text")}
    save_file(load_file(file) | numbers, file, metadata={"format": "pt"})
    assert torch.equal(scores(XCLIP.from_pretrained(tmp_path / "library"), video), expected)


def test_saved_again_it_is_ours(library, tmp_path, video):
    model = XCLIP.from_pretrained(tmp_path / "library")
    model.save_pretrained(tmp_path / "ours")
    again = XCLIP.from_pretrained(tmp_path / "ours")
    assert again.config.num_frames == 4 and again.config.vision_config.model_type == "clip_vision_model"
    assert torch.equal(scores(again, video), scores(model, video))


def test_training_starts_from_it_with_its_own_number_of_frames(library, tmp_path):
    folder = str(tmp_path / "library")
    assert isinstance(build_module(folder, system="xclip", options={"num_frames": 4}).model, XCLIP)
    with pytest.raises(ValueError, match=r"made for 4 frames, not 8: set data\.num_frames to 4"):
        build_module(folder, system="xclip", options={"num_frames": 8})


def test_its_processor_gives_the_colors(library, tmp_path):
    model, clips = load_source(tmp_path / "library")
    assert isinstance(model, XCLIP) and (clips.num_frames, clips.image_size) == (4, 32)
    assert clips.mean == pytest.approx([255 * value for value in COLORS["image_mean"]])
    (tmp_path / "library" / "preprocessor_config.json").write_text("{")
    with pytest.raises(DataError, match=r"preprocessor_config\.json cannot be read"):
        load_source(tmp_path / "library")


def test_other_heads_and_layers_are_refused(tiny_clip_folder, tmp_path):
    tokenizer = load_tokenizer(str(tiny_clip_folder))
    for name, value in {"prompt_num_attention_heads": 4, "prompt_layers": 1, "prompt_hidden_act": "gelu"}.items():
        save_library(tmp_path / name, tokenizer, **{name: value})
        with pytest.raises(ValueError, match=f"This X-CLIP has {name}={value}, where X-CLIP of its width has"):
            XCLIP.from_pretrained(tmp_path / name)
