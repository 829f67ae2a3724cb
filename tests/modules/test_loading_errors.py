"""Damaged or missing models: one sentence each, and an absent network costs no time."""

import json
import os
import pickle
import shutil
import socket
import threading
import time

import pytest
import torch

from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.modules import loading
from tc_clip_pl.modules.loading import hash_weights, identify_clip, load_clip, read_config


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("intact") / "clip", ["wave"])


@pytest.fixture
def clip(intact, tmp_path):
    return shutil.copytree(intact, tmp_path / "clip")


@pytest.fixture
def offline(monkeypatch):
    """Let every connection fail, after all variables that speak of proxies are gone."""

    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable")

    for name in loading.PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(loading.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "create_connection", refuse)
    loading._hub_answers.cache_clear()
    yield
    loading._hub_answers.cache_clear()


def message(name_or_path):
    with pytest.raises((OSError, ValueError)) as caught:
        TCCLIP.from_pretrained(name_or_path, num_frames=16)
    text = str(caught.value)
    assert len(text) < 400 and text.count("\n") == 0
    return text


def test_truncated_weights(clip):
    weights = clip / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "truncated" in message(clip)


def test_weights_that_are_text(clip):
    (clip / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    assert "cannot be read" in message(clip)


def test_unsafe_pickle(clip, tmp_path):
    class Unsafe:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (clip / "model.safetensors").unlink()
    (clip / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Unsafe()}, protocol=2))
    assert "not made of plain tensors" in message(clip)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("text", ["{ broken", ""])
def test_broken_config(clip, text):
    (clip / "config.json").write_text(text)
    assert "config.json is not valid JSON" in message(clip)


def test_config_of_another_kind(clip):
    (clip / "config.json").write_text("[1, 2]")
    assert "give a CLIP with a vision transformer" in message(clip)


def test_config_with_a_wrong_value(clip):
    stored = json.loads((clip / "config.json").read_text())
    stored["vision_config"]["image_size"] = "large"
    (clip / "config.json").write_text(json.dumps(stored))
    assert "does not describe a CLIP" in message(clip) and "image_size" in message(clip)


@pytest.mark.parametrize("kept", [(), ("tokenizer_config.json",)])
def test_missing_tokenizer(clip, kept):
    for path in clip.glob("*token*"):
        if path.name not in kept:
            path.unlink()
    assert "has no tokenizer: add tokenizer.json" in message(clip)


@pytest.mark.parametrize("name", ["openai/clip-vit-base-patch16", "tiny51", "demo/clips", "./tiny51", "/nowhere/clip"])
def test_absent_network_costs_no_time(offline, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = time.perf_counter()
    assert f"'{name}' is not a local folder" in message(name)
    assert time.perf_counter() - start < 3


def test_name_server_that_never_answers(offline, monkeypatch):
    test_is_over = threading.Event()

    def hang(*args):
        test_is_over.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    start = time.perf_counter()
    assert "no network" in message("openai/clip-vit-base-patch16")
    assert time.perf_counter() - start < 3
    test_is_over.set()


def test_hub_is_asked_where_it_answers(offline, monkeypatch):
    class Connection:
        def close(self):
            pass

    asked = []
    monkeypatch.setattr(socket, "create_connection", lambda *args: Connection())
    monkeypatch.setattr(loading, "cached_file", lambda name, file, local_files_only: asked.append(local_files_only))
    message("openai/clip-vit-base-patch16")
    assert asked == [False]


def test_hash_tells_weights_apart_but_not_files(intact, clip, tmp_path):
    assert identify_clip(str(clip)) == identify_clip(str(intact)) == hash_weights(load_clip(str(intact)).state_dict())
    torch.save(load_clip(str(intact)).state_dict(), clip / "pytorch_model.bin")
    (clip / "model.safetensors").unlink()
    assert identify_clip(str(clip)) == identify_clip(str(intact))
    assert identify_clip(str(save_tiny_clip(tmp_path / "other", ["wave"], seed=1))) != identify_clip(str(intact))


def test_saved_model_keeps_the_hash_of_its_clip(intact, tmp_path):
    TCCLIP.from_pretrained(intact).save_pretrained(tmp_path / "saved")
    assert read_config(str(tmp_path / "saved"))["clip_sha256"] == identify_clip(str(intact))
    assert identify_clip(str(tmp_path / "saved")) == identify_clip(str(intact))


def test_ensembling_refuses_another_clip_of_the_same_shape(clip):
    model = TCCLIP.from_pretrained(clip)
    model.clip_state_dict()
    save_tiny_clip(clip, ["wave"], seed=1)
    with pytest.raises(ValueError, match="holds another CLIP"):
        model.clip_state_dict()
