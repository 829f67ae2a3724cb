"""`tcclip convert --system`: published checkpoints of the compared systems."""

import json

import pytest
import torch

from tc_clip_pl.cli import main
from tc_clip_pl.modules.backbone.interface import BackboneConfig, BackboneModel
from tc_clip_pl.modules.loading import load_tokenizer
from tc_clip_pl.modules.systems import find_system
from tests.baselines.reference import clip_sizes, load_weights_module

weights = load_weights_module("xclip_etc_weights")


def published(system):
    """A file of a system as its authors write it, the options that it does not tell, and what its model scores."""
    case = weights.load_case(system)
    drawn, options = weights.make_state_dict(case), {"num_frames": case["frames"]}
    if system == "xclip":
        return {"model": drawn}, options, "logits"
    if system == "a5":
        options |= {"num_prefix_vectors": 16, "num_postfix_vectors": 16, "num_temporal_layers": case["temporal_layers"]}
        return {"state_dict": drawn}, options, "logits/temporal"
    clip, head = "model_state_dict/", "fusion_model_state_dict/Transf/"
    parts = {
        part.split("/")[0]: {name.removeprefix(part): v for name, v in drawn.items() if name.startswith(part)}
        for part in (clip, head)
    }
    return parts, {**options, "head": "Transf"}, "probabilities/Transf"


@pytest.fixture
def convert(tmp_path, capsys):
    def run(system, content, options, *further):
        sizes = {name: value for name, value in clip_sizes(weights.load_case(system)).items() if name != "num_frames"}
        BackboneModel(BackboneConfig(**sizes)).save_pretrained(tmp_path / "clip")
        load_tokenizer("world").save_pretrained(tmp_path / "clip")
        torch.save(content, tmp_path / "published.pth")
        argv = [str(tmp_path / "published.pth"), str(tmp_path / "out"), "--clip", str(tmp_path / "clip")]
        code = main(["convert", *argv, "--system", system, "--options", json.dumps(options), *further])
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("system", ["xclip", "a5", "actionclip"])
def test_a_published_file_becomes_a_folder_with_its_outputs(system, convert, tmp_path):
    content, options, scores = published(system)
    code, err = convert(system, content, options)
    assert code == 0, err
    case, model = weights.load_case(system), find_system(system).from_pretrained(tmp_path / "out")
    ids = case["expected"]["input_ids"].long()
    model.set_class_tokens(ids.unflatten(0, (len(model.class_text), -1)) if model.has_several_texts else ids)
    with torch.no_grad():
        logits = model(weights.make_video(case)).logits
    found = logits.softmax(-1) if scores.startswith("probabilities") else logits
    torch.testing.assert_close(found, case["expected"][scores], rtol=1e-4, atol=1e-4)
    assert model.title in (tmp_path / "out" / "README.md").read_text()


def test_what_does_not_fit_is_said(convert, tmp_path):
    content, options, _ = published("xclip")
    drawn = content["model"]
    for name, wrong in {"unknown": {**drawn, "prompt": torch.zeros(1)}, "lacks": dict(list(drawn.items())[1:])}.items():
        code, err = convert("xclip", {"model": wrong}, options)
        assert code == 1 and name in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--system", "xclipp"], "--system is 'xclipp': choose one of a5, actionclip"),
        (["--num_frames", "4"], "--num_frames is an option of TC-CLIP; give those of xclip by --options"),
        (["--options", "{"], "--options is no JSON"),
        (["--options", "[4]"], "give names and values"),
        (["--options", '{"frames": 4}'], "has no option frames"),
    ],
)
def test_wrong_options_are_named(convert, options, message):
    code, err = convert("xclip", {"model": {}}, {}, *options)
    assert code == 1 and message in err
