"""ViFi-CLIP, fine-tuned and with prompts, beside outputs and gradients of the authors' own code."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from tc_clip_pl.baselines.vifi_prompt.config import ViFiPromptConfig
from tc_clip_pl.baselines.vifi_prompt.conversion import convert_state_dict
from tc_clip_pl.baselines.vifi_prompt.model import ViFiPrompt
from tc_clip_pl.checkpoints import official
from tc_clip_pl.checkpoints.openai import rename_openai
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.training.schedule import ReleasedSchedule

FOLDER = Path(__file__).parent.parent / "parity" / "baselines"
spec = importlib.util.spec_from_file_location("openvclip_etc_weights", FOLDER / "openvclip_etc_weights.py")
weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(weights)


def sizes(case):
    """The options of a backbone's configuration."""

    def encoder(name):
        width = case[f"{name}_width"]
        depth = {"num_hidden_layers": case[f"{name}_layers"], "num_attention_heads": width // 64}
        return {"hidden_size": width, "intermediate_size": 4 * width, **depth, "projection_dim": case["embed_dim"]}

    vision = {**encoder("vision"), "image_size": case["image_size"], "patch_size": case["patch_size"]}
    text = {**encoder("text"), "eos_token_id": 49407, "bos_token_id": 49406, "pad_token_id": 0}
    return {"vision_config": vision, "text_config": text, "projection_dim": case["embed_dim"]}


@pytest.fixture(scope="module")
def case():
    return weights.load_case("vificlip")


@pytest.fixture(scope="module")
def published_prompts(case):
    """The weights of a CLIP and of the prompts, under the names that they were drawn by."""
    width, count = {"visual.": case["vision_width"], "": case["text_width"]}, case["prompts"]
    depth = {"visual.": case["prompt_depth_vision"], "": case["prompt_depth_text"]}
    names = {f"{side}transformer.resblocks.{n}.VPT_shallow": side for side in width for n in range(1, depth[side])}
    names |= {"visual.VPT": "visual.", "prompt_learner.ctx": ""}
    return weights.clip_weights(case, case["seed"]) | {
        name: weights.make_tensor(case["seed"], name, (count, width[side])) for name, side in names.items()
    }


@pytest.fixture(scope="module")
def prompted_config(case):
    depths = {"vision_depth": case["prompt_depth_vision"], "text_depth": case["prompt_depth_text"]}
    return ViFiPromptConfig(**sizes(case), num_frames=case["frames"], num_prompts=case["prompts"], **depths)


@pytest.fixture(scope="module")
def prompted(case, published_prompts, prompted_config):
    """The model with its gradients."""
    model = ViFiPrompt(prompted_config).eval()
    model.load_state_dict(convert_state_dict(published_prompts, prompted_config))
    ids = case["expected"]["prompted_input_ids"].long()
    model.set_class_tokens(torch.cat((ids[:, :1], ids[:, 1 + case["prompts"] :]), dim=1))  # without the placeholders
    model.logits = model(weights.make_video(case)).logits
    cross_entropy(model.logits, torch.tensor(case["labels"])).backward()
    return model


def relative_error(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


def check_gradients(case, prefix, gradient_of):
    expected = {k.removeprefix(prefix): v.item() for k, v in case["expected"].items() if k.startswith(prefix)}
    for name, norm in expected.items():
        found = gradient_of(name).double().norm().item()
        # Norms far below the others are rounding: the softmax ignores key biases.
        tolerance = 1e-3 * (norm if norm > 1e-3 * max(expected.values()) else max(expected.values()))
        assert found == pytest.approx(norm, abs=tolerance), name
    return len(expected)


def test_fine_tuning_matches(case):
    state = official.convert_state_dict(rename_openai(weights.clip_weights(case, case["seed"])))
    config = TCCLIPConfig(**sizes(case), num_frames=4, reference_tokens="none", prompting="template")
    model = TCCLIP(config).eval()
    model.load_state_dict(state)
    model.set_class_tokens(case["expected"]["input_ids"].long())
    logits = model(weights.make_video(case)).logits
    assert relative_error(logits, case["expected"]["logits"]) < 1e-4
    cross_entropy(logits, torch.tensor(case["labels"])).backward()
    parameters = dict(model.named_parameters())
    shapes = weights.clip_shapes(case)

    def gradient_of(name):
        shape = shapes.get(name.replace("image_encoder.", "visual.").replace("text_encoder.", ""), ())
        converted = official.convert_state_dict({name: torch.empty(shape)})  # one or three, of q, k and v
        return torch.cat([parameters[ours].grad.flatten() for ours in converted])

    assert check_gradients(case, "grad_norm/", gradient_of) == 109
    trained = {name for name, parameter in parameters.items() if parameter.grad is not None}
    assert trained == set(parameters) - {"text_model.embeddings.token_embedding.weight"}


def test_prompts_match(case, prompted):
    assert relative_error(prompted.logits, case["expected"]["prompted_logits"]) < 1e-4


def test_gradients_of_prompts_match(case, prompted):
    def gradient_of(name):
        layer = int(name.split(".")[3]) if "resblocks" in name else 0
        return (prompted.vision_prompts if name.startswith("image") else prompted.text_prompts).grad[layer]

    assert check_gradients(case, "prompted_grad_norm/", gradient_of) == 6
    assert {name for name, p in prompted.named_parameters() if p.grad is not None} == prompted.new_parameter_names()


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "fully_supervised"])
def test_learning_rates_match(case, name):
    recipe, expected = case["schedules"][name], case["expected"][f"learning_rate/{name}"]
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=recipe["lr"])
    per_epoch, warmup, final = recipe["steps_per_epoch"], recipe["warmup_epochs"], recipe["lr"] / 100
    schedule = ReleasedSchedule(optimizer, recipe["epochs"] * per_epoch, per_epoch, warmup, final, lag=1)
    rates = []
    for _ in expected:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(torch.tensor(rates), expected.float(), rtol=1e-5, atol=0)
