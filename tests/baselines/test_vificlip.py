"""ViFi-CLIP, fine-tuned and with prompts, beside outputs and gradients of the authors' own code."""

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
from tests.baselines import reference
from tests.baselines.whole_clip_cases import sizes, weights


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
    return ViFiPromptConfig(**sizes(case), num_prompts=case["prompts"], **depths)


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


def norms(case, prefix):
    """Expected norms of gradients by published name."""
    return {k.removeprefix(prefix): v.item() for k, v in case["expected"].items() if k.startswith(prefix)}


def test_fine_tuning_matches(case):
    published = weights.clip_weights(case, case["seed"])
    model = TCCLIP(TCCLIPConfig(**sizes(case), reference_tokens="none", prompting="template")).eval()
    model.load_state_dict(official.convert_state_dict(rename_openai(published)))
    model.set_class_tokens(case["expected"]["input_ids"].long())
    logits = model(weights.make_video(case)).logits
    assert reference.relative_error(logits, case["expected"]["logits"]) < 1e-4
    cross_entropy(logits, torch.tensor(case["labels"])).backward()
    trained = {name: value for name, value in rename_openai(published).items() if name != "token_embedding.weight"}
    gradients = {name: reference.published_gradients(model, {}, name, value) for name, value in trained.items()}
    reference.assert_gradient_norms(norms(case, "grad_norm/"), gradients)
    assert model.get_parameter(official.TOKEN_EMBEDDING).grad is None


def test_prompts_match(case, prompted, published_prompts, prompted_config):
    converted = convert_state_dict(published_prompts, prompted_config, torch.zeros(1))  # the checkpoint's own counts
    assert torch.equal(converted[official.TOKEN_EMBEDDING], published_prompts["token_embedding.weight"])
    assert reference.relative_error(prompted.logits, case["expected"]["prompted_logits"]) < 1e-4


def test_gradients_of_prompts_match(case, prompted):
    def gradient_of(name):
        layer = int(name.split(".")[3]) if "resblocks" in name else 0
        return [(prompted.vision_prompts if name.startswith("image") else prompted.text_prompts).grad[layer]]

    expected = norms(case, "prompted_grad_norm/")
    assert len(expected) == 6
    reference.assert_gradient_norms(expected, {name: gradient_of(name) for name in expected})
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
