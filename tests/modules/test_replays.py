"""Steps of the forward pass replayed as CUDA graphs; on a CPU a stand-in for a graph runs the function again."""

import copy

import pytest
import torch

from tc_clip_pl import TCCLIP
from tc_clip_pl.modules import replays as replays_file
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import tensors_of, with_tensors
from tc_clip_pl.modules.replays import Replays
from tc_clip_pl.training.evaluation_steps import EvaluationSteps
from tc_clip_pl.training.weight_ensembling import forward_with
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

    def pool(self):
        return None


@pytest.fixture
def captures(monkeypatch):
    """The names of the functions that were captured."""
    names, capture = [], replays_file._capture

    def record(captured, function, given, pool):
        names.append(function.__name__)
        if DEVICE == "cuda":
            return capture(captured, function, given, pool)
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


def smaller_weights(model, factor):
    """CLIP's weights, as `build_weight_sets` returns them, multiplied."""
    added = model.new_parameter_names()
    return {name: factor * tensor for name, tensor in model.named_parameters() if name not in added}


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


@torch.inference_mode()
def test_each_set_of_weights_has_graphs_of_its_own(model, captures):
    module = EvaluationSteps(model)
    sets = {1.0: {}, 0.7: smaller_weights(model, 0.7), 0.0: smaller_weights(model, 0.1)}
    expected = [forward_with(module, w, sets[w], video[:, None]) for video in videos() for w in sets]
    model.replays = Replays()
    found = [forward_with(module, w, sets[w], video[:, None]) for video in videos() for w in sets]
    assert captures == ["_encode_frames", "_score"] * 3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_new_weights_of_an_old_name_are_read(model, captures):
    module = EvaluationSteps(model)
    model.replays = Replays()
    for factor in (0.7, 0.1):
        model.clear_class_cache()
        weights = smaller_weights(model, factor)
        found = [forward_with(module, 0.7, weights, video[:, None]) for video in videos()]
        del weights
    model.replays = None
    model.clear_class_cache()
    weights = smaller_weights(model, 0.1)
    for one, video in zip(found, videos(), strict=True):
        torch.testing.assert_close(one, forward_with(module, 0.7, weights, video[:, None]), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_weights_written_in_place_are_read_and_moved_ones_captured_anew(model, captures):
    model.replays = Replays()
    before = [model.embed_videos(video) for video in videos()]
    model.visual_projection.weight.neg_()  # outside the graph
    model.vision_model.post_layernorm.weight.mul_(torch.linspace(-1, 1, 64, device=DEVICE))
    after = [model.embed_videos(video) for video in videos()]
    assert captures == ["_encode_frames"] and not torch.allclose(before[0], after[0], atol=1e-2)
    model.double()
    for video, embeds in zip(videos(), after, strict=True):
        torch.testing.assert_close(model.embed_videos(video.double()).float(), embeds, rtol=1e-4, atol=1e-4)
    assert captures == ["_encode_frames"] * 2


@torch.inference_mode()
def test_the_oldest_graph_goes_where_there_are_too_many(model, captures, monkeypatch):
    monkeypatch.setattr(replays_file, "MOST_GRAPHS", 2)
    model.replays = Replays()
    for size in (1, 2, 3, 1):
        for video in videos(2, size):
            model.embed_videos(video)
    assert captures == ["_encode_frames"] * 4 and len(model.replays._captured) == 2


@torch.no_grad()
def test_training_is_not_replayed(model, captures):
    model.replays = Replays()
    model.train()
    for video in videos():
        model(video)
    assert captures == []


@torch.inference_mode()
def test_the_only_graph_goes_with_its_classes_and_another_follows(model, captures):
    model.replays = Replays()
    for num_classes in (4, 6):
        model.set_blank_classes(num_classes, 12)
        for video in videos():
            assert model(video, return_attentions=True).logits.shape == (2, num_classes)
    assert captures == ["_score"] * 2
