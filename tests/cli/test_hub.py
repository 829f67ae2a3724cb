"""A converted checkpoint goes to the hub and comes back by its name, with everything that it needs."""

import json
import os
import subprocess
import sys

import pytest

from .hub_stand_in import hub_stand_in

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
RUN_ALL = """
import contextlib, io, json, sys
from tc_clip_pl.cli import main

done = []
for argv in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(argv)
    done.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""


@pytest.fixture
def tcclip(tmp_path):
    """Run `tcclip ARGV` for each ARGV in one process of its own: the hub's address is read once."""

    def tcclip(server, *argvs, token="hf_stand_in"):
        hidden = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", *PROXIES)
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment |= {"HF_ENDPOINT": server.url, "HF_TOKEN": token, "HF_HOME": str(tmp_path / "hub_cache")}
        environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        command = [sys.executable, "-c", RUN_ALL, json.dumps([[str(each) for each in argv] for argv in argvs])]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return tcclip


def test_upload_and_load_by_name(tcclip, last, demo, tmp_path):
    film = sorted((demo / "data").rglob("*.mp4"))[0]
    labels = ("--labels", "a star moving left, running", "--format", "json", "--device", "cpu")
    recognize = [("recognize", film, "--model", model, *labels) for model in ("me/actions", "./out")]
    with hub_stand_in() as server:
        upload, *answers = tcclip(server, ("convert", last, "out", "--push_to_hub", "me/actions"), *recognize)
        assert upload[0] == 0, upload[2]
        assert f"Uploaded to {server.url}/me/actions" in upload[1] and server.is_private
    expected = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"} <= expected
    assert set(server.models["me/actions"]) - {".gitattributes"} == expected
    assert [code for code, _, _ in answers] == [0, 0], answers
    of_hub, of_folder = (json.loads(out) for _, out, _ in answers)
    assert of_hub == of_folder


@pytest.mark.slow
def test_refused_upload_keeps_the_folder(tcclip, last, tmp_path):
    with hub_stand_in() as server:
        ((code, _, err),) = tcclip(server, ("convert", last, "out", "--push_to_hub", "me/actions"), token="hf_wrong")
    assert code == 1 and "Traceback" not in err
    assert "out was written, but not uploaded to me/actions (" in err
    assert (tmp_path / "out" / "config.json").is_file()
