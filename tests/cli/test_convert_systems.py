"""`tcclip convert --system`: published checkpoints of the compared systems."""

import pytest
import torch

from tc_clip_pl.cli import main
from tc_clip_pl.modules.backbone.interface import BackboneConfig, BackboneModel
from tc_clip_pl.modules.loading import load_tokenizer
from tc_clip_pl.modules.systems import find_system
from tests.baselines.reference import clip_sizes, load_weights_module

weights = load_weights_module("xclip_etc_weights")


@pytest.fixture(scope="module")
def case():
    return weights.load_case("xclip")


@pytest.fixture(scope="module")
def clip(case, tmp_path_factory):
    """A CLIP of the sizes of the case, with some tokenizer."""
    folder = tmp_path_factory.mktemp("clip")
    sizes = {name: value for name, value in clip_sizes(case).items() if name != "num_frames"}
    BackboneModel(BackboneConfig(**sizes)).save_pretrained(folder)
    load_tokenizer("world").save_pretrained(folder)
    return str(folder)


@pytest.fixture
def convert(case, clip, tmp_path, capsys):
    def run(published, *options, options_json=f'{{"num_frames": {case["frames"]}}}'):
        torch.save({"model": published}, tmp_path / "published.pth")
        argv = [str(tmp_path / "published.pth"), str(tmp_path / "out"), "--clip", clip, "--system", "xclip"]
        code = main(["convert", *argv, *([f"--options={options_json}"] if options_json else []), *options])
        return code, capsys.readouterr().err

    return run


def test_a_published_xclip_becomes_a_folder_with_its_outputs(case, convert, tmp_path):
    assert convert(weights.make_state_dict(case))[0] == 0
    model = find_system("xclip").from_pretrained(tmp_path / "out")
    model.set_class_tokens(case["expected"]["input_ids"].long())
    with torch.no_grad():
        logits = model(weights.make_video(case)).logits
    torch.testing.assert_close(logits, case["expected"]["logits"], rtol=1e-4, atol=1e-4)
    assert "X-CLIP" in (tmp_path / "out" / "README.md").read_text()


def test_what_does_not_fit_is_said(case, convert, tmp_path):
    published = weights.make_state_dict(case)
    for name, wrong in {
        "unknown": {**published, "prompt": torch.zeros(1)},
        "lacks": dict(list(published.items())[1:]),
    }.items():
        code, err = convert(wrong)
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
    code, err = convert({}, *options)
    assert code == 1 and message in err
