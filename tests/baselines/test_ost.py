"""OST against the outputs and gradients of the published code, then its training and its refusals."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import normalize, pad

from tc_clip_pl.baselines.ost.config import OSTConfig
from tc_clip_pl.baselines.ost.conversion import convert_state_dict
from tc_clip_pl.baselines.ost.model import OST
from tc_clip_pl.baselines.ost.transport import match_phrases, matching_logits, transport_plan
from tc_clip_pl.training.objectives.pairwise_kl import PairwiseKL, pairwise_kl
from tests.baselines.openvclip_cases import check_gradient_norms, relative_error, sizes, weights


@pytest.fixture(scope="module")
def case():
    """The settings of the case, with the model, its output and its gradients."""
    case = weights.load_case("ost")
    case["weights"], case["video"] = weights.clip_weights(case, case["seed"]), weights.make_video(case)
    model = OST(OSTConfig(**sizes(case)))
    model.load_state_dict(convert_state_dict(case["weights"], model.state_dict()))
    ids = [case["expected"][f"{kind}_ids"].long() for kind in ("spatial", "temporal")]
    longest = max(rows.shape[-1] for rows in ids)
    model.set_class_tokens(torch.stack([pad(rows, (0, longest - rows.shape[-1])) for rows in ids], dim=1))
    batch = SimpleNamespace(label=torch.tensor(case["labels"]))
    case["loss"] = PairwiseKL()(model.train(), case["video"], batch, 0.0).loss
    case["loss"].backward()
    with torch.no_grad():
        case["output"] = model.eval()(case["video"])
    return {**case, "model": model}


@pytest.fixture(scope="module")
def features(case):
    """Inputs of the score alone, and its outputs and gradients."""
    shapes = {"image": case["feature_frames"], "spatial": case["feature_descriptors"]}
    shapes["temporal"] = case["feature_descriptors"]
    inputs = {
        name: weights.make_tensor(
            case["seed"], f"input/{name}", (case["feature_batch"], rows, case["feature_dim"])
        ).requires_grad_()
        for name, rows in shapes.items()
    }
    scale = torch.tensor(case["feature_logit_scale"])
    logits = matching_logits(inputs["image"], torch.stack([inputs["spatial"], inputs["temporal"]], dim=1), scale)
    loss = pairwise_kl(logits, torch.tensor(case["feature_labels"]))
    loss.backward()
    return {"inputs": inputs, "logits": logits, "loss": loss, "scale": scale}


def test_logits_match(case):
    assert relative_error(case["output"].logits, case["expected"]["logits"]) < 1e-4
    assert case["output"].text_embeds.shape == (3, 2, 4, 64)


def test_loss_and_gradients_match(case):
    assert relative_error(case["loss"], case["expected"]["loss"]) < 1e-4
    check_gradient_norms(case["model"], case["weights"], case["expected"])
    assert case["model"].text_model.embeddings.token_embedding.weight.grad.norm() > 0


def test_plan_matches(case, features):
    frames, spatial = (normalize(features["inputs"][name].detach(), dim=-1) for name in ("image", "spatial"))
    similarities = torch.einsum("bte,ane->batn", frames, spatial)
    plan, rounds = transport_plan(similarities)
    assert relative_error(plan, case["expected"]["feature_plan"]) < 1e-4
    assert abs(rounds - case["expected"]["feature_iterations"].item()) <= 1
    matched = features["scale"].exp() * (match_phrases(frames, spatial) - similarities.mean((-2, -1)))
    assert relative_error(matched, case["expected"]["feature_matched"]) < 1e-4


def test_score_and_loss_match_with_their_gradients(case, features):
    assert relative_error(features["logits"], case["expected"]["feature_logits"]) < 1e-4
    assert relative_error(features["loss"], case["expected"]["feature_loss"]) < 1e-4
    for name, tensor in features["inputs"].items():
        assert relative_error(tensor.grad, case["expected"][f"feature_grad_{name}"]) < 1e-4, name
