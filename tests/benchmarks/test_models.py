"""The compared models and the work that is counted for them."""

import pytest
import torch
from transformers import CLIPTextConfig, CLIPVisionConfig

from tc_clip_pl import TCCLIPConfig
from tc_clip_pl.benchmarks import attention, compare, matching
from tc_clip_pl.benchmarks.candidates import baseline_means, build_candidates, frame_wise
from tc_clip_pl.benchmarks.inference import benchmark_inference, count_inference
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.benchmarks.training import benchmark_training, count_training
from tc_clip_pl.profiling import count_cost

CPU, CUDA, META = (torch.device(name) for name in ("cpu", "cuda", "meta"))


@pytest.fixture(scope="module")
def settings():
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = TCCLIPConfig(
        vision_config=CLIPVisionConfig(**sizes, image_size=32, patch_size=8),
        text_config=CLIPTextConfig(**sizes, vocab_size=50, eos_token_id=49),
        projection_dim=32,
        num_frames=4,
        num_context_tokens=6,
        merges_per_round=5,
    )
    return Settings(config, CPU, ("plain",), (1, 2), (4,), (3, 5), repeats=2, warm_up=1)


def check_rows(rows, settings, has_ratio=True):
    assert len(rows) == compare.count_rows(settings) == 2 * (2 + 2 + 1)
    assert {row.name for row in rows} == {"TC-CLIP", "frame-wise", "HF CLIP"}
    assert all(row.timing.median > 0 and row.multiply_adds > 0 for row in rows)
    baselines = [row for row in rows if row.is_baseline]
    assert [row.name for row in baselines] == ["HF CLIP"] * 2
    for row in rows:  # each has a baseline of the same batch, run by the same means
        assert sum(row.compared_by == other.compared_by for other in baselines) == 1


def test_inference_yields_a_row_for_each_model_and_shape(settings):
    check_rows(list(benchmark_inference(settings)), settings)


def test_training_steps_change_the_weights(settings):
    made = []

    def optimizer(parameters):
        made.append(parameters)
        for parameter in parameters:
            parameter.before = parameter.detach().clone()
        return torch.optim.SGD(parameters, lr=0.1)

    check_rows(list(benchmark_training(settings, optimizer)), settings)
    for parameters in made:
        assert any(not torch.equal(parameter, parameter.before) for parameter in parameters)


def test_baseline_has_the_means_of_the_run(settings):
    assert [baseline_means(name, CPU) for name in ("auto", "compiled")] == ["plain", "compiled"]
    assert [baseline_means(name, CUDA) for name in ("auto", "compiled", "plain")] == ["compiled", "compiled", "plain"]
    names = [(each.name, each.kernels) for each in build_candidates(settings.config, ("auto", "plain"), CUDA)]
    assert names[-2:] == [("HF CLIP", "compiled"), ("HF CLIP", "plain")]


def test_frame_wise_model_keeps_the_encoders(settings):
    config = frame_wise(settings.config)
    assert (config.reference_tokens, config.prompting) == ("none", "template")
    assert config.vision_config.hidden_size == 32 and config.num_frames == 4


def test_baseline_scores_are_those_of_hugging_faces_clip(settings):
    *_, baseline = build_candidates(settings.config, ("plain",), CPU)
    scorer = baseline.build(CPU).eval()
    scorer.set_num_classes(3)
    video = settings.random_video(2, 4)
    pooled = torch.stack([scorer.vision_model(pixel_values=clip).pooler_output.mean(0) for clip in video])
    torch.testing.assert_close(scorer.score(video), pooled @ scorer.classes)


def test_counted_work_is_that_of_the_profile(settings):
    tc, own, baseline = (each.build(META) for each in build_candidates(settings.config, ("plain",), CPU))
    for scorer in (tc, own, baseline):
        scorer.set_num_classes(1)
    one, two = (settings.random_video(batch, 4, "meta") for batch in (1, 2))
    executed = count_cost(settings.config)
    # The profile counts one text of full length; here the classes are cached, and no text is counted.
    assert executed.vision * 0.5 < count_inference(tc, one) < executed.executed
    for scorer in (tc, own, baseline):
        assert count_inference(scorer, two) == pytest.approx(2 * count_inference(scorer, one), rel=0.01)
    assert count_training(baseline, two) == pytest.approx(3 * count_inference(baseline, two), rel=0.1)
    assert count_training(tc, two) > 2 * count_inference(tc, two)


def test_operations_beside_the_frame_alone(settings):
    rows = list(attention.benchmark_attention(settings))
    assert len(rows) == attention.count_rows(settings) == 8
    forward, both = (next(row for row in rows if row.settings["pass"] == name) for name in ("forward", "both"))
    # 2 heads of 16, 4 frames of 17 tokens, which read 17 + 6 keys: scores and values
    assert forward.multiply_adds == 2 * 4 * 17 * 32 * (17 + 6)
    assert both.multiply_adds == pytest.approx(3.5 * forward.multiply_adds)
    assert [row.is_baseline for row in rows] == [False, True] * 4


def test_matching_counts_every_pair(settings):
    (row, _) = matching.benchmark_matching(settings)
    # 4 frames x 4 seeds (0.3 of 16 patches) to 6: rounds of 5 and 5
    assert row.multiply_adds == 32 * (8 * 8 + 6 * 5)
    assert matching.count_rows(settings) == 2
