"""Matroska, WebM and MP4 files cut off at any place are refused; whole ones are not."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from datamodules.check.clips import decode_clip, read_header
from datamodules.errors import DataError
from datamodules.video.decoding import decode_frames
from datamodules.video.truncation import MATROSKA, _video_duration, ends_early, find_missing_bytes

KINDS = [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.webm", "libvpx")]


@pytest.mark.parametrize(("name", "codec"), KINDS)
@pytest.mark.parametrize("share", [0.38, 0.7, 0.98])
def test_a_cut_file_is_refused_at_both_levels(videos, tmp_path, name, codec, share):
    whole = videos.write(tmp_path / name, 60, codec=codec)
    assert read_header(str(whole)).kind is None and decode_clip(str(whole), 4, "auto").num_frames == 60
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    for finding in (read_header(str(cut)), decode_clip(str(cut), 4, "auto")):
        assert finding.kind == "undecodable" and "truncated" in finding.detail
    with pytest.raises(DataError, match="is truncated"):
        decode_frames(cut, lambda n: np.arange(n))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_cut_mp4_whose_header_comes_first_is_refused(videos, tmp_path, name):
    whole = videos.write(tmp_path / name, 60, mux={"movflags": "faststart"})
    assert read_header(str(whole)).num_frames == 60
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(whole.read_bytes()[:-300])
    assert read_header(str(cut)).detail == "truncated: its header promises 300 more bytes"
    assert find_missing_bytes(str(videos.write(tmp_path / f"last_{name}", 5))) == 0


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_a_file_without_its_last_packets_ends_early(videos, tmp_path, name, codec):
    with av.open(str(videos.write(tmp_path / name, 60, codec=codec))) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert not ends_early(container, stream, packets)
        assert ends_early(container, stream, packets[:20])


@pytest.mark.parametrize("gap", [lambda n: 40 + 30 * (n % 3), lambda n: 2000 if n == 28 else 40])
def test_a_variable_rate_is_no_truncation(videos, tmp_path, gap):
    path = videos.write(tmp_path / "a.mkv", 30, gap=gap)
    assert decode_clip(str(path), 4, "auto").num_frames == 30


def test_unknown_sizes_and_other_containers_are_whole(videos, tmp_path):
    live = videos.write(tmp_path / "live.mkv", 30, mux={"live": "1"})
    live.write_bytes(live.read_bytes()[:-200])
    assert find_missing_bytes(str(live)) == 0
    assert find_missing_bytes(str(videos.write(tmp_path / "a.mp4", 5))) == 0
    head = b"\x1a\x45\xdf\xa3\x80"  # of an EBML file, with nothing in it
    for content in (b"", b"\x1a\x45", b"text", head, head + b"\xec\x8f"):  # the last promises 15 bytes of padding
        (tmp_path / "b.mkv").write_bytes(content)
        assert find_missing_bytes(str(tmp_path / "b.mkv")) == 0


def test_missing_bytes_are_counted(tmp_path):
    (tmp_path / "a.mkv").write_bytes(b"\x1a\x45\xdf\xa3\x82--" + b"\x18\x53\x80\x67\x8a" + b"1234567")
    assert find_missing_bytes(str(tmp_path / "a.mkv")) == 3


def described(seconds=None, tag="", file_seconds=None, num_streams=1):
    """A container and its video stream, as far as they say how long they are."""
    stream = SimpleNamespace(
        duration=seconds and 1000 * seconds, time_base=Fraction(1, 1000), metadata={"DURATION": tag} if tag else {}
    )
    duration = file_seconds and int(file_seconds * 10**6)
    name = SimpleNamespace(name=MATROSKA)
    return SimpleNamespace(duration=duration, streams=[stream] * num_streams, format=name, start_time=None), stream


def test_duration_of_the_video():
    assert _video_duration(*described(seconds=5, tag="00:00:09.0")) == 5
    assert _video_duration(*described(tag="01:02:03.500000000", file_seconds=9)) == 3723.5
    assert _video_duration(*described(file_seconds=10.4)) == 10.4
    assert _video_duration(*described(file_seconds=10.4, num_streams=2)) is None  # audio may be longer
    assert _video_duration(*described()) is None


@pytest.mark.parametrize(("shown", "is_early"), [(5.0, False), (4.9, True)])
def test_half_of_the_duration_counts_from_the_start_of_the_file(shown, is_early):
    container, stream = described(seconds=10)
    container.start_time = 10**12  # recorders write such clocks
    packets = [
        SimpleNamespace(pts=10**9 + int(1000 * shown) - 40, duration=40),
        SimpleNamespace(pts=None, duration=None),
    ]
    assert ends_early(container, stream, packets) == is_early
