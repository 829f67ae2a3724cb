"""A local Ray of two workers, of which one is killed: every video is answered once, and shards are not repeated."""

import dataclasses
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from datamodules.synthetic.video_files import write_video
from tc_clip_pl.cli import main
from tc_clip_pl.cli import recognize_ray as recognize_module
from tc_clip_pl.inference.recognizer import Recognizer
from tc_clip_pl.ray_jobs import EmbedWorker, RecognizeWorker, run_on_ray
from tc_clip_pl.search.build import describe
from tc_clip_pl.search.embedding import embed_videos
from tc_clip_pl.search.index import VideoIndex

pytestmark = pytest.mark.slow
LABELS = ["showing a red disc", "a star moving left"]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Eighty films of noise, one of them damaged, and one behind a URL."""
    folder = tmp_path_factory.mktemp("films")
    for n in range(80):
        frames = np.random.default_rng(n).integers(0, 255, (16, 64, 64, 3), dtype=np.uint8)
        write_video(folder / f"{n:02}.mp4", frames, 8)
    (folder / "41.mp4").write_text("no video")
    return [*(str(folder / f"{n:02}.mp4") for n in range(79)), f"file://{folder}/79.mp4"]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    import ray

    ray.init(num_cpus=2, object_store_memory=100 * 2**20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.from_pretrained("world", "cpu", num_workers=0)


def own_workers():
    """Process ids of the actors of Ray Data below this process."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            named = folder.name.isdigit() and b"MapWorker" in (folder / "cmdline").read_bytes()
            if named and os.getpid() in ancestors(int(folder.name)):
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


def ancestors(pid):
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid


def test_a_killed_worker_costs_no_answer(films, recognizer):
    settings = describe(recognizer, "world", 1.0, 0.5)
    found, killed = {}, None
    for video in run_on_ray(EmbedWorker, {"settings": settings, "options": {}}, films):
        if killed is None:
            killed = own_workers()
            assert len(killed) == 2
            os.kill(killed[0], signal.SIGKILL)
        assert video.video not in found
        found[video.video] = video
    assert list(found) == films
    assert [video for video in found if found[video].error] == [films[41]]
    for video in embed_videos(recognizer, [films[0], films[78], films[79]], 1.0, 0.5):
        assert found[video.video].vectors == pytest.approx(video.vectors, abs=1e-5) and len(video.vectors) == 3


def test_other_weights_on_a_worker_end_the_job(films, recognizer):
    settings = dataclasses.replace(describe(recognizer, "world", 1.0, 0.5), weights="0" * 64)
    with pytest.raises(ValueError, match=r"The job failed on a worker: world has other weights \(\w{12}\)"):
        list(run_on_ray(EmbedWorker, {"settings": settings, "options": {}}, films[:2]))


def test_answers_are_those_of_one_machine(films, recognizer):
    arguments = {"source": "world", "options": {}, "labels": LABELS}
    answers = list(run_on_ray(RecognizeWorker, arguments, films))
    assert [answer.video for answer in answers] == films
    for n, answer in zip((0, 41, 78), recognizer([films[n] for n in (0, 41, 78)], LABELS), strict=True):
        assert (answers[n].error, dict(answers[n].ranking)) == (
            answer.error,
            pytest.approx(dict(answer.ranking), abs=1e-4),
        )
    assert answers[79].ranking and not answers[79].error
    windows = {**arguments, "window": 1.0, "stride": 1.0}
    timelines = list(run_on_ray(RecognizeWorker, windows, [films[0], films[41]]))
    assert timelines[0][0] == films[0] and timelines[0][1][-1].end == 2 and "cannot be decoded" in timelines[1].error


def test_index_and_shards_go_on(films, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("\n".join(films))
    assert main(["index", "list.txt", "idx", "--engine", "ray", "--device", "cpu"]) == 0
    assert "idx: 79 videos, 79 windows (79 new, 1 not read)." in capsys.readouterr().out
    assert len(VideoIndex("idx").marks) == 79
    monkeypatch.setattr(recognize_module, "SHARD_VIDEOS", 30)
    argv = ["recognize", "list.txt", "--labels", ",".join(LABELS), "--engine", "ray", "--shards", "answers"]
    assert main(argv) == 0
    assert capsys.readouterr().out == "answers: 80 videos, 1 not read; 3 of 3 shards are new.\n"
    files = sorted((tmp_path / "answers").glob("answers-*.jsonl"))
    before = [file.read_text() for file in files]
    rows = [json.loads(line) for text in before for line in text.splitlines()]
    assert [row["video"] for row in rows] == films
    files[1].unlink()
    kept = files[0].stat().st_mtime_ns
    time.sleep(0.01)
    assert main(argv) == 0
    assert "80 videos, 1 not read; 1 of 3 shards are new." in capsys.readouterr().out
    assert [file.read_text() for file in files] == before and files[0].stat().st_mtime_ns == kept
    assert main([*argv, "--top", "1"]) == 1
    assert "answers has shards of a job with other top" in capsys.readouterr().err
