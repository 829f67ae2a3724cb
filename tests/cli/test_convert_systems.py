"""`tcclip convert` on published checkpoints of the compared systems: the folder gives the authors' own outputs."""

import copy
import functools
import json

import pytest
import torch

from tc_clip_pl.cli import main
from tc_clip_pl.inference.model_source import load_source
from tc_clip_pl.modules.backbone.interface import BackboneConfig, BackboneModel, token_embedding
from tc_clip_pl.modules.loading import load_tokenizer
from tests.baselines import published_files

from .conftest import sentence

WINDOW = "a CLIP that attends to neighboring frames"
FINE_TUNED = {**dict.fromkeys(("vificlip", "maxi"), "a frame-wise CLIP"), "openvclip": WINDOW, "froster": WINDOW}
"""How the model card calls what has CLIP's weights only."""


def save_clip(published, folder):
    clip = BackboneModel(BackboneConfig(**published.clip))
    if published.token_embedding is not None:
        token_embedding(clip.text_model).weight.data = published.token_embedding
    clip.save_pretrained(folder)
    load_tokenizer("world").save_pretrained(folder)


@pytest.fixture(scope="module")
def publish(tmp_path_factory):
    """Return a published file by name, which a test may change, and the folder of its CLIP; both are made once."""

    @functools.cache
    def make(name):
        published = (published_files.NAMED | published_files.RECOGNIZED)[name]()
        folder = tmp_path_factory.mktemp(name)
        save_clip(published, folder)
        return published, folder

    def publish(name):
        made, folder = make(name)
        published = copy.copy(made)
        published.content, published.options, published.folder = dict(made.content), dict(made.options), folder
        return published

    return publish


@pytest.fixture
def convert(tmp_path, capsys):
    """Write a published file, convert it, and return exit code, stdout and stderr."""

    def run(published, *argv):
        torch.save(published.content, tmp_path / "published.pth")
        paths = (str(tmp_path / "published.pth"), str(tmp_path / "out"), "--clip", str(published.folder))
        code = main(["convert", *paths, *argv])
        return code, *capsys.readouterr()

    return run


def flags(name, published):
    if name in published_files.RECOGNIZED:
        return [f"--{option}={value}" for option, value in published.options.items()]
    return ["--system", name, "--options", json.dumps(published.options)]


@pytest.mark.parametrize("name", [*published_files.NAMED, *published_files.RECOGNIZED])
def test_a_published_file_becomes_a_folder_with_its_outputs(name, publish, convert, tmp_path):
    published = publish(name)
    code, _, err = convert(published, *flags(name, published))
    assert code == 0, err
    model, clips = load_source(tmp_path / "out")
    model.set_class_tokens(published.class_ids)
    with torch.no_grad():
        logits = model(published.video).logits
    found = logits.softmax(-1) if name == "actionclip" else logits
    assert ((found - published.expected).norm() / published.expected.norm()).item() < 1e-4
    assert clips.num_frames == published.case["frames"]
    method = FINE_TUNED.get(name, model.title)
    assert f"# Video action recognition with {method}\n" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("name", published_files.NAMED)
def test_what_does_not_fit_is_said(name, publish, convert, tmp_path):
    published = publish(name)
    holder = next(iter(published.content))
    weights = published.content[holder]
    without_scale = {key: value for key, value in weights.items() if not key.endswith("logit_scale")}
    for wrong, message in (
        ({**weights, "adapter": torch.zeros(1)}, "The checkpoint has 1 unknown weight ('adapter'): pass a published"),
        (without_scale, "The checkpoint lacks 1 needed weight ('logit_scale'): pass a whole"),
        ([1, 2], f"The checkpoint has no weights by name under {holder!r}"),
    ):
        published.content[holder] = wrong
        assert message in sentence(convert(published, *flags(name, published)))
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name, system", zip(published_files.NAMED, [*[*published_files.NAMED][1:], "xclip"], strict=True)
)
def test_a_file_of_another_system_is_said(name, system, publish, convert, tmp_path):
    said = sentence(convert(publish(name), "--system", system))
    assert "unknown weight" in said or "under 'model_state_dict', only state_dict:" in said, said
    assert not (tmp_path / "out").exists()


def test_vectors_per_class_ask_for_the_classes(publish, convert):
    published = publish("vitaclip")
    del published.options["trained_classes"]
    said = sentence(convert(published, *flags("vitaclip", published)))
    assert said.endswith("text vectors of 5 classes: name them in their order by the option trained_classes.")


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
def test_wrong_options_are_named(publish, convert, options, message):
    assert message in sentence(convert(publish("xclip"), "--system", "xclip", *options))
