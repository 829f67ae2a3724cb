"""OST against the outputs and gradients of the published code, then its training and its refusals."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import normalize, pad

from tc_clip_pl.baselines.ost.config import OSTConfig
from tc_clip_pl.baselines.ost.conversion import KEYS, convert_state_dict
from tc_clip_pl.baselines.ost.model import OST
from tc_clip_pl.baselines.ost.transport import match_phrases, matching_logits, transport_plan
from tc_clip_pl.checkpoints.openai import rename_openai
from tc_clip_pl.modules.backbone.interface import backbone_options
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.training.module import TCCLIPModule
from tc_clip_pl.training.objectives.batch_kl import symmetric_kl
from tc_clip_pl.training.objectives.cross_entropy import CrossEntropy
from tc_clip_pl.training.objectives.pairwise_kl import PairwiseKL
from tests.baselines.whole_clip_cases import check_gradients, relative_error, sizes, weights


@pytest.fixture(scope="module")
def case():
    """The settings of the case, with the model, its output and its gradients."""
    case = weights.load_case("ost")
    case["weights"], case["video"] = weights.clip_weights(case, case["seed"]), weights.make_video(case)
    model = OST(OSTConfig(**sizes(case)))
    model.load_state_dict(convert_state_dict(case["weights"], model.state_dict()))
    ids = [case["expected"][f"{kind}_ids"].long() for kind in ("spatial", "temporal")]
    longest = max(rows.shape[-1] for rows in ids)
    ids = torch.cat([pad(rows, (0, longest - rows.shape[-1])) for rows in ids], dim=1)  # (Y, 2 N, L)
    model.set_class_tokens(ids.transpose(0, 1))
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
    loss = 2 * symmetric_kl(logits, torch.tensor(case["feature_labels"]))
    loss.backward()
    return {"inputs": inputs, "logits": logits, "loss": loss, "scale": scale}


def test_logits_match(case):
    assert relative_error(case["output"].logits, case["expected"]["logits"]) < 1e-4
    assert case["output"].text_embeds.shape == (3, 2, 4, 64)


def test_loss_and_gradients_match(case):
    assert relative_error(case["loss"], case["expected"]["loss"]) < 1e-4
    check_gradients(case, dict(case["model"].named_parameters()), KEYS)
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


def test_training_scores_and_rounds_match(case):
    labels, model = torch.tensor(case["labels"]), case["model"]
    with torch.no_grad():
        output = model(case["video"])
        train_logits = matching_logits(output.frame_embeds, output.text_embeds[labels], model.logit_scale)
    assert relative_error(train_logits, case["expected"]["train_logits"]) < 1e-4
    frames, phrases = (normalize(embeds, dim=-1) for embeds in (output.frame_embeds, output.text_embeds))
    of_kinds = [
        torch.einsum("bte,ane->batn", frames, of_classes[:, kind])
        for of_classes in (phrases, phrases[labels])
        for kind in (1, 0)
    ]
    for similarities, rounds in zip(of_kinds, case["expected"]["iterations"].tolist(), strict=True):
        assert abs(transport_plan(similarities)[1] - rounds) <= 1


# The transport


def test_a_plan_shares_frames_and_phrases_evenly():
    generator = torch.Generator().manual_seed(0)
    similarities = 0.6 * torch.rand(3, 2, 6, 4, generator=generator, dtype=torch.float64) - 0.3
    plan, rounds = transport_plan(similarities)
    assert plan.sum(-2).allclose(torch.full((3, 2, 4), 1 / 4, dtype=torch.float64))
    assert (plan.sum(-1) - 1 / 6).abs().max() < 0.01 and 1 < rounds < 100


def test_frames_that_show_one_phrase_each_are_matched_to_it():
    eye = torch.eye(4)
    frames, same, mixed = eye[None], eye, eye.mean(0, keepdim=True).expand(4, -1)
    assert match_phrases(frames, same[None]).item() == pytest.approx(1 / 4 + 1, abs=1e-3)
    assert match_phrases(frames, mixed[None]).item() == pytest.approx(1 / 4 + 1 / 4, abs=1e-3)


def test_half_precision_embeddings_are_matched_in_float32(features):
    image, spatial, temporal = (tensor.detach() for tensor in features["inputs"].values())
    phrases = torch.stack([spatial, temporal], dim=1)
    with torch.autocast("cpu", torch.bfloat16):
        logits = matching_logits(image.bfloat16(), phrases.bfloat16(), features["scale"])
    whole = matching_logits(image.bfloat16().float(), phrases.bfloat16().float(), features["scale"])
    assert logits.dtype == torch.float32 and torch.equal(logits, whole)
    assert relative_error(logits, features["logits"]) < 1e-2


# The model


NAMES = ["brush hair", "cartwheel", "ride bike"]


@pytest.fixture
def files(tmp_path):
    """Descriptor files of three classes, one by name and one by number."""
    spatial = {name: [f"{name} {part}" for part in ("hand", "floor")] for name in reversed(NAMES)}
    temporal = {str(number): ["start", f"stop {number}"] for number in range(3)}
    paths = {}
    for kind, phrases in (("spatial", spatial), ("temporal", temporal)):
        paths[f"{kind}_descriptors"] = str(tmp_path / f"{kind}.json")
        Path(paths[f"{kind}_descriptors"]).write_text(json.dumps(phrases))
    return paths


@pytest.fixture
def model(tiny_clip_folder, files):
    return OST.from_pretrained(tiny_clip_folder, num_frames=4, **files)


def test_classes_are_texts_of_their_phrases(model):
    model.set_class_names(NAMES)
    texts = model.tokenizer.batch_decode(model.class_input_ids[:, 1], skip_special_tokens=True)
    assert [text.rstrip(" !") for text in texts] == [
        "this is a video about cartwheel hand",
        "this is a video about cartwheel floor",
        "a video of cartwheel usually includes start",
        "a video of cartwheel usually includes stop 1",
    ]
    ids, eos = model.texts_of(torch.tensor([1, 1]))
    assert torch.equal(ids, model.class_input_ids[:, [1, 1]]) and torch.equal(eos[:, 0], model.class_eos[:, 1])


def test_everything_is_trained_at_clip_size(files):
    with torch.device("meta"):
        ost, frame_wise = (
            kind(config(**backbone_options("openai/clip-vit-base-patch16"), **options))
            for kind, config, options in (
                (OST, OSTConfig, files),
                (TCCLIP, TCCLIPConfig, {"reference_tokens": "none", "prompting": "template"}),
            )
        )
    count = {m: sum(p.numel() for p in m.parameters() if p.requires_grad) for m in (ost, frame_wise)}
    assert count[ost] == 149_620_737 and count[ost] - count[frame_wise] == 49408 * 512
    assert ost.new_parameter_names() == set()


def test_a_saved_model_scores_as_before(model, tmp_path):
    video = torch.randn(2, 4, 3, 32, 32)
    torch.nn.init.normal_(model.text_model.embeddings.token_embedding.weight)
    model.set_class_names(NAMES)
    model.save_pretrained(tmp_path / "saved")
    loaded = OST.from_pretrained(tmp_path / "saved")
    loaded.set_class_names(NAMES)
    with torch.no_grad():
        assert torch.equal(loaded(video).logits, model(video).logits)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


CONTEXT = {"reference_tokens": "context", "num_context_tokens": 4}
CONDITIONAL = {
    **CONTEXT,
    "prompting": "video_conditional",
    "spatial_text": "a photo of a {phrase}",
    "temporal_text": "a photo of a {name} {phrase}",
}


def test_prompts_read_the_video_in_the_texts_of_all_phrases(tiny_clip_folder, files):
    torch.manual_seed(0)
    model, video = (
        OST.from_pretrained(tiny_clip_folder, num_frames=4, **files, **CONDITIONAL),
        torch.randn(2, 4, 3, 32, 32),
    )
    model.set_class_names(NAMES)
    second_step = model.tokenizer.decode(model.class_input_ids[3, 1], skip_special_tokens=True)
    assert second_step.rstrip(" !") == "a photo of a cartwheel stop 1"
    with torch.no_grad():
        output = model(video)
        assert output.text_embeds.shape == (2, 3, 2, 2, 64)
        alone = model(video[1:])
        torch.testing.assert_close(output.logits[1:], alone.logits, rtol=1e-4, atol=1e-3)  # rounds of the transport
        torch.testing.assert_close(output.text_embeds[1:], alone.text_embeds)
        frames, scale = output.frame_embeds[:1], model.logit_scale
        expected = matching_logits(frames, output.text_embeds[0], scale)
        torch.testing.assert_close(output.logits[:1], expected, rtol=1e-4, atol=1e-3)


def test_every_parameter_of_both_systems_is_trained(tiny_clip_folder, files):
    model = OST.from_pretrained(tiny_clip_folder, num_frames=4, **files, **CONDITIONAL).train()
    model.set_class_names(NAMES)
    batch = SimpleNamespace(label=torch.tensor([2, 0, 2]))
    CrossEntropy()(model, torch.randn(3, 4, 3, 32, 32), batch, 0.1).loss.backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is None} == set()


@pytest.mark.parametrize("options", [{}, CONTEXT])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_step_trains_every_parameter(tiny_clip_folder, files, options, precision):
    model = OST.from_pretrained(tiny_clip_folder, num_frames=4, **files, **options).train()
    module = TCCLIPModule(model, objective=PairwiseKL(), label_smoothing=0.0)
    model.set_class_names(NAMES)
    batch = SimpleNamespace(label=torch.tensor([2, 0, 2]))
    video = torch.randn(3, 4, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        loss, logits = module.objective(model, video, batch, 0.0)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and logits is None
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == set()
    assert torch.equal(model.class_input_ids, model.texts_of(torch.arange(3))[0])  # the classes are back


def test_a_process_without_clips_takes_part(model):
    model.set_class_names(NAMES)
    empty = SimpleNamespace(label=torch.zeros(0, dtype=torch.int64))
    loss = PairwiseKL()(model.train(), torch.zeros(0, 4, 3, 32, 32), empty, 0.0).loss
    loss.backward()
    assert loss.item() == 0 and all(parameter.grad is not None for parameter in model.parameters())


def test_search_and_other_prompts_are_refused(model, tiny_clip_folder, files):
    for embed in (model.embed_classes, lambda: model.embed_videos(torch.zeros(1))):
        with pytest.raises(ValueError, match="OST has no embeddings for search"):
            embed()
    for option, message in (
        ({"frame_pooling": "mean_cosine"}, "but OST matches phrases: leave it at 'mean_embedding'"),
        ({"prompting": "template_ensemble"}, "has texts of its own, and OST those of phrases"),
        ({"prompting": "learnable"}, "spatial_text is 'This is.*take the place of 'a photo of a': begin it with that"),
        ({"temporal_text": "{name}"}, "temporal_text is '{name}': write {phrase} once"),
        ({"spatial_text": "{phrase} {class}"}, "spatial_text is .*: write {phrase} once"),
    ):
        with pytest.raises(ValueError, match=message):
            OSTConfig(**option)
    for wrong in ((3, 7), (3, 2, 7)):
        with pytest.raises(ValueError, match=rf"are \(2 \* N, Y, L\), not {re.escape(str(wrong))}"):
            model.set_class_tokens(torch.zeros(wrong))


def test_the_objective_refuses_what_it_cannot_compare(tiny_model, model):
    trainer, objective = SimpleNamespace(), PairwiseKL()
    objective.prepare(model, trainer)
    with pytest.raises(ValueError, match="PairwiseKL compares every video with the texts of all others"):
        objective.prepare(tiny_model, trainer)
    model.set_class_names(NAMES)
    video = torch.zeros(1, 4, 3, 32, 32)
    with pytest.raises(ValueError, match=r"set model\.label_smoothing to 0"):
        objective(model, video, SimpleNamespace(label=torch.tensor([0])), 0.1)
    with pytest.raises(ValueError, match="mix_probability to 0"):
        objective(model, video, SimpleNamespace(label=torch.zeros(1, 3)), 0.0)


# Published weights


def test_published_names_are_converted(case):
    expected = case["model"].state_dict()
    published = rename_openai(case["weights"])
    published["text_encoder.token_embedding.weight"] = published.pop("token_embedding.weight")
    published = {f"module.{name}": value for name, value in published.items()}
    for name, value in convert_state_dict(published, expected).items():
        assert torch.equal(value, expected[name]), name
    with pytest.raises(ValueError, match=r"1 unknown weight \('prompt'\)"):
        convert_state_dict({**published, "prompt": torch.zeros(1)}, expected)
    published.pop("module.logit_scale")
    with pytest.raises(ValueError, match=r"lacks 1 needed weight \('logit_scale'\)"):
        convert_state_dict(published, expected)
