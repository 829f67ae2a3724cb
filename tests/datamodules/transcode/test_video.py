"""A copy has the frames of its source, in their order and at their times, and is quick to read."""

import os
import struct

import av
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.transcode import video as transcoded
from datamodules.transcode.video import VideoSettings, WriteError, copy_size, transcode_video
from datamodules.video.decoding import decode_frames

EXACT = VideoSettings(crf=0)


def copied(source, tmp_path, settings=EXACT):
    target = tmp_path / "copy"
    count = transcode_video(str(source), str(target), settings)
    frames = decode_frames(target, np.arange)
    assert len(frames) == count
    return frames


def packets(path):
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def times(path):
    found = packets(path)
    return [float((packet.pts - found[0].pts) * packet.time_base) for packet in sorted(found, key=lambda p: p.pts)]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3", "g": "30"}),
        ("a.avi", "mpeg4", {"bf": "2", "g": "12"}),
        ("a.mkv", "libx264", {"x264-params": "open-gop=1:keyint=10:bframes=3"}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.mpg", "mpeg2video", {}),
    ],
)
def test_same_frames_in_the_same_order(videos, tmp_path, name, codec, options):
    source = videos.write(tmp_path / name, 50, codec=codec, options=options)
    frames = copied(source, tmp_path, VideoSettings())
    assert [videos.number(frame) for frame in frames] == list(range(50))
    assert times(tmp_path / "copy") == pytest.approx(np.arange(50) / 25, abs=1e-3)


def test_keeps_irregular_times(videos, tmp_path):
    source = videos.write(tmp_path / "a.mkv", 20, gap=lambda number: 200 if number % 3 else 40)
    assert len(copied(source, tmp_path)) == 20
    assert times(tmp_path / "copy") == pytest.approx(times(source), abs=2e-3)


def test_has_a_key_frame_every_few_frames_and_nothing_else_but_pictures(videos, tmp_path):
    source = videos.write(tmp_path / "a.mp4", 21)
    for every in (1, 4, 8):
        copied(source, tmp_path, VideoSettings(key_every=every))
        keys = [number for number, packet in enumerate(packets(tmp_path / "copy")) if packet.is_keyframe]
        assert keys == list(range(0, 21, every))
    with av.open(str(tmp_path / "copy")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert not container.streams.video[0].codec_context.has_b_frames
    content = (tmp_path / "copy").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 360), (456, 256)), ((360, 640), (256, 456)), ((256, 256), (256, 256)), ((128, 64), (128, 64))],
)
def test_size(videos, tmp_path, size, expected):
    frames = copied(videos.write(tmp_path / "a.mp4", 3, size=size), tmp_path)
    assert frames.shape[1:3] == expected[::-1]
    assert [videos.number(frame) for frame in frames] == [0, 1, 2]


def test_turns_a_video_upright(videos, tmp_path):
    source = videos.write(tmp_path / "a.mp4", 3)
    content = source.read_bytes()
    matrix = content.index(b"tkhd") + 44
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    source.write_bytes(content[:matrix] + quarter + content[matrix + 36 :])
    frames = copied(source, tmp_path)
    assert frames.shape[1:] == (128, 64, 3)
    assert [videos.number(np.rot90(frame)) for frame in frames] == [0, 1, 2]


def test_odd_sizes_lose_a_pixel():
    assert copy_size(201, 151, 256) == (200, 150)
    assert copy_size(1, 1, 256) == (2, 2)
    assert copy_size(1921, 1081, 256) == (454, 256)


@pytest.mark.parametrize("colorspace", [1, 5, 2])
@pytest.mark.parametrize("color_range", [1, 2])
def test_keeps_the_colors(tmp_path, colorspace, color_range):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :32], image[:, 32:64], image[:, 64:] = (200, 30, 30), (30, 200, 30), (60, 60, 220)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, color_range
        frame = av.VideoFrame.from_ndarray(image, "rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=colorspace, dst_color_range=color_range)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames = copied(tmp_path / "a.mp4", tmp_path)
    before = decode_frames(tmp_path / "a.mp4", np.arange).astype(int)
    for x in (16, 48, 80):
        assert np.abs(before[0, 32, x] - image[32, x]).max() < 6  # the test's own video is right
        assert np.abs(frames[0, 32, x] - before[0, 32, x]).max() < 3


def test_quality(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        image = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(96, 64, "yuv420p", interpolation="BICUBIC")
        container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    before = decode_frames(tmp_path / "a.mp4", np.arange).astype(int)
    settings = [VideoSettings(crf=crf) for crf in (0, 20, 45)]
    errors = [np.abs(copied(tmp_path / "a.mp4", tmp_path, each) - before).mean() for each in settings]
    assert errors[0] < 0.1 < errors[1] < errors[2] / 2


def test_raises_on_a_truncated_source(videos, tmp_path):
    source = videos.write(tmp_path / "a.mp4", 50, mux={"movflags": "faststart"})
    os.truncate(source, source.stat().st_size - 500)
    with pytest.raises(DataError, match=r"a\.mp4 is truncated"):
        transcode_video(str(source), str(tmp_path / "copy"), EXACT)


def test_raises_on_a_source_that_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(DataError, match=r"a\.mp4 cannot be decoded as a video"):
        transcode_video(str(tmp_path / "a.mp4"), str(tmp_path / "copy"), EXACT)
    assert not (tmp_path / "copy").exists()


def test_raises_where_nothing_can_be_written(videos, tmp_path):
    source = videos.write(tmp_path / "a.mp4", 3)
    with pytest.raises(WriteError) as raised:
        transcode_video(str(source), str(tmp_path / "missing" / "copy"), EXACT)
    assert raised.value.filename == f"{tmp_path}/missing/copy"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is always full")
def test_raises_where_the_disk_is_full(videos, tmp_path):
    source = videos.write(tmp_path / "a.mp4", 50)
    with pytest.raises(WriteError, match="No space left on device"):
        transcode_video(str(source), "/dev/full", EXACT)


def test_raises_where_the_copy_differs(videos, tmp_path, monkeypatch):
    source = videos.write(tmp_path / "a.mp4", 5)
    monkeypatch.setattr(transcoded, "decode_frames", lambda path, choose: np.zeros((2, 64, 128, 3))[: choose(4).size])
    with pytest.raises(DataError, match=r"has 5 frames, to be written as 128 x 64, but its copy has 4 of 128 x 64"):
        transcode_video(str(source), str(tmp_path / "copy"), EXACT)
