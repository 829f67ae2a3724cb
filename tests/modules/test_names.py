"""Short names of shipped models: found from anywhere, without a network."""

import pytest

from tc_clip_pl import TCCLIP
from tc_clip_pl.modules import loading
from tc_clip_pl.modules.names import locate, recorded_name


@pytest.fixture
def no_network(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("asked for the network")

    monkeypatch.setattr("socket.create_connection", fail)
    loading._hub_answers.cache_clear()
    yield
    loading._hub_answers.cache_clear()


def test_short_name_needs_neither_network_nor_folder(no_network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "world").mkdir()  # somebody's own folder is ./world
    model = TCCLIP.from_pretrained("world", num_frames=8)
    assert model.config.clip_name_or_path == "world"
    assert model.clip_state_dict()
    with pytest.raises(OSError, match=r"folder \./world does not hold a CLIP"):
        TCCLIP.from_pretrained("./world")


def test_other_names_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert [locate(name) for name in ("mine", "a/b")] == ["mine", "a/b"]
    assert [recorded_name(name) for name in ("mine", "a/b", "world")] == [str(tmp_path / "mine"), "a/b", "world"]
