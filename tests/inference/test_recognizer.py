"""The recognizer answers as the model does on the same frames; no video disturbs another."""

import threading

import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.options import ClipOptions
from datamodules.synthetic.video_files import write_video
from datamodules.transforms.augmentation import normalize
from datamodules.transforms.spatial import build_evaluation_crop
from datamodules.video.decoding import decode_frames
from datamodules.video.frame_sampling import multi_view
from tc_clip_pl.inference.features import save_features
from tc_clip_pl.inference.recognizer import Recognizer

LABELS = ["brush hair", "cartwheel", "ride bike"]
OPTIONS = ClipOptions(
    num_frames=4, image_size=32, batch_size=2, num_workers=0, num_spatial_views=3, exact_decoding=True
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Six short films of noise, the fourth damaged."""
    folder, rng = tmp_path_factory.mktemp("videos"), np.random.default_rng(0)
    for n in range(6):
        write_video(folder / f"{n}.mp4", rng.integers(0, 255, (8 + 8 * n, 40, 56, 3), dtype=np.uint8), 8)
    (folder / "3.mp4").write_text("no video")
    return [folder / f"{n}.mp4" for n in range(6)]


@pytest.fixture
def recognizer(tiny_model):
    return Recognizer(tiny_model.float(), OPTIONS, "cpu")


def expected(model, path, labels):
    """The ranking of a video, step by step."""
    frames = torch.from_numpy(decode_frames(path, lambda n: multi_view(n, 4, 2))).movedim(-1, -3)
    pixels = normalize(build_evaluation_crop(32, 3)(frames), OPTIONS.mean, OPTIONS.std)
    model.set_class_names(labels)
    with torch.no_grad():
        probabilities = model(pixels).logits.softmax(-1).mean(0)
    return dict(zip(labels, probabilities.tolist(), strict=True))


def test_answers_are_those_of_the_model(recognizer, tiny_model, videos):
    answers = recognizer(videos, LABELS)
    assert [answer.video for answer in answers] == [str(video) for video in videos]
    for n, answer in enumerate(answers):
        if n == 3:
            assert answer.ranking == () and "cannot be decoded as a video" in answer.error
            continue
        assert dict(answer.ranking) == pytest.approx(expected(tiny_model, videos[n], LABELS), abs=1e-5)
        values = [probability for _, probability in answer.ranking]
        assert values == sorted(values, reverse=True) and answer.error is None


def test_workers_and_devices_change_nothing(recognizer, tiny_model, videos):
    one = recognizer(videos, LABELS)
    options = ClipOptions(**{**vars(OPTIONS), "num_workers": 2})
    several = Recognizer(tiny_model, options, ["cpu", "cpu"])
    assert len(several.replicas) == 2 and several.replicas[0].model is not several.replicas[1].model
    two = several(videos, LABELS)
    assert [answer.video for answer in one] == [answer.video for answer in two]
    for a, b in zip(one, two, strict=True):
        assert dict(a.ranking) == pytest.approx(dict(b.ranking), abs=1e-5)


def test_two_users_get_their_own_labels(recognizer, videos):
    good = [video for n, video in enumerate(videos) if n != 3] * 4
    asked = {name: labels for name, labels in zip("ab", (LABELS, ["draw sword", "shake hands"]), strict=True)}
    alone = {name: recognizer(good, labels) for name, labels in asked.items()}
    found = {}

    def ask(name):
        found[name] = recognizer(good, asked[name])

    threads = [threading.Thread(target=ask, args=(name,)) for name in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in asked:
        for a, b in zip(alone[name], found[name], strict=True):
            assert dict(a.ranking) == pytest.approx(dict(b.ranking), abs=1e-6)


def test_one_window_is_the_whole_video(recognizer, videos):
    (segment,) = recognizer.timeline(videos[5], LABELS, window=60, stride=30)
    (answer,) = recognizer([videos[5]], LABELS)
    assert dict(segment.ranking) == pytest.approx(dict(answer.ranking), abs=1e-5)
    assert (segment.start, segment.end) == (0, pytest.approx(6.0))


def test_timeline_of_windows_in_batches(recognizer, videos):
    segments = list(recognizer.timeline(videos[5], LABELS, window=2, stride=1))  # 6 s: five windows, batches of two
    assert [(s.start, s.end) for s in segments] == [(n, n + 2) for n in range(5)]
    with pytest.raises(DataError, match=r"3\.mp4 cannot be decoded"):
        list(recognizer.timeline(videos[3], LABELS))


def test_stream_is_answered_while_it_runs(recognizer, videos):
    segments = list(recognizer.watch(str(videos[2]), LABELS, window=1, stride=0.5))  # 3 s
    assert segments[0].end == pytest.approx(1.0, abs=0.2) and segments[-1].end == pytest.approx(2.875)
    assert len(segments) >= 4


def test_features_are_those_of_the_model(recognizer, tiny_model, videos, tmp_path):
    from safetensors import safe_open

    pairs = list(recognizer.embed(videos, LABELS))
    assert [features is None for _, features in pairs] == [answer.error is not None for answer, _ in pairs]
    kept = [(answer.video, features) for answer, features in pairs if features]
    save_features(tmp_path / "f.safetensors", *zip(*kept, strict=True), LABELS)
    with safe_open(tmp_path / "f.safetensors", "pt") as file:
        shapes = {kind: tuple(file.get_tensor(kind).shape) for kind in file.keys()}  # noqa: SIM118 (no mapping)
        logits = (file.get_tensor("video_embeds")[0, :, None] * torch.nn.functional.normalize(
            file.get_tensor("text_embeds")[0], dim=-1)).sum(-1) * tiny_model.logit_scale.exp()  # fmt: skip
        assert file.metadata()["labels"] == '["brush hair", "cartwheel", "ride bike"]'
    width = tiny_model.config.projection_dim
    assert shapes == {
        "video_embeds": (5, 6, width),
        "frame_embeds": (5, 6, 4, width),
        "context_tokens": (5, 6, 6, width),
        "text_embeds": (5, 6, 3, width),
    }
    probabilities = dict(zip(LABELS, logits.softmax(-1).mean(0).tolist(), strict=True))
    assert dict(pairs[0][0].ranking) == pytest.approx(probabilities, abs=1e-5)


def test_labels_are_checked_before_any_video_is_read(recognizer):
    for labels, message in [
        (["a"], "Give two labels"),
        (["a", "a"], "2 times"),
        (["a", "b " * 90], "text encoder takes"),
    ]:
        with pytest.raises(ValueError, match=message):
            recognizer(["none.mp4"], labels)
