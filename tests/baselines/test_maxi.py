"""MAXI against the outputs and gradients of the published code, then its bags, its training and its refusals."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import normalize

from tc_clip_pl.checkpoints.official import convert_state_dict
from tc_clip_pl.checkpoints.openai import rename_openai
from tc_clip_pl.modules.backbone.interface import find_eos
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.training.objectives.mil_nce import MILNCE, mil_nce
from tests.baselines.openvclip_cases import check_gradient_norms, relative_error, sizes, weights

FRAME_WISE = {"reference_tokens": "none", "prompting": "template"}


@pytest.fixture(scope="module")
def case():
    """The settings of the case, with the model and its gradients."""
    case = weights.load_case("maxi")
    case["weights"], video = weights.clip_weights(case, case["seed"]), weights.make_video(case)
    model = TCCLIP(TCCLIPConfig(**sizes(case), **FRAME_WISE)).train()
    model.load_state_dict(convert_state_dict(rename_openai(case["weights"])))
    ids = case["expected"]["input_ids"].long()
    with model.other_texts(ids, find_eos(ids, 49407)):
        case["logits"] = model(video).logits
    case["loss"] = mil_nce(case["logits"], torch.tensor(case["labels"]))
    case["loss"].backward()
    return {**case, "model": model}


def test_logits_loss_and_gradients_match(case):
    assert relative_error(case["logits"], case["expected"]["logits"]) < 1e-4
    assert relative_error(case["loss"], case["expected"]["loss"]) < 1e-4
    check_gradient_norms(case["model"], case["weights"], case["expected"])


def test_the_loss_alone_matches_with_its_gradients(case):
    count, size, width = case["feature_batch"], case["feature_texts"], case["embed_dim"]
    inputs = {
        name: weights.make_tensor(case["seed"], f"input/{name}", (rows, width)).requires_grad_()
        for name, rows in (("video", count), ("text", count * size))
    }
    video, text = (normalize(tensor, dim=-1) for tensor in inputs.values())
    logits = torch.tensor(case["feature_logit_scale"]).exp() * video @ text.T
    loss = mil_nce(logits, torch.tensor(case["feature_labels"]))
    loss.backward()
    assert relative_error(loss, case["expected"]["feature_loss"]) < 1e-4
    for name, tensor in inputs.items():
        assert relative_error(tensor.grad, case["expected"][f"feature_grad_{name}"]) < 1e-4, name
