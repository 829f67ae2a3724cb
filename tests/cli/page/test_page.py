"""`tcclip demo`: the page in a browser and over HTTP, its limits, several users at once, and its end."""

import re
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import av
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from matplotlib.image import imsave

from tc_clip_pl.cli import main
from tc_clip_pl.cli.page.request import Limits, answer
from tc_clip_pl.inference.answers import merge, partition

from ..conftest import sentence
from .conftest import MAX_MB, free_port, serving, write_video

LEFT, DISC = "a star moving left", "showing a red disc"
BLACK = [np.zeros((64, 64, 3), np.uint8)] * 40
NO_VIDEO = "is no video .*; choose an MP4 or a WebM file"


def write_sound(path):
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path


def test_page_answers_as_the_recognizer(ask, recognizer, film):
    found, timeline, picture, text = ask(film)
    assert found == pytest.approx(dict(recognizer([film], [LEFT, DISC])[0].ranking), abs=1e-4)
    assert timeline["visible"] is False and picture.endswith(".png")
    assert re.fullmatch(r"A video of 2\.0 s: decoding \S+ s · model \S+ s · attention \S+ s", text.splitlines()[-1])


def test_long_video_has_a_timeline(ask, recognizer, long_film):
    labels = [LEFT, DISC, "<b>bold</b>"]
    _, timeline, _, text = ask(long_film, ",".join(labels), 4)
    rows = re.findall(r"<b>(\S+) to (\S+) s</b><span>(.*?), (\d+)%</span>", timeline["value"])
    expected = list(merge(partition(recognizer.timeline(long_film, labels, 4, 2))))
    assert [(float(row[0]), float(row[1])) for row in rows] == [(round(s.start, 1), round(s.end, 1)) for s in expected]
    names = [segment.ranking[0][0].replace("<", "&lt;").replace(">", "&gt;") for segment in expected]
    assert [row[2] for row in rows] == names and {LEFT, DISC} <= set(names)
    assert "timeline" in text


def test_labels_are_shown_as_text(recognizer, long_film):
    from tc_clip_pl.cli.page.timeline import draw_timeline

    labels = ["<script>alert(1)</script>", '" onload="x']
    html = draw_timeline(list(recognizer.timeline(long_film, labels, 4, 2)))
    assert "<script" not in html and '" onload' not in html


def test_users_do_not_get_each_others_answers(ask, film, long_film):
    questions = [(film, f"{LEFT},{DISC}"), (long_film, "a star moving right,showing a blue triangle,running")] * 2
    alone = [ask(*question, 8)[:2] for question in questions[:2]]
    with ThreadPoolExecutor(len(questions)) as users:
        together = list(users.map(lambda question: ask(*question, 8)[:2], questions))
    assert together == [(pytest.approx(found), timeline) for found, timeline in alone * 2]


