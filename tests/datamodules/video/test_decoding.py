"""Decoding returns the right frames from every container."""

import struct
from types import SimpleNamespace

import av
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.video import decoding
from datamodules.video.decoding import decode_frames

X264 = {"bf": "3", "g": "12", "b-adapt": "0", "sc_threshold": "0"}


def frames_of_complete_decode(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_returns_the_requested_frames(numbered, videos, decoder):
    path, count = numbered
    for step in (1, 2, 3, 7, 16):
        images = decode_frames(path, lambda n: np.arange(0, n, step), decoder)
        assert [videos.number(image) for image in images] == list(range(0, count, step))


def test_matches_a_complete_decode_pixel_for_pixel(numbered):
    path, count = numbered
    wanted = np.random.default_rng(0).integers(count, size=(2, 5))  # any order, repeated, any shape
    expected = frames_of_complete_decode(path)[wanted]
    assert np.array_equal(decode_frames(path, lambda n: wanted), expected)


def test_returns_any_single_frame(videos, tmp_path):
    path = videos.write(tmp_path / "a.mp4", 40, options={**X264, "x264-params": "open-gop=1"})
    for number in range(40):
        assert videos.number(decode_frames(path, lambda n: np.array([number]))[0]) == number


@pytest.mark.parametrize("case", ["mkv_open_gop", "mp4_b_pyramid", "avi_mpeg4_b_frames"])
def test_matches_a_complete_decode_for_any_few_frames(videos, containers, tmp_path, case):
    settings = dict(containers[case])
    path = videos.write(tmp_path / settings.pop("name"), **settings)
    complete, rng = frames_of_complete_decode(path), np.random.default_rng(0)
    for _ in range(40):
        wanted = rng.choice(settings["count"], size=3)
        assert np.array_equal(decode_frames(path, lambda n: wanted), complete[wanted])


def test_passes_the_true_number_of_frames(numbered):
    path, count = numbered
    asked = []
    decode_frames(path, lambda n: asked.append(n) or np.array([0]))
    assert asked[-1] == count


@pytest.mark.parametrize("case", ["mp4_b_frames_key_frames", "mkv_open_gop", "mp4_variable_rate", "webm_vp9"])
def test_decodes_only_the_groups_it_needs(videos, containers, tmp_path, monkeypatch, case):
    settings = dict(containers[case])
    path = videos.write(tmp_path / settings.pop("name"), **settings)
    decoded = []
    original = decoding._decode_range

    def spy(codec, packets, first, last, *rest):
        decoded.extend(range(first, last + 1))
        return original(codec, packets, first, last, *rest)

    monkeypatch.setattr(decoding, "_decode_range", spy)
    monkeypatch.setattr(decoding, "_decode_sequentially", None)  # fails if called
    assert videos.number(decode_frames(path, lambda n: np.array([25]))[0]) == 25
    assert 1 <= len(decoded) <= 26


def test_falls_back_to_a_complete_decode_if_the_index_is_wrong(videos, tmp_path, monkeypatch):
    path = videos.write(tmp_path / "a.mp4", 40, options=X264)
    monkeypatch.setattr(decoding, "_decode_range", lambda *args: iter(()))
    assert [videos.number(image) for image in decode_frames(path, lambda n: np.array([30, 5]))] == [30, 5]


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_rotated_video_is_upright(videos, tmp_path, quarter_turns):
    path = videos.write(tmp_path / "a.mp4", 5, size=(128, 64))
    plain = decode_frames(path, lambda n: np.arange(n))
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter_turns]  # clockwise, as ISO 14496-12 has it
    content = path.read_bytes()
    header = content.index(b"tkhd") + 4
    matrix = header + 40
    values = struct.pack(">9i", *(v << 16 for v in (cos, sin, 0, -sin, cos, 0, 0, 0)), 1 << 30)
    path.write_bytes(content[:matrix] + values + content[matrix + 36 :])
    turned = decode_frames(path, lambda n: np.arange(n))
    assert np.array_equal(turned, np.rot90(plain, -quarter_turns, axes=(1, 2)))
    shrunk = [decode_frames(path, lambda n: np.arange(n), short_side=32)]
    path.write_bytes(content)
    shrunk.append(np.rot90(decode_frames(path, lambda n: np.arange(n), short_side=32), -quarter_turns, axes=(1, 2)))
    assert np.array_equal(*shrunk) and min(shrunk[0].shape[1:3]) == 32


def broken_files(folder, videos):
    whole = videos.write(folder / "whole.mp4", 60, options=X264, mux={"movflags": "faststart"}).read_bytes()
    avi = videos.write(folder / "whole.avi", 60, codec="mpeg4", options={"b": "2M"}).read_bytes()
    return {
        "empty.mp4": b"",
        "text.mp4": b"not a video\n" * 20,
        "no_index.mp4": videos.write(folder / "late.mp4", 60).read_bytes()[:-600],
        "cut.mp4": whole[: len(whole) * 2 // 3],
        "cut.avi": avi[: len(avi) // 2],
    }


@pytest.mark.parametrize("name", ["empty.mp4", "text.mp4", "no_index.mp4", "cut.mp4", "cut.avi"])
def test_raises_on_broken_files(videos, tmp_path, name):
    path = tmp_path / f"bad_{name}"
    path.write_bytes(broken_files(tmp_path, videos)[name])
    with pytest.raises(DataError) as error:
        decode_frames(path, lambda n: np.arange(0, n, 2))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_raises_on_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.mp4"):
        decode_frames(tmp_path / "gone.mp4", lambda n: np.arange(n))


def test_raises_on_a_file_without_video(tmp_path):
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="no video stream"):
        decode_frames(tmp_path / "sound.mkv", lambda n: np.arange(n))


@pytest.mark.parametrize(("codec", "skipped"), [("h264", "NONREF"), ("mpeg4", "NONREF"), ("hevc", "DEFAULT")])
def test_skips_pictures_only_where_no_wanted_one_can_refer_to_them(codec, skipped):
    settings = []
    decoder = SimpleNamespace(name=codec, skip_frame="DEFAULT", flush_buffers=lambda: None)
    decoder.decode = lambda packet: settings.append((packet, decoder.skip_frame)) or []
    assert not list(decoding._decode_range(decoder, list("abcd"), 1, 3, {2}))
    assert settings == [("b", skipped), ("c", "DEFAULT"), ("d", skipped), (None, "DEFAULT")]


def test_a_single_frame_is_a_video(videos, tmp_path):
    path = videos.write(tmp_path / "a.avi", 1, codec="mpeg4")  # AVI has no index: decoded as a whole
    assert videos.number(decode_frames(path, lambda n: np.arange(n))[0]) == 0


def test_raises_on_a_stream_without_packets(videos, tmp_path, monkeypatch):
    path = videos.write(tmp_path / "a.mp4", 5)
    monkeypatch.setattr(decoding, "check_complete", lambda *args: None)
    monkeypatch.setattr(decoding, "build_frame_index", lambda *args: None)
    with av.open(str(path)) as container, pytest.raises(DataError, match="no frame that can be decoded"):
        decoding._decode_sequentially(path, container.streams.video[0].codec_context, [], lambda n: np.arange(n))
