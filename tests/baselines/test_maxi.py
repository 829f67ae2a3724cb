"""MAXI against the outputs and gradients of the published code, then its bags, its training and its refusals."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import normalize

from tc_clip_pl.checkpoints.official import convert_state_dict
from tc_clip_pl.checkpoints.openai import rename_openai
from tc_clip_pl.modules.backbone.interface import find_eos
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.prompt_ensembles import TemplateEnsemble
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.training.objectives.mil_nce import MILNCE, mil_nce
from tests.baselines.whole_clip_cases import check_gradients, relative_error, sizes, weights

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
    check_gradients(case, dict(case["model"].named_parameters()))


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


# The loss


def test_every_bag_of_the_label_is_a_target():
    logits = torch.zeros(3, 6)
    assert mil_nce(logits, torch.tensor([0, 1, 2])).item() == pytest.approx(math.log(3))
    perfect = torch.tensor([[50.0, 0, 50, 0], [0, 50, 0, 50]])  # one word of each bag is enough
    assert mil_nce(perfect, torch.tensor([4, 4])).item() == pytest.approx(math.log(2))
    assert mil_nce(torch.tensor([[50.0, 0, 0, 0], [0, 0, 50, 0]]), torch.tensor([0, 1])).item() < 1e-6


# Training


NAMES = ["brush hair", "cartwheel", "ride bike"]


@pytest.fixture
def words(tmp_path):
    """Words of three classes, and of the clips a and b."""
    class_words = {"brush hair": ["comb", "Brush Hair"], "cartwheel": ["roll", "jump"], "ride bike": []}
    (tmp_path / "class.json").write_text(json.dumps(class_words))
    (tmp_path / "clip.json").write_text(json.dumps({"a": ["jump", "run"], "b": []}))
    return {f"{kind}_words": str(tmp_path / f"{kind}.json") for kind in ("class", "clip")}


def make_trainer(*clips, names=NAMES):
    records = [SimpleNamespace(video_id=clip) for clip in clips]
    return SimpleNamespace(
        datamodule=SimpleNamespace(class_names=names, datasets={"train": SimpleNamespace(records=records)})
    )


def make_batch(label, *clips):
    return SimpleNamespace(label=torch.tensor(label), video_id=list(clips), seed=torch.arange(len(clips)))


def make_objective(model, words, **options):
    model.set_class_names(NAMES)
    objective = MILNCE(**words, **{"bag_size": 4, **options})
    objective.prepare(model, make_trainer("x/a.mp4", "x/b.avi"))
    return objective


def test_bags_are_of_class_and_clip_and_without_the_class_name(tiny_model, words):
    objective = make_objective(tiny_model, words)
    of_a = [text.removeprefix("a photo of a ") for text in objective.texts(tiny_model, 1, "x/a.mp4", 0)]
    assert of_a[:3] == ["cartwheel. roll.", "cartwheel. jump.", "cartwheel. run."]
    assert len(of_a) == 4 and of_a[3] in of_a[:3]
    assert objective.texts(tiny_model, 0, "b.mp4", 0) == ["a photo of a brush hair. comb."] * 4
    assert objective.texts(tiny_model, 2, "b.mp4", 0) == ["a photo of a ride bike."] * 4


def test_either_source_of_words_is_enough(tiny_model, words):
    alone = make_objective(tiny_model, {"class_words": words["class_words"]})
    assert alone.texts(tiny_model, 1, "unknown.mp4", 0)[:2] == [
        "a photo of a cartwheel. roll.",
        "a photo of a cartwheel. jump.",
    ]
    alone = make_objective(tiny_model, {"clip_words": words["clip_words"]})
    assert alone.texts(tiny_model, 2, "a.mp4", 0)[0] == "a photo of a ride bike. jump."


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_step_scores_the_bags_and_brings_the_classes_back(tiny_clip_folder, words, precision):
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, **FRAME_WISE).train()
    objective, video = make_objective(model, words), torch.randn(3, 4, 3, 32, 32)
    classes, batch = model.class_input_ids, make_batch([1, 0, 1], "a.mp4", "b.mp4", "b.mp4")
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        loss, logits = objective(model, video, batch, 0.0)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and logits is None
    assert model.class_input_ids is classes
    table = "text_model.embeddings.token_embedding.weight"
    assert {name for name, parameter in model.named_parameters() if parameter.grad is None} == {table}
    texts = [text for draw in zip([1, 0, 1], batch.video_id, range(3)) for text in objective.texts(model, *draw)]
    ids = model.tokenize(texts)
    with torch.no_grad(), model.other_texts(ids, find_eos(ids, model.config.text_config.eos_token_id)):
        expected = mil_nce(model(video).logits, batch.label)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5 if precision is torch.float32 else 0.05)


def test_tc_clip_trains_with_it_too(tiny_model, words):
    objective, batch = make_objective(tiny_model.train(), words), make_batch([1, 0], "a.mp4", "b.mp4")
    objective(tiny_model, torch.randn(2, 4, 3, 32, 32).double(), batch, 0.0).loss.backward()
    assert all(tiny_model.get_parameter(name).grad is not None for name in tiny_model.prompting_parameter_names())


def test_the_temperature_starts_at_002_and_stays_above_0001(tiny_model, words):
    objective = make_objective(tiny_model, words)
    assert tiny_model.logit_scale.item() == pytest.approx(math.log(50))
    torch.nn.init.constant_(tiny_model.logit_scale, 9.0)
    objective(tiny_model.train(), torch.randn(1, 4, 3, 32, 32).double(), make_batch([1], "a.mp4"), 0.0)
    assert tiny_model.logit_scale.item() == pytest.approx(math.log(1000))


# Refusals


def test_what_is_refused_before_training(tiny_model, words, tmp_path):
    tiny_model.set_class_names(NAMES)
    with pytest.raises(ValueError, match="MILNCE needs words for its bags"):
        MILNCE()
    for wrong in ({"bag_size": 0}, {"temperature": 0.0}):
        with pytest.raises(ValueError, match=r"give at least 1 and 0\.001"):
            MILNCE(**words, **wrong)
    with pytest.raises(ValueError, match=r"class.json has no words for 1 of the 1 classes, such as 'golf'"):
        MILNCE(**words).prepare(tiny_model, make_trainer(names=["golf"]))
    with pytest.raises(ValueError, match=r"clip.json has no words for 1 of the training clips, such as x/c.mp4"):
        MILNCE(**words).prepare(tiny_model, make_trainer("a.mp4", "x/c.mp4"))
    with pytest.raises(FileNotFoundError, match=r"no phrase file none\.json"):
        MILNCE(clip_words="none.json").prepare(tiny_model, make_trainer())
    (tmp_path / "class.json").write_text(json.dumps({name: ["q" * 90] for name in NAMES}))
    with pytest.raises(ValueError, match=r"qqq.' needs \d+ tokens, and the text encoder takes 77: shorten it"):
        MILNCE(**words).prepare(tiny_model, make_trainer())
    tiny_model.prompting = TemplateEnsemble
    with pytest.raises(ValueError, match="TCCLIP has several per class"):
        MILNCE(**words).prepare(tiny_model, make_trainer())


def test_mixed_and_smoothed_targets_are_refused(tiny_model, words):
    objective, video = make_objective(tiny_model, words), torch.zeros(1, 4, 3, 32, 32)
    with pytest.raises(ValueError, match=r"set model\.label_smoothing to 0"):
        objective(tiny_model, video, make_batch([0], "a.mp4"), 0.1)
    with pytest.raises(ValueError, match="mix_probability to 0"):
        objective(tiny_model, video, make_batch([[0.5, 0.5, 0.0]], "a.mp4"), 0.0)
