"""An index holds what was embedded, whole at every moment, and follows its videos."""

import json
import os

import numpy as np
import pytest

from datamodules.errors import DataError
from tc_clip_pl.search import index as index_module
from tc_clip_pl.search.build import check_settings, describe, find_changes, update
from tc_clip_pl.search.embedding import VideoVectors, embed_videos
from tc_clip_pl.search.index import IndexSettings, VideoIndex
from tc_clip_pl.search.video_sources import list_videos

SETTINGS = IndexSettings("m", "abc", {"num_frames": 4}, 10.0, 5.0)


def vectors(video, count, value=1.0, error=None):
    times = np.stack([np.arange(count), np.arange(count) + 1.0], 1)
    return VideoVectors(video, times, np.full((count, 3), value, np.float32), error)


@pytest.fixture
def index(tmp_path):
    index = VideoIndex.create(tmp_path / "index", SETTINGS)
    with index.writing():
        index.add([vectors("a", 2, 1), vectors("b", 1, 2), vectors("bad", 0, error="x")], {"a": "1", "b": "1"})
        index.add([vectors("c", 3, 3)], {"c": "1"})
        yield index


def rows(index):
    videos, times, found = index.read()
    assert len(videos) == len(times) == len(found) == index.num_windows
    return list(zip(videos, times[:, 0].tolist(), found[:, 0].tolist(), strict=True))


ALL = [("a", 0, 1), ("a", 1, 1), ("b", 0, 2), ("c", 0, 3), ("c", 1, 3), ("c", 2, 3)]


def test_what_is_added_is_read(index):
    assert rows(index) == rows(VideoIndex(index.folder)) == ALL
    assert index.marks == {"a": "1", "b": "1", "c": "1"}
    assert VideoIndex(index.folder).settings == SETTINGS


def test_dropping_and_compacting_keep_the_others(index):
    index.drop({"a", "c"})
    assert rows(VideoIndex(index.folder)) == [ALL[2]]
    index.add([vectors("a", 1, 9)], {"a": "2"})
    index.compact()
    assert rows(VideoIndex(index.folder)) == [ALL[2], ("a", 0, 9)] and len(index.shards) == 1
    assert len(list(index.folder.glob("vectors-*"))) == 1


def test_full_shards_are_left_alone(index, monkeypatch):
    monkeypatch.setattr(index_module, "FULL_SHARD", 2)
    before = [shard.name for shard in index.shards]
    index.compact()
    assert [shard.name for shard in index.shards] == before


def test_a_writer_that_dies_leaves_the_index_whole(index, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(index_module, "_write_json", die)
    with pytest.raises(KeyboardInterrupt):
        index.drop({"a"})
    monkeypatch.undo()
    (index.folder / "vectors-000009.unfinished").touch()
    assert rows(VideoIndex(index.folder)) == ALL


def test_leftovers_go_with_the_next_writer(tmp_path):
    index = VideoIndex.create(tmp_path / "index", SETTINGS)
    for name in ("vectors-000003.safetensors", "vectors-000004.unfinished"):
        (index.folder / name).touch()
    with index.writing():
        assert sorted(os.listdir(index.folder)) == ["index.json", "index.lock"]


def test_a_second_writer_waits(index):
    with pytest.raises(DataError, match="Another process is writing"), VideoIndex(index.folder).writing():
        pass


def test_what_is_no_index_is_named(tmp_path, index):
    with pytest.raises(DataError, match=r"is no index \(No such file"):
        VideoIndex(tmp_path / "none")
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").touch()
    with pytest.raises(DataError, match=r"films has files, but no index\.json"):
        VideoIndex.create(tmp_path / "films", SETTINGS)
    shard = index.folder / index.shards[0].name
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(DataError, match=r"vectors-000001\.safetensors is damaged"):
        VideoIndex(index.folder)
    stored = json.loads((index.folder / "index.json").read_text())
    (index.folder / "index.json").write_text(json.dumps({**stored, "format": 7}))
    with pytest.raises(DataError, match="has format 7, and this version reads 1"):
        VideoIndex(index.folder)
    (index.folder / "index.json").write_text("[]")
    with pytest.raises(DataError, match=r"index\.json is damaged"):
        VideoIndex(index.folder)


def test_an_index_follows_its_folder(tmp_path, recognizer, write_film):
    folder = tmp_path / "films"
    for seed, name in enumerate(("a", "b", "deep/c")):
        write_film(folder / f"{name}.mp4", 2, seed)
    (folder / "bad.mp4").write_text("no video")
    index = VideoIndex.create(tmp_path / "index", describe(recognizer, "tiny", 1.0, 0.5))

    def bring_up_to_date():
        videos = list_videos([folder])
        with index.writing():
            changes = find_changes(index, videos, [folder])
            found = list(update(index, videos, changes, lambda names: embed_videos(recognizer, names, 1.0, 0.5)))
        names = [sorted(os.path.relpath(v, folder) for v in group) for group in (changes.new, changes.changed,
                                                                                changes.deleted)]  # fmt: skip
        return names, {os.path.relpath(video.video, folder) for video in found if video.error}

    assert bring_up_to_date() == ([["a.mp4", "b.mp4", "bad.mp4", "deep/c.mp4"], [], []], {"bad.mp4"})
    videos, times, before = index.read()
    assert times.tolist() == 3 * [[0, 1], [0.5, 1.5], [1, 2]] and len(set(videos)) == 3
    assert np.linalg.norm(before, axis=1) == pytest.approx(np.ones(9))
    (folder / "a.mp4").unlink()
    write_film(folder / "b.mp4", 1, 7)
    write_film(folder / "d.mp4", 1, 8)
    assert bring_up_to_date() == ([["bad.mp4", "d.mp4"], ["b.mp4"], ["a.mp4"]], {"bad.mp4"})
    videos, _, after = index.read()
    assert [os.path.basename(video) for video in videos] == ["c.mp4"] * 3 + ["d.mp4", "b.mp4"]
    assert np.array_equal(after[:3], before[6:])
    assert bring_up_to_date() == ([["bad.mp4"], [], []], {"bad.mp4"})


def test_an_interrupted_update_goes_on(tmp_path, recognizer, write_film):
    for seed in range(4):
        write_film(tmp_path / "films" / f"{seed}.mp4", 1, seed)
    videos = list_videos([tmp_path / "films"])
    index = VideoIndex.create(tmp_path / "index", describe(recognizer, "tiny", 1.0, 0.5))
    asked = []

    def embed(names):
        for number, video in enumerate(embed_videos(recognizer, names, 1.0, 0.5)):
            if not asked and number == 2:
                raise KeyboardInterrupt
            yield video

    def run():
        with index.writing():
            changes = find_changes(index, videos, [tmp_path / "films"])
            list(update(index, videos, changes, embed))
        return len(changes.new)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(VideoIndex(index.folder).marks) == 2
    asked.append(True)
    assert run() == 2 and len(index.marks) == 4


def test_another_model_input_or_cut_is_refused(tmp_path, recognizer, tiny_model):
    settings = describe(recognizer, "tiny", 10.0, 5.0)
    index = VideoIndex.create(tmp_path, settings)
    check_settings(index, describe(recognizer, "elsewhere", 10.0, 5.0))
    with pytest.raises(DataError, match="was made with --window 10, not 4: leave the option out"):
        check_settings(index, describe(recognizer, "tiny", 4.0, 5.0))
    tiny_model.visual_projection.weight.data += 1
    with pytest.raises(DataError, match=r"was made by tiny \(weights \w{12}\), not by other"):
        check_settings(index, describe(recognizer, "other", 10.0, 5.0))
