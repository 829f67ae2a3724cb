"""The seam of all systems, tried with one that a user might write."""

import pytest
import torch
from torch import nn

from tc_clip_pl.modules.backbone.interface import BackboneModel
from tc_clip_pl.modules.outputs import TCCLIPOutput
from tc_clip_pl.modules.systems import SYSTEMS, find_system
from tc_clip_pl.modules.text_encoder import encode_text
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig
from tc_clip_pl.training.build import ModelOptions, build_module
from tc_clip_pl.training.checkpoint import describe_model


class GainConfig(VideoCLIPConfig):
    model_type = "gain"

    num_frames: int = 4
    first_gain: float = 1.0


class GainCLIP(VideoCLIP, BackboneModel):
    """A frame-wise CLIP with one learned factor."""

    title = "Gain"
    config_class = GainConfig

    def __init__(self, config):
        super().__init__(config)
        self.gain = nn.Parameter(torch.zeros(()))
        self.post_init()

    def _encode_classes(self):
        embeds = self.text_model.embeddings.token_embedding(self.class_input_ids)
        return self.text_projection(encode_text(self.text_model, embeds, self.class_eos))

    def forward(self, video):
        frames = self.visual_projection(self.vision_model(video.flatten(0, 1)).pooler_output)
        return TCCLIPOutput(logits=self.gain * frames.unflatten(0, video.shape[:2]).mean(1) @ self.encode_classes().T)

    def new_parameter_names(self):
        return {"gain"}

    def start_new_parameters(self):
        nn.init.constant_(self.gain, self.config.first_gain)


PATH = f"{__name__}.GainCLIP"


@pytest.fixture
def model():
    return GainCLIP.from_pretrained("world", first_gain=0.5)


def test_a_system_by_import_path_is_built_from_clip_and_trains(model):
    module = build_module("world", system=PATH, options={"first_gain": 0.5}, freeze=["text"])
    trained = {name for name, parameter in module.model.named_parameters() if parameter.requires_grad}
    assert type(module.model) is GainCLIP and "gain" in trained
    assert not any(name.startswith("text_") for name in trained)
    assert module.model.gain.item() == 0.5 and model.prompting_parameter_names() == {"gain"}


def test_a_saved_system_loads_with_its_own_weights_and_clip(model, tmp_path, monkeypatch):
    monkeypatch.setitem(SYSTEMS, "gain", PATH)
    nn.init.constant_(model.gain, 3.0)
    model.save_pretrained(tmp_path / "saved")
    loaded = find_system("gain").from_pretrained(tmp_path / "saved")
    assert loaded.gain.item() == 3.0 and loaded.config.clip_name_or_path == "world"
    assert set(loaded.clip_state_dict()) == set(loaded.state_dict()) - {"gain"}
    assert describe_model(loaded)["config"]["model_type"] == "gain"
    with pytest.raises(ValueError, match=r"of the system gain, not tc_clip: set model\.system to gain"):
        find_system("tc_clip").from_pretrained(tmp_path / "saved")


def test_it_says_that_it_has_no_embeddings_for_search(model):
    for embed in (model.embed_classes, lambda: model.embed_videos(torch.zeros(1))):
        with pytest.raises(ValueError, match="Gain has no embeddings for search"):
            embed()


def test_unknown_systems_and_options_of_others_are_refused():
    with pytest.raises(ValueError, match="is 'xclipp': choose one of tc_clip"):
        build_module("world", system="xclipp")
    with pytest.raises(ValueError, match="cannot be imported"):
        build_module("world", system="tc_clip_pl.nowhere.X")
    with pytest.raises(ValueError, match=r"model.config has num_frames, an option of TC-CLIP"):
        build_module("world", ModelOptions(num_frames=8), system=PATH)
    with pytest.raises(ValueError, match=r"model.options has num_frames; TC-CLIP is configured by model.config"):
        build_module("world", options={"num_frames": 8})
    with pytest.raises(ValueError, match=r"Gain has no option gian: it has num_frames, first_gain\."):
        build_module("world", system=PATH, options={"gian": 1})
    with pytest.raises(ValueError, match=r"first_gain of Gain takes float, not 'high'\."):
        build_module("world", system=PATH, options={"first_gain": "high"})
    with pytest.raises(ValueError, match=r"Gain has no option num_frame; did you mean num_frames\?"):
        build_module("world", system=PATH, options={"num_frame": 8})
    assert build_module("world", system=PATH, options={"first_gain": 2}).model.gain.item() == 2
