"""The generated dataset: real video files, classes that differ by motion, and reproducible content."""

import av
import numpy as np
import pytest

from datamodules.synthetic.moving_shapes import (
    CLASSES,
    COLORS,
    MOTIONS,
    SHAPES,
    draw_video,
    write_synthetic_dataset,
    write_video,
)
from datamodules.video.decoding import decode_frames


def draw(motion, seed=0, shape="circle"):
    rng = np.random.default_rng(seed)
    return draw_video(COLORS["red"], SHAPES[shape], MOTIONS[motion], 20, (64, 80), rng)


def center_of_red(frame):
    red = (frame[..., 0].astype(int) - frame[..., 1]) > 60
    return np.argwhere(red).mean(axis=0)


def test_same_seed_gives_the_same_files(tmp_path):
    for run in ("a", "b"):
        write_synthetic_dataset(tmp_path / run, train_clips=1, test_clips=1, seconds=0.5, seed=3)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == len(CLASSES) * (2 + 3)
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_files_are_h264_with_b_frames_and_several_key_frames(tmp_path):
    root = write_synthetic_dataset(tmp_path, train_clips=1, test_clips=1)
    with av.open(str(next(root.rglob("*.mp4")))) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert stream.codec_context.name == "h264" and 2 <= len(packets) / 24 <= 4
        assert sum(packet.is_keyframe for packet in packets) > 1
        assert [packet.pts for packet in packets] != sorted(packet.pts for packet in packets)  # B-frames


def test_split_files_have_the_format_of_hmdb51(synthetic_root):
    for name in CLASSES:
        folder = name.replace(" ", "_")
        tests = []
        for split in (1, 2, 3):
            rows = (synthetic_root / f"{folder}_test_split{split}.txt").read_text().splitlines()
            flags = dict(row.split() for row in rows)
            assert sorted(flags) == sorted(path.name for path in (synthetic_root / folder).iterdir())
            assert sorted(flags.values()) == ["1"] * 4 + ["2"] * 2
            tests.append({clip for clip, flag in flags.items() if flag == "2"})
        assert len(set.union(*tests)) == 6  # every clip is tested in one of the three splits


def test_left_and_right_differ_only_in_the_order_of_frames():
    left, right = draw("moving left"), draw("moving right")
    assert np.array_equal(left[::-1], right)
    assert center_of_red(left[0])[1] > center_of_red(left[-1])[1] + 30


def test_motions_match_their_names():
    assert np.array_equal(draw("standing still")[0], draw("standing still")[-1])
    area = [(frame != draw("standing still", shape="square")[0]).any() for frame in draw("growing", shape="square")]
    assert any(area)
    rows, columns = np.array([center_of_red(frame) for frame in draw("bouncing up and down")]).T
    assert np.ptp(rows) > 20 and np.ptp(columns) < 2
    rows, columns = np.array([center_of_red(frame) for frame in draw("swinging sideways")]).T
    assert np.ptp(columns) > 20 and np.ptp(rows) < 2


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_motion_but_standing_still_changes_the_frames(motion):
    frames = draw(motion, shape="cross")
    assert (frames != frames[0]).any() == (motion != "standing still")


def test_written_video_can_be_read(tmp_path):
    frames = draw("moving left")
    write_video(tmp_path / "a.mp4", frames)
    read = decode_frames(tmp_path / "a.mp4", np.arange)
    assert read.shape == frames.shape and np.abs(read.astype(int) - frames).mean() < 12
