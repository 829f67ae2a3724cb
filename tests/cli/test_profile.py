"""`tcclip profile` on the command line; the counts themselves are tested in tests/test_profiling.py."""

import json

import pytest

from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.cli.profile import PAPER_ROWS, profile


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    return str(save_tiny_clip(tmp_path_factory.mktemp("clip")))


def read_json(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_default_rows_are_those_of_the_paper(capsys):
    profile(["--format", "json"])
    costs = read_json(capsys)
    assert list(costs) == list(PAPER_ROWS)
    assert costs["TC-CLIP"]["vision"] > costs["ViFi-CLIP (frame-wise)"]["vision"]
    assert costs["ViFi-CLIP (frame-wise)"]["prompting"] == 0


def test_row_of_a_configuration_has_its_options(tiny_clip, tmp_path, capsys):
    configs = [tmp_path / "frame_wise.yaml", tmp_path / "tc.yaml"]
    options = "{reference_tokens: none, prompting: template}"
    configs[0].write_text(f"model: {{pretrained: {tiny_clip}, config: {options}}}")
    configs[1].write_text(f"model: {{pretrained: {tiny_clip}}}")
    profile(["--config", *map(str, configs), "--format", "json"])
    costs = read_json(capsys)
    assert list(costs) == ["frame_wise", "tc"]
    assert costs["frame_wise"]["vision"] < costs["tc"]["vision"]


def test_no_number_of_the_table_is_cut_off(tmp_path, capsys):
    (tmp_path / "base.yaml").write_text("model: {pretrained: openai/clip-vit-base-patch16}")
    profile(["--config", str(tmp_path / "base.yaml")])
    table = capsys.readouterr().out
    assert "executed" in table
    assert "…" not in table


def test_raises_on_unknown_clip():
    with pytest.raises(ValueError, match="unknown/clip"):
        profile(["--clip", "unknown/clip"])
