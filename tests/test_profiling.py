"""Counted costs match sums written by hand and the paper's tables."""

import functools

import pytest
from transformers import CLIPTextConfig, CLIPVisionConfig

from tc_clip_pl import TCCLIPConfig
from tc_clip_pl.baselines.vifi_prompt.config import ViFiPromptConfig
from tc_clip_pl.baselines.vifi_prompt.model import ViFiPrompt
from tc_clip_pl.modules.backbone.interface import backbone_options
from tc_clip_pl.modules.systems import SYSTEMS, find_system
from tc_clip_pl.ops.aggregation.bipartite import merge_schedule
from tc_clip_pl.profiling import count_cost, count_total

FRAME_WISE = {"reference_tokens": "none", "prompting": "template"}
# Options, parameters in millions, multiply-adds in billions (Table 6).
TABLE_6 = [(FRAME_WISE, 124.3, 285), ({}, 127.5, 304), ({"tc_layers": (4, 8, 12)}, 127.5, 291)]


def vit_b16(num_vision_layers=12, **options):
    vision = CLIPVisionConfig(patch_size=16, num_hidden_layers=num_vision_layers)
    return TCCLIPConfig(vision_config=vision, text_config=CLIPTextConfig(), **options)


def test_imported_prompting_tokens_are_counted_as_they_are(monkeypatch, tmp_path):
    own = "def all_patches(states, context):\n    return states[:, :, 1:].flatten(1, 2)\n"
    (tmp_path / "own_tokens.py").write_text(own)
    monkeypatch.syspath_prepend(str(tmp_path))

    def prompting(name):
        config = vit_b16(num_frames=4, num_context_tokens=5, prompting_tokens=name, num_vision_layers=2)
        config.text_config.num_hidden_layers = 2
        return count_cost(config).prompting

    per_token = 2 * 512 * 512 + 2 * 4 * 512  # key and value; its score and share for each of 4 prompt vectors
    assert prompting("own_tokens.all_patches") - prompting("cls") == (4 * 196 - 4) * per_token
    assert prompting("context") - prompting("cls") == (5 - 4) * per_token


@pytest.fixture(scope="module")
def costs():
    """Count each configuration once: B/16 takes a second."""
    return functools.cache(lambda options: count_cost(vit_b16(**dict(options))))


def plain_layer(num_queries, num_keys, width):
    """One transformer layer: four projections, scores and values, and an MLP four times as wide."""
    return 12 * num_queries * width**2 + 2 * num_queries * num_keys * width


def hand_written_vision(layers_with_context):
    """Sec. 2.3 summed by hand for B/16 with 16 frames, 96 context tokens and 58 seeds per frame."""
    tokens, width, frames, context, seeds = 197, 768, 16, 96, 16 * 58
    total = frames * 196 * 3 * 16 * 16 * width + frames * width * 512
    for layer in range(1, 13):
        total += frames * plain_layer(tokens, tokens, width)
        attends, makes = layer in layers_with_context, layer + 1 in layers_with_context or layer == 12
        if layers_with_context and attends:
            total += 2 * context * width**2  # keys and values of the context tokens
            total += 2 * frames * tokens * context * width  # their scores and values
        if layers_with_context and makes:
            total += frames * tokens * width  # the [CLS] row of the attention, over the frame's keys
            total += frames * context * width if attends else 0  # and over the context keys
            left = seeds
            for merges in merge_schedule(seeds, context, 100):
                total += -(-left // 2) * (left // 2) * width  # the scores of one round of bipartite matching
                left -= merges
            total += context * seeds * width  # averaging the groups
            total += 8 * context * width**2  # the MLP on the context tokens
    return total


@pytest.mark.parametrize("options, parameters, multiply_adds", TABLE_6)
def test_counts_match_table_6(costs, options, parameters, multiply_adds):
    cost = costs(tuple(options.items()))
    assert cost.parameters / 1e6 == pytest.approx(parameters, abs=0.05)
    assert cost.total / 1e9 == pytest.approx(multiply_adds, rel=0.01)
    layers = [] if options == FRAME_WISE else options.get("tc_layers", range(2, 13))
    assert cost.vision == hand_written_vision(set(layers))
    assert cost.text == 12 * plain_layer(77, 77, 512) + 512 * 512
    # `executed` is less: the last vision layer runs its MLP on [CLS] only, and of its patches only seeds attend.
    # The last text layer runs on the EOS query only.
    saved = 16 * 196 * 8 * 768**2
    unread, keys = (196 - 58, 197 + 96) if layers else (196, 197)
    saved += 16 * unread * (2 * 768**2 + 2 * keys * 768)  # projections of queries and outputs; scores and values
    assert cost.total - cost.executed == pytest.approx(saved, rel=0.01)


def test_prompting_matches_table_14(costs):
    block = 4 * 512**2 * 2 + 2 * 96 * 512**2 + 2 * 4 * 96 * 512 + 8 * 4 * 512**2  # q, out; k, v; scores, values; MLP
    cost = costs(())
    assert cost.prompting == block
    assert round(cost.prompting / 1e9, 2) == 0.06


OPEN_VCLIP = {"reference_tokens": "window", "prompting": "template_ensemble", "class_templates": ["{}"]}
# System, parameters in millions, multiply-adds in billions (Table 6), and options of its row.
OTHERS = [
    ("xclip", 169.7, 288, {}),
    ("actionclip", 143.7, 567, {"num_frames": 32}),
    ("tc_clip", 124.3, 308, OPEN_VCLIP),  # with one of its texts: the others would only be executed, not counted
    ("ost", 124.3, 285, {}),  # ViFi-CLIP's encoders
]


@pytest.mark.parametrize(("system", "parameters", "multiply_adds", "options"), OTHERS)
def test_other_systems_match_table_6(system, parameters, multiply_adds, options):
    config = find_system(system).config_class(**backbone_options("openai/clip-vit-base-patch16"), **options)
    cost = count_cost(config)
    assert cost.parameters / 1e6 == pytest.approx(parameters, rel=0.005)
    assert cost.total / 1e9 == pytest.approx(multiply_adds, rel=0.01)
    assert cost.text == 12 * plain_layer(77, 77, 512) + 512 * 512  # one text, of however many


def test_vita_clip_is_counted_with_the_vectors_of_its_classes():
    config = find_system("vitaclip").config_class(
        **backbone_options("openai/clip-vit-base-patch16"), trained_classes=[str(n) for n in range(400)]
    )
    assert count_cost(config).parameters / 1e6 == pytest.approx(161.8, abs=0.2)
    assert len(config.trained_classes) == 400


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_is_counted(system):
    config = find_system(system).config_class(**backbone_options("openai/clip-vit-base-patch32"), num_frames=8)
    for encoder in (config.vision_config, config.text_config):
        encoder.num_hidden_layers = 3
    before = config.to_dict()
    cost = count_cost(config)
    assert 0 < cost.text < cost.vision <= cost.total and config.to_dict() == before
    assert count_total(config) == cost.total


class ReadsValues(ViFiPrompt):
    title = "Mine"

    def forward(self, video):
        return super().forward(video * 2 if video.mean() > 0 else video)


def test_a_forward_pass_that_reads_values_is_an_error():
    with pytest.raises(ValueError, match="Mine cannot be counted without values"):
        count_cost(ViFiPromptConfig(**backbone_options("openai/clip-vit-base-patch32")), ReadsValues)