def test_threads_without_a_queue_do_not_mix(recognizer, film):
    questions = [f"{LEFT},{DISC}", f"{DISC},running,a star moving right"] * 3

    def last(labels):
        return list(answer(recognizer, film, labels, 1, Limits()))[-1]

    alone = [last(labels) for labels in questions[:2]] * 3
    with ThreadPoolExecutor(4) as users:
        for found, expected in zip(users.map(last, questions), alone, strict=True):
            assert dict(found.ranking) == pytest.approx(dict(expected.ranking))
            assert [s.ranking[0][0] for s in found.segments] == [s.ranking[0][0] for s in expected.segments]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "Give two labels or more to choose from; there is none"),
        ("running", "the only one is 'running'"),
        ("labels.txt", "the only one is 'labels.txt'"),  # never a file of the server
        ("running, running", "The label 'running' is given 2 times"),
        ("running, " + "very " * 100 + "fast", "the text encoder takes 32: shorten it"),
        (",".join(map(str, range(1001))), "There are 1001 labels; give 1000 or fewer"),
    ],
)
def test_wrong_labels_are_one_sentence(ask, film, labels, message):
    with pytest.raises(AppError, match=re.escape(message)):
        ask(film, labels)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("text.mp4", lambda path: path.write_text("no video" * 100), NO_VIDEO),
        ("empty.mp4", lambda path: path.write_bytes(b""), NO_VIDEO),
        ("picture.mp4", lambda path: imsave(path, np.zeros((64, 64, 3)), format="png"), NO_VIDEO),
        ("list.mp4", lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"), NO_VIDEO),
        ("concat.mp4", lambda path: path.write_text("ffconcat version 1.0\nfile film.mp4\n"), NO_VIDEO),
        ("sound.mp4", write_sound, "sound.mp4 has no moving picture; choose a video"),
        ("slow.mp4", lambda path: write_video(path, BLACK, rate=1), "lasts 40 s; give a video of 30 s or less"),
    ],
)  # fmt: skip
def test_what_is_no_video_is_one_sentence(ask, tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(AppError, match=message) as refused:
        ask(tmp_path / name)
    assert str(refused.value).startswith(name) and "/" not in str(refused.value)  # no path of the server


def test_no_video_is_one_sentence(ask):
    with pytest.raises(AppError, match="Drop a video first, or record one"):
        ask(None)


def test_large_upload_is_refused(url):
    upload = {"files": ("large.mp4", b"0" * ((MAX_MB << 20) + 1))}
    response = httpx.post(f"{url}/gradio_api/upload", files=upload, trust_env=False)
    assert response.status_code == 413 and "exceeded maximum allowed size" in response.text


def test_large_file_is_refused_however_it_came(recognizer, film):
    with pytest.raises(ValueError, match=r"give a file of 0\.001 MB or less"):
        next(answer(recognizer, film, f"{LEFT},{DISC}", 10, Limits(max_mb=0.001)))


def test_files_of_the_machine_are_not_read(url, demo, film):
    assert httpx.get(f"{url}/gradio_api/file={film}", trust_env=False).status_code == 403
    data = {"data": [{"path": str(film), "meta": {"_type": "gradio.FileData"}}, f"{LEFT},{DISC}", 10]}
    event = httpx.post(f"{url}/gradio_api/call/recognize", json=data, trust_env=False).json()["event_id"]
    answered = httpx.get(f"{url}/gradio_api/call/recognize/{event}", trust_env=False, timeout=60).text
    assert "event: error" in answered and "confidence" not in answered


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_end_is_clean(tmp_path, film, stop):
    with serving(tmp_path) as (process, address):
        Client(address, verbose=False, download_files=str(tmp_path.parent / "downloads")).predict(
            handle_file(str(film)), f"{LEFT},{DISC}", 10, api_name="/recognize"
        )
        assert list(tmp_path.glob("tcclip-demo-*/*/*.mp4"))
        process.send_signal(stop)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()
    assert not list(tmp_path.glob("tcclip-demo-*"))


def test_port_in_use_is_one_sentence(run):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        said = sentence(run("demo", "--port", port, on_demo=False))
    assert said == f"tcclip: Port {port} cannot be opened (Address already in use): name another by --port N."


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--port", 0), "--port is 0; it must be between 1 and 65535."),
        (("--max_mb", 0), "--max_mb is 0; it must be a positive number."),
        (("--max_seconds", -1), "--max_seconds is -1; it must be a positive number."),
        (("--prot", 80), "did you mean port?"),
    ],
)
def test_wrong_options_are_one_sentence(run, argv, message):
    assert message in sentence(run("demo", *argv, on_demo=False))


def test_without_gradio_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "tc_clip_pl.cli.page.layout", raising=False)
    assert "pip install 'gradio>=6,<7'" in sentence(run("demo", "--port", free_port(), on_demo=False))


def test_help_page(capsys):
    assert main(["demo", "--help"]) == 0
    assert "--max_seconds" in capsys.readouterr().out
