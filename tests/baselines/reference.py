"""Reference outputs of the compared systems, as `tests/parity/baselines` has them, and how ours are held to them."""

import importlib.util
from pathlib import Path

import torch

from tc_clip_pl.checkpoints.official import KEYS, convert_state_dict
from tc_clip_pl.checkpoints.openai import rename_openai

FOLDER = Path(__file__).parent.parent / "parity" / "baselines"


def load_weights_module(name):
    """The file that draws weights and videos of some cases from seeds."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clip_sizes(case):
    """Arguments of a configuration: the CLIP of a case."""
    vision, text = (
        {
            "hidden_size": case[f"{side}_width"],
            "intermediate_size": 4 * case[f"{side}_width"],
            "num_hidden_layers": case[f"{side}_layers"],
            "num_attention_heads": case[f"{side}_heads"],
            "projection_dim": case["projection_dim"],
        }
        for side in ("vision", "text")
    )
    return {
        "vision_config": {**vision, "image_size": case["image_size"], "patch_size": case["patch_size"]},
        "text_config": {**text, "vocab_size": 49408, "eos_token_id": 49407},
        "projection_dim": case["projection_dim"],
        "num_frames": case["frames"],
    }


def relative_error(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


def assert_gradient_norms(expected, gradients):
    """Compare norms by published name with our gradients; those below a thousandth of the largest are rounding alone.

    Args:
        expected: Published name -> norm.
        gradients: Published name -> the tensors that it became, counted in float64.
    """
    assert expected.keys() == gradients.keys()
    largest = max(expected.values())
    for name, norm in expected.items():
        actual = torch.stack([gradient.double().norm() for gradient in gradients[name]]).norm()
        assert abs(actual - norm) <= 1e-3 * max(norm, 1e-3 * largest), name


def published_gradients(model, keys, name, value):
    """Our gradients of a published weight, which may have become several; None for a frozen one."""
    parameters = dict(model.named_parameters())
    return [parameters[ours].grad for ours in convert_state_dict(rename_openai({name: value}), {**keys, **KEYS})]
