"""A converted checkpoint goes to the hub and comes back by its name, with everything that it needs."""

import json
import os
import subprocess
import sys

import pytest

from .hub_stand_in import hub_stand_in

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.fixture
def tcclip(tmp_path):
    """Run `tcclip ARGV` in a process of its own: the hub's address is read once."""

    def tcclip(server, *argv, token="hf_stand_in"):
        hidden = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", *PROXIES)
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment |= {"HF_ENDPOINT": server.url, "HF_TOKEN": token, "HF_HOME": str(tmp_path / "hub_cache")}
        environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        command = [sys.executable, "-m", "tc_clip_pl", *map(str, argv)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return tcclip


def test_upload_and_load_by_name(tcclip, last, demo, tmp_path):
    with hub_stand_in() as server:
        done = tcclip(server, "convert", last, "out", "--push_to_hub", "me/actions")
        assert done.returncode == 0, done.stderr
        assert f"Uploaded to {server.url}/me/actions" in done.stdout and server.is_private
        expected = {path.name for path in (tmp_path / "out").iterdir()}
        assert {"config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"} <= expected
        assert set(server.models["me/actions"]) - {".gitattributes"} == expected
        film = sorted((demo / "data").rglob("*.mp4"))[0]
        labels = ("--labels", "a star moving left, running", "--format", "json", "--device", "cpu")
        answers = []
        for model in ("me/actions", "./out"):
            found = tcclip(server, "recognize", film, "--model", model, *labels)
            assert found.returncode == 0, found.stderr
            answers.append(json.loads(found.stdout))
        assert answers[0] == answers[1]


def test_refused_upload_keeps_the_folder(tcclip, last, tmp_path):
    with hub_stand_in() as server:
        done = tcclip(server, "convert", last, "out", "--push_to_hub", "me/actions", token="hf_wrong")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "out was written, but not uploaded to me/actions (" in done.stderr
    assert (tmp_path / "out" / "config.json").is_file()
