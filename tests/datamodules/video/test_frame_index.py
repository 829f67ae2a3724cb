"""Presentation order and key packets, from made-up packets."""

from types import SimpleNamespace

import pytest

from datamodules.video.frame_index import IndexedFrame, build_frame_index, merge_packet_ranges

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"


def packets(*times, keys=(0,), discarded=()):
    return [
        SimpleNamespace(pts=time, is_keyframe=position in keys, is_discard=position in discarded)
        for position, time in enumerate(times)
    ]


def index(*args, **settings):
    frames = build_frame_index(MP4, "h264", packets(*args, **settings))
    return None if frames is None else [(frame.packet, frame.start) for frame in frames]


def test_frames_are_in_presentation_order():
    assert index(0, 3, 1, 2, 4) == [(0, 0), (2, 0), (3, 0), (1, 0), (4, 0)]


def test_each_group_starts_at_its_key_packet():
    assert index(0, 1, 2, 3, keys=(0, 2)) == [(0, 0), (1, 0), (2, 2), (3, 2)]


def test_leading_frames_of_an_open_group_start_one_group_earlier():
    # Packets 4 and 5 follow the key frame at 3 but are shown before it.
    assert index(0, 1, 2, 5, 3, 4, 6, keys=(0, 3)) == [(0, 0), (1, 0), (2, 0), (4, 0), (5, 0), (3, 3), (6, 3)]
    assert index(0, 1, 5, 4, 9, 8, keys=(0, 2, 4)) == [(0, 0), (1, 0), (3, 0), (2, 2), (5, 2), (4, 4)]


def test_discarded_packets_are_not_frames():
    assert index(0, 1, 2, discarded=(0, 1)) == [(2, 0)]


@pytest.mark.parametrize(
    "times, keys",
    [
        ((), ()),
        ((0, None, 1), (0,)),  # no timestamp
        ((0, 1, 1), (0,)),  # a timestamp twice
        ((0, 1, 2), (1,)),  # begins without a key frame
        ((2, 0, 1), (0,)),  # frames before the first key frame
    ],
)
def test_no_index_from_doubtful_packets(times, keys):
    assert index(*times, keys=keys) is None


@pytest.mark.parametrize("container, codec", [("avi", "h264"), ("mpegts", "h264"), (MP4, "vp8")])
def test_no_index_from_doubtful_containers_and_codecs(container, codec):
    assert build_frame_index(container, codec, packets(0, 1)) is None


def test_ranges_start_where_the_earliest_frame_needs_it():
    # A frame shown before the key frame at 12 needs the group that starts at 0, whatever else is wanted.
    frames = [IndexedFrame(pts=0, packet=13, start=12), IndexedFrame(pts=0, packet=14, start=0)]
    assert merge_packet_ranges(frames) == [(0, 14)]
    frames = [IndexedFrame(pts=0, packet=5, start=0), IndexedFrame(pts=0, packet=14, start=12)]
    assert merge_packet_ranges(frames) == [(0, 5), (12, 14)]
    needed = ((5, 0), (14, 12), (18, 12), (16, 15), (25, 24))
    frames = [IndexedFrame(pts=0, packet=packet, start=start) for packet, start in needed]
    assert merge_packet_ranges(frames) == [(0, 5), (12, 18), (24, 25)]
