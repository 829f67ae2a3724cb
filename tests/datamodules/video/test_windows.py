"""Windows of a long video hold the frames that a cut file would, without keeping more than one window."""

import weakref

import av
import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.options import ClipOptions
from datamodules.transforms.spatial import build_evaluation_crop, short_side
from datamodules.video.decoding import decode_frames
from datamodules.video.frame_sampling import multi_view
from datamodules.video.truncation import check_complete
from datamodules.video.windows import (
    PacketFacts,
    WindowSampling,
    decode_windows,
    measure_duration,
    plan_windows,
    sampling_of_tests,
)

from ..conftest import read_number, write_numbered


def numbers(window):
    """(V, T) frame numbers of a window of numbered frames."""
    return [[read_number(frame.movedim(0, -1).numpy()) for frame in view] for view in window.clip]


def identity(frame):
    return frame


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (3.0, [(0, 3.0)]),
        (10.0, [(0, 10)]),
        (10.5, [(0, 10), (5, 10.5)]),
        (20.0, [(0, 10), (5, 15), (10, 20)]),
    ],
)
def test_windows_cover_a_video_once(duration, expected):
    assert plan_windows(duration, length=10, stride=5) == expected


def test_windows_hold_the_frames_of_cut_files(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 200, options={"g": "30", "bf": "2"})  # 8 s
    assert measure_duration(path) == pytest.approx(8.0)
    found = list(decode_windows(path, 2.0, 1.0, WindowSampling(num_frames=5, num_views=2, transform=identity)))
    assert [(w.start, w.end) for w in found] == [(n, n + 2) for n in range(7)]
    for n, window in enumerate(found):
        assert numbers(window) == (25 * n + multi_view(50, 5, 2)).tolist()


def test_last_window_may_be_short(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 60)  # 2.4 s
    found = list(decode_windows(path, 2.0, 2.0, WindowSampling(num_frames=2, num_views=1, transform=identity)))
    assert (found[-1].start, found[-1].end) == (2.0, pytest.approx(2.4))
    assert numbers(found[-1]) == [[52, 57]]


def test_time_counts_where_the_rate_varies(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 20, gap=lambda n: 40 if n < 10 else 200)  # 10 frames in 0.4 s, 10 in 2 s
    (window,) = decode_windows(path, 10.0, 10.0, WindowSampling(num_frames=6, num_views=1, transform=identity))
    assert numbers(window) == [[4, 10, 12, 14, 16, 18]]  # at 0.19, 0.56, 0.93, ... of 2.24 s


def test_crops_are_views(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 10)
    (window,) = decode_windows(path, 1.0, 1.0, WindowSampling(3, 2, build_evaluation_crop(32, num_spatial_views=3)))
    assert window.clip.shape == (6, 3, 3, 32, 32) and window.clip.dtype == torch.uint8


def test_the_decoder_shrinks_frames_as_for_clips_unless_told_otherwise(tmp_path):
    path, shapes = write_numbered(tmp_path / "a.mp4", 10), []
    for exact in (False, True):
        sampling = sampling_of_tests(ClipOptions(num_frames=10, image_size=16, exact_decoding=exact))
        resize, crop = sampling.transform.transforms

        def seen(frame, resize=resize, crop=crop):
            shapes.append(frame.shape[-2:])
            return crop(resize(frame))

        (window,) = decode_windows(path, 1.0, 1.0, sampling._replace(transform=seen))
        frames = decode_frames(path, np.arange, short_side=None if exact else short_side(16))
        expected = build_evaluation_crop(16, 1)(torch.from_numpy(frames).movedim(-1, 1))
        assert torch.equal(window.clip[0], expected)
    assert shapes == 10 * [(18, 36)] + 10 * [(64, 128)]


def test_memory_is_bounded_by_a_window(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 250)
    alive, most = weakref.WeakSet(), 0

    def counted(frame):
        nonlocal most
        alive.add(frame)
        most = max(most, len(alive))
        return frame

    for _ in decode_windows(path, 1.0, 0.5, WindowSampling(num_frames=4, num_views=1, transform=counted)):
        pass
    assert most <= 2 * 4 + 2


def test_a_stream_without_timestamps_counts_frames(tmp_path):
    path = write_numbered(tmp_path / "a.h264", 50)
    (window,) = decode_windows(path, 10.0, 10.0, WindowSampling(num_frames=2, num_views=1, transform=identity))
    assert numbers(window) == [[12, 37]]


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"no\.mp4 cannot be decoded as a video"):
        list(decode_windows(tmp_path / "no.mp4", 1.0, 1.0, WindowSampling(2, 1, identity)))
    whole = write_numbered(tmp_path / "whole.mp4", 50, mux={"movflags": "faststart"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:-500])
    with pytest.raises(DataError, match=r"cut\.mp4 is truncated"):
        list(decode_windows(tmp_path / "cut.mp4", 1.0, 1.0, WindowSampling(2, 1, identity)))
    whole = write_numbered(tmp_path / "whole.avi", 50, codec="mpeg4").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: -len(whole) // 3])
    with pytest.raises(DataError, match=r"cut\.avi is truncated: its header promises 50 frames"):
        list(decode_windows(tmp_path / "cut.avi", 1.0, 1.0, WindowSampling(2, 1, identity)))


def test_matroska_without_its_last_packets_is_truncated(tmp_path):
    path = write_numbered(tmp_path / "a.mkv", 50)
    assert measure_duration(path) == pytest.approx(2.0)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        early = [PacketFacts(p.pts, p.duration or 0, p.is_discard, p.is_corrupt) for p in packets[:20]]
        with pytest.raises(DataError, match=r"a\.mkv is truncated: it ends long before its duration is over"):
            check_complete(path, container, container.streams.video[0], early)
