"""Vectors are those of the model, whatever the workers; texts need no video."""

import dataclasses

import numpy as np
import pytest
import torch

from datamodules.transforms.augmentation import normalize
from datamodules.video.windows import decode_windows, sampling_of_tests
from tc_clip_pl.inference.recognizer import Recognizer
from tc_clip_pl.search.embedding import embed_text, embed_videos


@pytest.fixture
def films(tmp_path, write_film):
    names = [write_film(tmp_path / f"{seed}.mp4", 1 + seed, seed) for seed in range(4)]
    (tmp_path / "bad.mp4").write_text("no video")
    return [*names, str(tmp_path / "bad.mp4")]


def test_vectors_are_those_of_the_model(recognizer, tiny_model, films):
    found = {video.video: video for video in embed_videos(recognizer, films, 2.0, 1.0)}
    assert list(found) == films and "cannot be decoded" in found[films[-1]].error
    assert [len(video.vectors) for video in found.values()] == [1, 1, 2, 3, 0]
    options = recognizer.options
    for n, window in enumerate(decode_windows(films[3], 2.0, 1.0, sampling_of_tests(options))):
        with torch.no_grad():
            views = tiny_model(normalize(window.clip, options.mean, options.std)).video_embeds
        expected = torch.nn.functional.normalize(views.mean(0), dim=0).numpy()
        assert found[films[3]].vectors[n] == pytest.approx(expected, abs=1e-5)
        assert found[films[3]].times[n].tolist() == [window.start, window.end]


def test_workers_and_devices_change_nothing(recognizer, tiny_model, films):
    one = {video.video: video for video in embed_videos(recognizer, films, 1.0, 0.5)}
    options = dataclasses.replace(recognizer.options, num_workers=2, batch_size=3)
    two = {v.video: v for v in embed_videos(Recognizer(tiny_model, options, ["cpu", "cpu"]), films, 1.0, 0.5)}
    assert one.keys() == two.keys()
    for video in films:
        assert np.array_equal(one[video].times, two[video].times) and one[video].error == two[video].error
        assert one[video].vectors == pytest.approx(two[video].vectors, abs=1e-5)


def test_a_whole_video_is_one_window(recognizer, films):
    (video,) = embed_videos(recognizer, films[3:4], float("inf"), 1.0)
    assert video.times.tolist() == [[0, 4]]


@pytest.mark.parametrize("prompting", ["template", "class_name", "learnable", "video_conditional", "late_fusion"])
def test_texts_without_a_video(tiny_clip_folder, prompting):
    from tc_clip_pl import TCCLIP

    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6, prompting=prompting)
    model.set_class_names(["brush hair", "ride bike"])
    found = model.embed_classes()
    # The prompt vectors start as the template, so that before any training all texts are CLIP's.
    same = "class_name" if prompting == "class_name" else "template"
    plain = TCCLIP.from_pretrained(tiny_clip_folder, prompting=same, reference_tokens="none")
    plain.set_class_names(["brush hair", "ride bike"])
    assert torch.allclose(found, plain.embed_classes(), atol=1e-5)


def test_texts_of_an_early_prompting_layer(tiny_clip_folder):
    from tc_clip_pl import TCCLIP

    options = {"num_frames": 4, "num_context_tokens": 6}
    late, early = (TCCLIP.from_pretrained(tiny_clip_folder, **options, **more) for more in ({}, EARLY))
    for model in (late, early):
        model.set_class_names(["brush hair", "ride bike"])
    assert torch.allclose(late.embed_classes(), early.embed_classes(), atol=1e-5)


EARLY = {"prompting_text_layer": 1}


def test_a_prompting_without_such_texts_is_named(recognizer, tiny_model, monkeypatch):
    assert embed_text(recognizer, "ride bike").shape == (tiny_model.config.projection_dim,)
    with pytest.raises(ValueError, match="shorten it"):
        embed_text(recognizer, "ride bike " * 90)
    monkeypatch.setattr(tiny_model, "prompting", object)
    with pytest.raises(ValueError, match="The prompting video_conditional has no texts without a video"):
        tiny_model.embed_classes()
