"""Steps of the forward pass replayed as CUDA graphs; on a CPU a stand-in for a graph runs the function again."""

import copy

import pytest
import torch

from tc_clip_pl import TCCLIP
from tc_clip_pl.modules import replays as replays_file
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import tensors_of, with_tensors
from tc_clip_pl.modules.replays import Replays
from tests.devices import DEVICE

VISION = {"image_size": 32, "patch_size": 8, "hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 3}
TEXT = {"vocab_size": 99, "eos_token_id": 98, "hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}


class StandIn:
    """Writes the result of the function to the tensors of the first result, as a graph does."""

    def __init__(self, captured, function):
        self.captured, self.function = captured, function
        captured.result = function(captured.given, *captured.others)

    def replay(self):
        new = self.function(self.captured.given, *self.captured.others)
        for static, tensor in zip(tensors_of(self.captured.result), tensors_of(new), strict=True):
            static.copy_(tensor)


@pytest.fixture
def captures(monkeypatch):
    """The names of the functions that were captured."""
    names, capture = [], replays_file._capture

    def record(captured, function, given):
        names.append(function.__name__)
        if DEVICE == "cuda":
            return capture(captured, function, given)
        captured.given = with_tensors(given, iter([tensor.clone() for tensor in tensors_of(given)]))
        captured.graph = StandIn(captured, function)

    monkeypatch.setattr(replays_file, "_capture", record)
    return names


@pytest.fixture
def model():
    torch.manual_seed(0)
    context = {"num_frames": 3, "num_context_tokens": 5, "seed_ratio": 0.5}
    config = TCCLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=64, **context)
    model = TCCLIP(config).to(DEVICE).eval()
    model.set_blank_classes(4, 12)
    return model


def videos(count=3, size=2):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(size, 3, 3, 32, 32, generator=generator).to(DEVICE) for _ in range(count)]


@torch.inference_mode()
def test_outputs_are_those_of_the_model_and_stay_when_the_next_video_comes(model, captures):
    expected = [model(video) for video in videos()]
    model.replays = Replays()
    found = [model(video) for video in videos()]
    assert captures == ["_encode_frames", "_score"]
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for left, right in zip(tensors_of(one), tensors_of(other), strict=True):
            torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_new_classes_leave_the_graph_of_the_videos_and_are_seen(model, captures):
    model.replays = Replays()
    for num_classes in (4, 4, 6, 6):
        model.set_blank_classes(num_classes, 12)
        outputs = [model(video).logits for video in videos()]
        assert all(logits.shape == (2, num_classes) for logits in outputs)
    assert captures == ["_encode_frames", *["_score"] * 4]


@torch.inference_mode()
def test_a_shape_that_comes_once_is_not_captured(model, captures):
    model.replays = Replays()
    model(videos(1, size=1)[0])
    model.embed_videos(videos(1, size=2)[0])
    assert captures == []


def test_large_batches_and_calls_that_want_gradients_are_not_replayed(model, captures):
    model.replays = Replays()
    assert model(videos(1)[0]).logits.requires_grad
    with torch.no_grad():
        fits = [Replays.fits(torch.empty(size, 16, 3, 1, 1)) for size in (8, 9)]
        for video in videos(2, size=43):  # 129 frames
            model(video)
    assert fits == [True, False] and captures == []


@torch.inference_mode()
def test_a_copy_captures_anew(model, captures):
    model.replays = Replays()
    for video in videos(2):
        model.embed_videos(video)
    other = copy.deepcopy(model)
    for parameter in other.vision_model.parameters():
        parameter.zero_()
    for video in videos(2):
        assert not torch.equal(other.embed_videos(video), model.embed_videos(video))
    assert captures == ["_encode_frames"] * 2
