"""Vita-CLIP: equal to the authors' code in all variants, around a CLIP that stays as it is, with vectors per class."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from tc_clip_pl.baselines.conversion import split_names
from tc_clip_pl.baselines.vitaclip.config import VitaCLIPConfig
from tc_clip_pl.baselines.vitaclip.conversion import CLIP_PREFIX, NAMES, convert_vitaclip
from tc_clip_pl.baselines.vitaclip.model import VitaCLIP
from tc_clip_pl.modules.backbone.interface import BackboneModel, backbone_options
from tc_clip_pl.profiling import count_cost
from tests.baselines.reference import (
    assert_gradient_norms,
    clip_sizes,
    load_weights_module,
    names_that_two_steps_change,
    relative_error,
)

weights = load_weights_module("xclip_etc_weights")
CLASS_NAMES = ["brush hair", "cartwheel", "something else"]
SHARED = "shared/prompt_learner.ctx"


def draw(case, variant):
    """The weights and the options of a variant."""
    drawn, is_full = weights.make_state_dict(case), variant in ("full", "shared_context")
    shared, kinds = drawn.pop(SHARED), {kind: is_full or kind == variant for kind in ("summary", "local", "global")}
    absent = [
        mark for kind, mark in (("summary", "summary_"), ("local", "local_"), ("global", "global_")) if not kinds[kind]
    ]
    absent += [] if kinds["summary"] or kinds["local"] else ["cls_proj"]
    drawn = {name: value for name, value in drawn.items() if not any(mark in name for mark in absent)}
    options = {"text_vectors": "shared"} if variant == "shared_context" else {"trained_classes": case["class_names"]}
    if variant == "shared_context":
        drawn["prompt_learner.ctx"] = shared
    return drawn, {
        **options,
        "summary": kinds["summary"],
        "local_prompts": kinds["local"],
        "num_global_prompts": case["num_global_prompts"] * kinds["global"],
        "num_text_vectors": case["num_text_prompts"],
    }


@pytest.fixture(scope="module", params=["full", "summary", "local", "global", "none", "shared_context"])
def run(request):
    """A variant of the reference case, with the output and the gradients of our model."""
    case, variant = weights.load_case("vitaclip"), request.param
    drawn, options = draw(case, variant)
    config = VitaCLIPConfig(**clip_sizes(case), **options)
    model = VitaCLIP(config).train()
    model.load_state_dict(convert_vitaclip(drawn, config))
    ids = case["expected"]["input_ids"].long()
    model.set_class_tokens(torch.cat((ids[:, :1], ids[:, 1 + config.num_text_vectors :]), dim=1))  # no placeholders
    video = weights.make_video(case)
    output = model(video)
    loss = cross_entropy(output.logits, torch.tensor(case["labels"]))
    loss.backward()
    return SimpleNamespace(**locals(), expected=case["expected"])


def make(folder, **options):
    torch.manual_seed(0)
    model = VitaCLIP.from_pretrained(folder, num_frames=4, **options)
    model.set_class_names(CLASS_NAMES)
    return model


@pytest.fixture
def model(tiny_clip_folder):
    return make(tiny_clip_folder)


def test_outputs_match(run):
    actual = {
        "logits": run.output.logits,
        "loss": run.loss,
        "video_embeds": run.output.video_embeds,
        "text_embeds": normalize(run.output.text_embeds, dim=-1),
    }
    for name, value in actual.items():
        assert relative_error(value, run.expected[f"{name}/{run.variant}"]) < 1e-4, name
    torch.testing.assert_close(run.model.embed_videos(run.video), run.output.video_embeds)
    torch.testing.assert_close(run.model.embed_classes(), run.output.text_embeds)


def test_gradients_match(run):
    prefix, parameters = f"grad_norm/{run.variant}/", dict(run.model.named_parameters())
    expected = {name.removeprefix(prefix): norm for name, norm in run.expected.items() if name.startswith(prefix)}
    found = {}
    for name in expected:
        (ours,) = split_names({name: run.drawn[name]}, NAMES, CLIP_PREFIX)[0]
        stacked = sorted(each for each in parameters if each.endswith(f".prompts.{ours}"))  # one of each layer
        found[name] = [parameters[each].grad for each in stacked or [ours]]
    assert_gradient_norms(expected, found)
    trained = {name for name, parameter in parameters.items() if parameter.grad is not None}
    assert len(trained) == sum(map(len, found.values()))
    assert not any(".cls_proj." in name for name in trained)


def test_parameters_are_as_many_as_published():
    clip = backbone_options("openai/clip-vit-base-patch16")
    with torch.device("meta"):
        model = VitaCLIP(VitaCLIPConfig(**clip, trained_classes=[str(number) for number in range(400)]))
    sizes = {name: (p.numel(), p.requires_grad) for name, p in model.named_parameters()}
    count = lambda part: sum(size for name, (size, _) in sizes.items() if part in name) / 1e6  # noqa: E731
    assert count("") - count("token_embedding") == pytest.approx(161.65, abs=0.005)
    assert sum(size for size, is_trained in sizes.values() if is_trained) / 1e6 == pytest.approx(30.2, abs=0.05)
    found = [count(part) for part in ("summary", "text_vectors", "local_prompts", "global_prompts", "cls_proj")]
    assert found == pytest.approx([28.4, 1.64, 0.147, 0.074, 7.1], abs=0.04)


@pytest.mark.parametrize("trained", [None, [str(number) for number in range(400)]])
def test_it_costs_as_much_as_published(trained):
    clip = backbone_options("openai/clip-vit-base-patch16")
    cost = count_cost(VitaCLIPConfig(**clip, trained_classes=trained))
    frames, tokens, shared, width = 16, 197, 16 + 8, 768
    square, keys = width**2, tokens + 1 + shared  # one summary token

    def layer(queries):  # query and output, key and value, attention, MLP; shared keys, cls_proj and summary
        of_frame = (2 * queries + 2 * (tokens + 1) + 8 * queries) * square + 2 * queries * keys * width
        return frames * (of_frame + 5 * square + 2 * frames * width) + 2 * shared * square

    # Table 6 has 304 G: there, added tokens have queries and MLPs, and the last layer has those of its patches.
    ends = frames * (196 * square + 512 * width)
    assert cost.vision == pytest.approx(11 * layer(tokens) + layer(1) + ends, rel=1e-6)
    assert cost.text / 1e9 == pytest.approx(2.98, abs=0.01)
    assert cost.parameters / 1e6 == pytest.approx(161.65 if trained else 160.01, abs=0.01)


def test_it_starts_from_the_random_values_of_the_authors(model):
    prompts, width = model.vision_model.encoder.layers[1].prompts, model.config.vision_config.hidden_size
    bound = (6 / (3 * model.config.vision_config.patch_size**2 + width)) ** 0.5
    for table in (prompts.local_prompts, prompts.global_prompts):
        assert table.abs().max().item() == pytest.approx(bound, rel=0.05)
    assert model.text_vectors.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.vision_model.embeddings.time_embedding.std().item() == pytest.approx(0.02, rel=0.15)
    assert prompts.cls_proj.weight.abs().max().item() == pytest.approx(width**-0.5, rel=0.01)
    assert prompts.summary_attn.q_proj.weight.abs().max().item() == pytest.approx((3 / width) ** 0.5, rel=0.01)
    assert prompts.summary_attn.q_proj.bias.eq(0).all() and prompts.summary_norm.weight.eq(1).all()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("train_cls_proj", [False, True])
def test_a_step_trains_what_is_new_and_the_temperature(tiny_clip_folder, tiny_video, precision, train_cls_proj):
    model = make(tiny_clip_folder, train_cls_proj=train_cls_proj)
    changed = names_that_two_steps_change(model, tiny_video, precision)
    untrained = {name for name in model.state_dict() if ".cls_proj." in name and not train_cls_proj}
    assert changed == (model.new_parameter_names() | {"logit_scale"}) - untrained


def scores(model, class_names, video):
    model.set_class_names(class_names)
    with torch.no_grad():
        return model(video.float()).logits


def test_saved_and_loaded_it_is_the_same(model, tiny_video, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    loaded = VitaCLIP.from_pretrained(tmp_path / "saved")
    assert loaded.config.trained_classes == CLASS_NAMES
    weights = loaded.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    # Equal up to rounding: where weights lie in memory may change the order of a sum.
    torch.testing.assert_close(scores(loaded, CLASS_NAMES, tiny_video), scores(model, CLASS_NAMES, tiny_video))
    trained = {name for name, p in loaded.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in model.named_parameters() if p.requires_grad}
    with pytest.raises(ValueError, match=r"made for 4 frames, not 8: set data\.num_frames to 4"):
        VitaCLIP.from_pretrained(tmp_path / "saved", num_frames=8)


def test_trained_classes_keep_their_vectors_in_any_order_and_choice(model, tiny_video):
    all_three = scores(model, CLASS_NAMES, tiny_video)
    torch.testing.assert_close(scores(model, CLASS_NAMES[:0:-1], tiny_video), all_three[:, [2, 1]])
    assert model.text_vectors.shape[0] == 3


def test_unseen_classes_are_scored_by_clip_on_their_bare_names(model, tiny_clip_folder, tiny_video, caplog):
    names = ["cartwheel", "ride bike"]
    unseen = scores(model, names, tiny_video)
    assert "no text vectors for 1 of these 2 classes ('ride bike' for one)" in caplog.text
    clip = BackboneModel.from_pretrained(tiny_clip_folder).eval()
    with torch.no_grad():
        tokens = model.tokenizer(names, padding=True, return_tensors="pt")
        text = normalize(clip.text_projection(clip.text_model(**tokens).pooler_output), dim=-1)
        video = model.embed_videos(tiny_video.float())
    torch.testing.assert_close(unseen, clip.logit_scale.exp() * video @ text.T, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"other classes than those of the training.*text_vectors shared"):
        model.train()(tiny_video.float())


def test_shared_vectors_serve_unseen_classes(tiny_clip_folder, tiny_video, caplog):
    model = make(tiny_clip_folder, text_vectors="shared")
    before = scores(model, ["ride bike", "cartwheel"], tiny_video)
    torch.nn.init.normal_(model.text_vectors)
    model.clear_class_cache()
    assert not torch.allclose(scores(model, ["ride bike", "cartwheel"], tiny_video), before)
    assert model.text_vectors.shape == (8, 64) and not caplog.text


def test_a_name_that_does_not_fit_changes_nothing(model, tiny_video):
    before = scores(model, CLASS_NAMES, tiny_video)
    with pytest.raises(ValueError, match="shorten it"):
        model.set_class_names(["cartwheel", "q" * 90])
    with torch.no_grad():
        assert torch.equal(model(tiny_video.float()).logits, before)


def test_other_inputs_are_refused(model):
    with pytest.raises(ValueError, match="made for 4 frames, not 8"):
        model(torch.zeros(1, 8, 3, 32, 32))
    with pytest.raises(ValueError, match=r"takes videos of shape \(B, T, 3, 32, 32\)"):
        model(torch.zeros(1, 4, 3, 48, 48))
    with pytest.raises(ValueError, match="text vectors for 3 classes, not 2: use set_class_names"):
        model.set_class_tokens(model.class_input_ids[:2])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_frames": 0}, "num_frames is 0: give a whole number of at least 1"),
        ({"num_global_prompts": -1}, "num_global_prompts is -1"),
        ({"num_text_vectors": 0}, "num_text_vectors is 0"),
        ({"num_text_vectors": 74}, "leaves no room for a class name in the text encoder's 77 tokens"),
        ({"text_vectors": "all"}, "text_vectors is 'all': choose per_class or shared"),
        ({"train_cls_proj": True, "local_prompts": False, "summary": False}, "train_cls_proj would be ignored"),
        ({"text_vectors": "shared", "trained_classes": ["run"]}, "trained_classes would be ignored"),
    ],
)
def test_choices_that_make_no_model_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        VitaCLIPConfig(**options)


def test_other_checkpoints_are_refused(run):
    ignored = {"prompt_learner.token_prefix": torch.zeros(1), "prompt_learner.token_suffix": torch.zeros(1)}
    assert convert_vitaclip({**run.drawn, **ignored}, run.config).keys() == run.model.state_dict().keys()
    with pytest.raises(ValueError, match=r"1 unknown weight \('head.weight'\): pass a published Vita-CLIP checkpoint"):
        convert_vitaclip({**run.drawn, "head.weight": torch.zeros(1)}, run.config)
    without = {name: value for name, value in run.drawn.items() if name != "visual.time_embed"}
    with pytest.raises(ValueError, match=r"lacks 1 needed weight \('vision_model.embeddings.time_embedding'\)"):
        convert_vitaclip(without, run.config)
