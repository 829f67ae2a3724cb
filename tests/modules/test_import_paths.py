"""Choices of one's own: registered under a name, or given by their import path."""

import subprocess
import sys

import pytest
import torch

from tc_clip_pl import TCCLIP, TCCLIPConfig
from tc_clip_pl.ops.aggregation import AGGREGATORS
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS
from tc_clip_pl.registry import Registry, describe_readers, find_read_options

CHOICES = """
from tc_clip_pl.modules.text_prompting import Learnable
from tc_clip_pl.ops import aggregation, frame_pooling, prompting_tokens, reference_tokens

def last_patches(attention, num_seeds, training):
    return attention.cls_attention().mean(2).argsort(-1)[..., :num_seeds]

@aggregation.AGGREGATORS.register("own_pairs")
def pairs(seeds, num_context_tokens, merges_per_round):
    count = seeds.tokens.shape[1] // 2
    groups = aggregation.AGGREGATORS["none"](seeds, 0, 0).groups
    return aggregation.Grouping(groups % count, count)

def first_frame(num_frames, num_tokens):
    return reference_tokens.cls_tokens(num_frames, num_tokens)[:, :1]

def patches(hidden_states, context_tokens):
    return hidden_states[:, :, 1:].flatten(1, 2)

def best_frame(frame_embeds, text_embeds, logit_scale):
    cosines = [frame_pooling.FRAME_POOLINGS["mean_cosine"](f, text_embeds, logit_scale)
               for f in frame_embeds.split(1, dim=1)]
    return cosines[0].maximum(cosines[-1])

class Doubled(Learnable):
    @staticmethod
    def condition(text, classes, vision_tokens):
        return 2 * classes

number = 3
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of an importable package `own_package` with a module `choices`."""
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").touch()
    (tmp_path / "own_package" / "choices.py").write_text(CHOICES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(AGGREGATORS, "_functions", dict(AGGREGATORS._functions))
    monkeypatch.setattr(AGGREGATORS, "_reads", dict(AGGREGATORS._reads))
    yield tmp_path
    for name in ("own_package", "own_package.choices"):
        sys.modules.pop(name, None)


OWN = {
    "seed_selection": "last_patches",
    "aggregation": "pairs",
    "reference_tokens": "first_frame",
    "prompting_tokens": "patches",
    "prompting": "Doubled",
    "frame_pooling": "best_frame",
}


def make(folder, option, **options):
    if option == "reference_tokens":
        options = {"prompting_tokens": "cls", **options}
    elif option != "aggregation":
        options = {"num_context_tokens": 6, **options}
    choice = {option: f"own_package.choices.{OWN[option]}"}
    torch.manual_seed(0)
    model = TCCLIP.from_pretrained(folder, num_frames=4, **choice, **options)
    model.set_class_names(["brush hair", "cartwheel"])
    return model


@pytest.mark.parametrize("option", OWN)
def test_import_path_trains(package, tiny_clip_folder, tiny_video, option):
    model = make(tiny_clip_folder, option).train()
    output = model(tiny_video.float())
    output.logits.logsumexp(-1).sum().backward()
    assert output.logits.shape == (2, 2) and model.visual_projection.weight.grad.isfinite().all()


def test_imported_functions_decide(package, tiny_clip_folder, tiny_video):
    video = tiny_video.float()
    assert make(tiny_clip_folder, "aggregation")(video).context_tokens.shape[1] == 4 * 4 // 2  # of 4 x 4 seeds
    weights = make(tiny_clip_folder, "reference_tokens")(video, return_attentions=True).attentions
    assert [layer.shape[-1] for layer in weights] == [17, 18, 18]
    doubled = make(tiny_clip_folder, "prompting")
    assert torch.equal(doubled(video).text_embeds, 2 * doubled.encode_classes())
    tokens = doubled.config, make(tiny_clip_folder, "prompting_tokens").config
    assert [config.reads_last_patches for config in tokens] == [False, True]


def test_reads_what_the_same_function_is_registered_with(package):
    assert AGGREGATORS.reads("own_package.choices.pairs") == AGGREGATORS.reads("own_pairs") == frozenset()
    assert AGGREGATORS.reads("tc_clip_pl.ops.aggregation.bipartite.bipartite") == AGGREGATORS.reads("bipartite")


def test_unregistered_function_may_read_every_option(package):
    assert SEED_SELECTORS.reads("own_package.choices.last_patches") == {"seed_ratio"}
    TCCLIPConfig(seed_selection="own_package.choices.last_patches", seed_ratio=0.5)
    with pytest.raises(ValueError, match="num_context_tokens=5 would be ignored"):
        TCCLIPConfig(aggregation="own_package.choices.pairs", num_context_tokens=5)


@pytest.mark.parametrize("option", [pytest.param("seed_selection", marks=pytest.mark.slow), "prompting"])
def test_saved_model_loads_in_a_fresh_process(package, tiny_clip_folder, tiny_video, option):
    model = make(tiny_clip_folder, option)
    model.save_pretrained(package / "saved")
    torch.save(tiny_video.float(), package / "video.pt")
    code = (
        "import sys, torch; torch.set_num_threads(1); from tc_clip_pl import TCCLIP\n"
        "model = TCCLIP.from_pretrained('saved'); model.set_class_names(['brush hair', 'cartwheel'])\n"
        "torch.save(model(torch.load('video.pt')).logits.detach(), 'logits.pt')"
    )
    path = [str(package), *filter(None, sys.path)]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"]
    subprocess.run(command, cwd=package, check=True, capture_output=True, text=True)
    assert torch.equal(torch.load(package / "logits.pt"), model(tiny_video.float()).logits.detach())


@pytest.mark.parametrize(
    "value, message",
    [
        ("no_package.choices.f", "no_package.choices cannot be imported .No module named 'no_package'.: install it"),
        ("own_package.typo.f", "own_package.typo cannot be imported"),
        ("own_package.choices.typo", "the module own_package.choices has no 'typo': correct the name"),
        ("own_package.choices.number", "that is not callable: give the path of a function or a class"),
        (".choices.f", "an import path has the form package.module.name"),
        ("own_package..f", "an import path has the form package.module.name"),
        ("own_package", "choose one of averaged_cls_attention, .* or give the import path of your own"),
    ],
)
def test_raises_on_a_wrong_path(package, value, message):
    with pytest.raises(ValueError, match=f"^seed_selection is '{value}'.*{message}"):
        TCCLIPConfig(seed_selection=value)


def test_raises_on_registering_a_name_twice():
    registry = Registry("color")
    registry.register("red")(len)
    with pytest.raises(KeyError, match="registered twice"):
        registry.register("red")


def test_raises_on_registering_a_name_with_a_dot():
    with pytest.raises(ValueError, match=r"'dark\.red' cannot be registered"):
        Registry("color").register("dark.red")


def test_one_function_under_two_names_reads_what_each_name_says():
    registry = Registry("color")
    registry.register("red", reads=("shade",))(len)
    registry.register("blue")(len)
    assert registry.reads("red") == {"shade"} and registry.reads("blue") == frozenset()
    assert registry.reads("builtins.len") == {"shade"}


def test_read_options_follow_the_choices():
    shape, color = Registry("shape"), Registry("color")
    shape.register("circle", reads=("color",))(len)
    color.register("red", reads=("shade",))(len)
    color.register("blue")(abs)
    registries = {"shape": shape, "color": color}
    assert find_read_options(registries, {"shape": "circle", "color": "red"}, ["shape"]) == {"shape", "color", "shade"}
    assert find_read_options(registries, {"shape": "circle", "color": "blue"}, ["shape"]) == {"shape", "color"}
    assert describe_readers(registries, "shade") == "color red"
