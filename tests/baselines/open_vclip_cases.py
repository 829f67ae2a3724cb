"""The parity cases of Open-VCLIP and FROSTER as models: small CLIPs with weights drawn from seeds."""

import importlib.util
from pathlib import Path

import torch

from tc_clip_pl.checkpoints.open_vclip import convert_open_vclip
from tc_clip_pl.modules.backbone.interface import BackboneConfig, BackboneModel
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP

FOLDER = Path(__file__).parent.parent / "parity" / "baselines"
spec = importlib.util.spec_from_file_location("openvclip_etc_weights", FOLDER / "openvclip_etc_weights.py")
weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(weights)

OPEN_VCLIP = {"reference_tokens": "window", "frame_pooling": "mean_cosine"}


def sizes(case):
    """The arguments of a configuration that give a CLIP the sizes of a case."""
    parts = {
        part: {
            "projection_dim": case["embed_dim"],
            "hidden_act": "quick_gelu",
            "hidden_size": case[f"{part}_width"],
            "intermediate_size": 4 * case[f"{part}_width"],
            "num_hidden_layers": case[f"{part}_layers"],
            "num_attention_heads": case[f"{part}_width"] // 64,
        }
        for part in ("vision", "text")
    }
    parts["vision"] |= {"image_size": case["image_size"], "patch_size": case["patch_size"]}
    parts["text"] |= {"vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407}
    return {"projection_dim": case["embed_dim"], **{f"{part}_config": values for part, values in parts.items()}}


def published(case, seed):
    """Weights as a published checkpoint has them."""
    return {f"model.{name}": value for name, value in weights.clip_weights(case, seed).items()}


def save_clip(case, folder):
    """Write the CLIP of a case in Hugging Face's format, without a tokenizer."""
    clip = BackboneModel(BackboneConfig(**sizes(case)))
    clip.load_state_dict(convert_open_vclip(published(case, case["clip_seed"])))
    clip.save_pretrained(folder)
    return folder


def build(case, **options):
    """The model of a case with the student's weights."""
    model = TCCLIP(TCCLIPConfig(**sizes(case), **OPEN_VCLIP, num_frames=case["frames"], **options))
    model.load_state_dict(convert_open_vclip(published(case, case["seed"])))
    return model


def relative_error(actual, expected):
    return ((actual.double() - expected.double()).norm() / expected.double().norm()).item()


def check_gradients(case, named_parameters, kind=""):
    """Compare gradients and their norms with those of the reference, which are exactly those that it lists."""
    expected = case["expected"]
    published_names = [name.partition("/")[2] for name in expected if name.startswith(f"grad_norm{kind}/")]
    gradients = {name: p.grad for name, p in named_parameters.items() if p.grad is not None}
    largest = max(expected[f"grad_norm{kind}/{name}"] for name in published_names)
    for name in published_names:
        ours = names_of(case, name)
        found = torch.stack([gradients.pop(key).double().norm() for key in ours]).norm()
        norm = expected[f"grad_norm{kind}/{name}"]
        assert abs(found - norm) <= 1e-3 * max(norm, 1e-3 * largest), name
    assert not gradients, f"The reference has no gradient for {list(gradients)}"


def names_of(case, name):
    """Our names of a published weight."""
    if name.startswith("projector_"):
        return [name]
    return list(convert_open_vclip({f"model.{name}": weights.make_tensor(0, name, weights.clip_shapes(case)[name])}))
