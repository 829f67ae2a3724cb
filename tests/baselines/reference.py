"""Reference outputs of the compared systems, as `tests/parity/baselines` has them, and how ours are held to them."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import torch

from tc_clip_pl.checkpoints.official import KEYS, convert_state_dict
from tc_clip_pl.checkpoints.openai import rename_openai
from tc_clip_pl.training import TCCLIPModule
from tc_clip_pl.training.objectives.cross_entropy import CrossEntropy

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


def train_step(model, objective=None, precision=torch.float32, label=(0, 2)):
    """One training step of a model with three classes on two videos; returns the loss, gradients are in the model."""
    model.set_class_names(["brush hair", "cartwheel", "ride bike"])
    module = TCCLIPModule(model.train(), objective=objective, label_smoothing=0.0)
    module.train_metrics = torch.nn.ModuleDict()
    module._trainer = SimpleNamespace(train_dataloader=None)
    size = model.config.vision_config.image_size
    video = torch.randn(2, 1, model.config.num_frames, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = module.training_step(SimpleNamespace(video=video, label=torch.tensor(label)), 0)
    loss.backward()
    return loss


def names_that_two_steps_change(model, video, precision):
    """Names of the tensors that change in two steps on two videos, after which the loss must be lower."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train().freeze(["vision", "text"])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    batch, losses = SimpleNamespace(label=torch.tensor([0, 1])), []
    for _ in range(2):
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = CrossEntropy()(model, video.float(), batch, 0.0).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def without_gradient(model):
    """Names of trained parameters that the last step gave no gradient, which would stop DDP."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
