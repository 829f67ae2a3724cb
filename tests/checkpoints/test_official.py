"""Published checkpoints: every weight is converted, and no code of other libraries runs."""

import os
import subprocess
import sys
import types
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from transformers import CLIPTextConfig, CLIPVisionConfig

from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.official import convert_state_dict, load_official_checkpoint, load_official_state_dict
from tc_clip_pl.modules.config import TCCLIPConfig

OPTIONS = {"num_frames": 4, "seed_ratio": 0.5, "num_context_tokens": 5, "merges_per_round": 3}
LAYERS = 2


def tiny_tc_clip():
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": LAYERS, "num_attention_heads": 1}
    config = TCCLIPConfig(
        vision_config=CLIPVisionConfig(**sizes, projection_dim=64, image_size=32, patch_size=8),
        text_config=CLIPTextConfig(
            **sizes, projection_dim=64, vocab_size=30, max_position_embeddings=20, eos_token_id=29
        ),
        projection_dim=64,
        **OPTIONS,
    )
    torch.manual_seed(0)
    return TCCLIP(config).eval()


@pytest.fixture(scope="module")
def published(publish):
    """A model, and its weights under published names and layouts."""
    model = tiny_tc_clip()
    return model, publish(model)


def embeddings(model):
    return model.text_model.embeddings.token_embedding.weight.detach()


def test_every_weight_is_converted(published):
    model, state = published
    loaded = load_official_state_dict(state, **OPTIONS, token_embedding=embeddings(model)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_raises_without_token_embedding(published):
    with pytest.raises(ValueError, match="token_embedding"):
        load_official_state_dict(published[1], **OPTIONS)


def test_raises_on_unknown_weight(published):
    with pytest.raises(ValueError, match=r"'image_encoder\.adapter'"):
        convert_state_dict({**published[1], "module.image_encoder.adapter": torch.zeros(1)})


def test_raises_on_missing_weight(published):
    model, state = published
    state = {name: value for name, value in state.items() if "ln_1_kv" not in name}
    with pytest.raises(ValueError, match="layer_norm_context"):
        load_official_state_dict(state, **OPTIONS, token_embedding=embeddings(model))


def load_saved(published, folder, **entries):
    """Load a file with the published weights and other entries beside them, as training scripts save them."""
    model, state = published
    torch.save({"model": state, "epoch": 3, "max_accuracy": 71.2, **entries}, folder / "best.pth")
    return load_official_checkpoint(folder / "best.pth", **OPTIONS, token_embedding=embeddings(model))


def run_config():
    """A configuration as Hydra composes it: nested, with lists, interpolations and a defaultdict in its metadata."""
    config = OmegaConf.create(
        {
            "lr": 8e-6,
            "base": {"seed": [1, 2, {"x": None}], "output": Path("out")},
            "rate": "${lr}",
            "now": "${oc.env:HOME}",
        }
    )
    OmegaConf.set_struct(config, True)
    assert isinstance(config._metadata.resolver_cache, defaultdict)
    config._metadata.resolver_cache["oc.env"]["HOME"] = "/root"  # as a resolver with a cache leaves it
    return config


def test_loads_a_file_with_the_configuration_of_its_run(published, tmp_path):
    parameters = [torch.nn.Parameter(torch.ones(2))]
    optimizer = torch.optim.AdamW(parameters)
    parameters[0].sum().backward()
    optimizer.step()
    entries = {
        "config": run_config(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [3]).state_dict(),
        "scaler": {"scale": 65536.0, "_growth_tracker": 7},
        "losses": defaultdict(list, {"train": [0.5]}),
    }
    loaded = load_saved(published, tmp_path, **entries)
    for name, value in published[0].state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_file_is_read_where_omegaconf_is_not_installed(published, tmp_path, monkeypatch):
    config = run_config()

    def load(path, **options):
        for name in [name for name in sys.modules if name.split(".")[0] == "omegaconf"]:
            monkeypatch.setitem(sys.modules, name, None)  # an import of it would raise
        assert options["weights_only"] is True
        return original(path, **options)

    original = torch.load
    monkeypatch.setattr(torch, "load", load)
    load_saved(published, tmp_path, config=config)


class Malicious:
    """Its pickle calls ``function(*arguments)`` on loading."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [eval, exec, subprocess.getoutput])
def test_malicious_configuration_runs_nothing(published, tmp_path, function):
    victim = tmp_path / "written"
    code = f"touch {victim}" if function is subprocess.getoutput else f"open({str(victim)!r}, 'w')"
    config = OmegaConf.create({"lr": 1}, flags={"allow_objects": True})
    config.hook = Malicious(function, code)
    loaded = load_saved(published, tmp_path, config=config, hook=Malicious(function, code))
    assert not victim.exists()
    assert torch.equal(loaded.logit_scale, published[0].logit_scale)


def test_calls_to_the_system_are_refused(published, tmp_path):
    victim = tmp_path / "written"
    with pytest.raises(ValueError, match=r"best\.pth pickles more than weights and a configuration"):
        load_saved(published, tmp_path, config=Malicious(os.system, f"touch {victim}"))
    assert not victim.exists()


def test_object_of_another_library_runs_no_code(published, tmp_path, monkeypatch):
    library = types.ModuleType("other_library")

    def ran(*_):
        raise AssertionError("code of the other library ran")

    for base in (dict, list, object):
        config_class = type("Config", (base,), {"__module__": "other_library", "__setstate__": ran})
        library.Config = config_class
        monkeypatch.setitem(sys.modules, "other_library", library)
        config = config_class({"lr": 1}) if base is not object else config_class()
        config.note = "an attribute, so that unpickling calls __setstate__"
        loaded = load_saved(published, tmp_path, config=config, by_key={config if base is object else "x": config})
        assert torch.equal(loaded.logit_scale, published[0].logit_scale)


def test_raises_on_another_kind_of_file(tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="has no key 'model'"):
        load_official_checkpoint(tmp_path / "x.pth")
