"""FROSTER against the outputs, losses and gradients of its authors' code."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from tc_clip_pl.training.objectives.clip_distillation import ClipDistillation
from tests.baselines.whole_clip_cases import build, check_gradients, names_of, relative_error, save_clip, weights

PROJECTIONS = {"projector_v": "project_image", "projector_t": "project_text"}
LAYERS = {"0": "first", "2": "second"}


@pytest.fixture
def case():
    case = weights.load_case("froster")
    return {**case, "video": weights.make_video(case), "label": torch.tensor(case["labels"])}


@pytest.fixture
def model(case, tmp_path):
    model = build(case, prompting="described_ensemble", train_token_embeddings=True).eval()
    model.set_class_tokens(case["expected"]["input_ids"].long())
    model.config.clip_name_or_path = str(save_clip(case, tmp_path))
    return model


@pytest.fixture
def objective(case, model):
    objective = ClipDistillation(case["distillation_ratio"], case["residual"])
    objective.prepare(model, SimpleNamespace(strategy=None))
    for published, ours in PROJECTIONS.items():
        for number, layer in LAYERS.items():
            shape, name = (case["embed_dim"],) * 2, f"{published}.{number}.weight"
            getattr(getattr(objective, ours), layer).weight.data = weights.make_tensor(case["seed"], name, shape)
    return objective


@pytest.fixture
def drawn(case, monkeypatch):
    """Make the model draw the template that the reference drew."""
    monkeypatch.setattr(torch, "randint", lambda high, size: torch.full(size, case["template"]))


def test_all_texts_classify_in_testing(case, model):
    output = model(case["video"])
    assert relative_error(output.text_embeds, case["expected"]["classifier"]) < 1e-4
    assert relative_error(output.logits, case["expected"]["logits"]) < 1e-4


def test_two_texts_classify_in_training(case, model, drawn):
    assert relative_error(model.train()(case["video"]).logits, case["expected"]["train_logits"]) < 1e-4


def test_embeddings_of_both_sides_match(case, model, objective, drawn):
    output, expected = model.train()(case["video"]), case["expected"]
    images, texts = objective.teach(case["video"], model.encoded_texts[0])
    assert relative_error(F.normalize(images, dim=-1).flatten(0, 1), expected["teacher_image"]) < 1e-4
    assert relative_error(texts, expected["teacher_text"]) < 1e-4
    image = objective.project_image(F.normalize(output.frame_embeds, dim=-1)).flatten(0, 1)
    assert relative_error(image, expected["student_image"]) < 1e-4
    assert relative_error(objective.project_text(output.text_embeds), expected["student_text"]) < 1e-4


def test_loss_and_gradients_match(case, model, objective, drawn):
    expected = case["expected"]
    batch = SimpleNamespace(label=case["label"], video_id=["a", "b", "c"])
    result = objective(model.train(), case["video"], batch, 0.0)
    result.loss.backward()
    assert relative_error(result.loss, expected["loss"]) < 1e-4
    cross_entropy = F.cross_entropy(result.logits, case["label"])
    assert relative_error(cross_entropy, expected["cross_entropy"]) < 1e-4
    distillation = expected["distillation_image"] + expected["distillation_text"]
    assert relative_error((result.loss - cross_entropy) / case["distillation_ratio"], distillation) < 1e-4
    parameters = dict(model.named_parameters())
    for published, ours in PROJECTIONS.items():
        for number, layer in LAYERS.items():
            parameters[f"{published}.{number}.weight"] = getattr(getattr(objective, ours), layer).weight
    check_gradients(case, parameters)
    for name in ("logit_scale", "ln_final.weight", "visual.class_embedding", "projector_t.2.weight"):
        assert relative_error(parameters[names_of(case, name)[0]].grad, expected[f"grad/{name}"]) < 1e-4
    norm = torch.stack([p.grad.double().norm() for p in parameters.values()]).norm()
    assert relative_error(norm, expected["total_grad_norm"]) < 1e-4
