"""Films through the codec: every frame is encoded alike, so that its quality does not tell its time."""

import av
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.synthetic import video_files
from datamodules.synthetic.actions import SEEN
from datamodules.synthetic.behaviors import LENGTH
from datamodules.synthetic.drawing import draw_frames
from datamodules.synthetic.films import FRAMES_PER_SECOND, draw_film, stack_frames
from datamodules.synthetic.video_files import check_codec, write_films, write_video
from datamodules.video.decoding import decode_frames

SIZE = 32


def drawn(action, number):
    frames = stack_frames([draw_film(action, 0, number)], np.arange(LENGTH)[None])
    return draw_frames(frames, SIZE).movedim(1, -1).numpy()


@pytest.fixture
def film(tmp_path):
    """A file of film 3 of `a flower growing`, whose later frames need more bits, and its frames as drawn."""
    write_films(tmp_path / "films", SEEN[28], [3], SIZE, world_seed=0)
    return tmp_path / "films" / "a_flower_growing_3.mp4", drawn(SEEN[28], 3)


def test_a_file_shows_the_film(film):
    file, frames = film
    read = decode_frames(file, np.arange)
    assert read.shape == frames.shape == (LENGTH, SIZE, SIZE, 3)
    assert np.abs(read.astype(int) - frames).mean() < 5  # colors have half the resolution


def test_every_frame_is_a_key_frame_in_order(film):
    with av.open(str(film[0])) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", FRAMES_PER_SECOND)
    assert len(packets) == LENGTH and all(packet.is_keyframe for packet in packets)
    assert [packet.pts for packet in packets] == sorted(packet.pts for packet in packets)


def test_a_film_and_its_reversal_have_the_same_frames_after_the_codec(film, tmp_path):
    """With predicted frames or a quantizer that adapts, they would not, and frames would tell the order."""
    file, frames = film
    write_video(tmp_path / "reversed.mp4", frames[::-1])
    assert np.array_equal(decode_frames(tmp_path / "reversed.mp4", np.arange)[::-1], decode_frames(file, np.arange))


def test_equal_frames_stay_equal(film, tmp_path):
    still = np.repeat(film[1][:1], LENGTH, axis=0)
    write_video(tmp_path / "still.mp4", still)
    read = decode_frames(tmp_path / "still.mp4", np.arange)
    assert (read == read[0]).all()


def test_raises_without_an_encoder(monkeypatch):
    check_codec()
    monkeypatch.setattr(video_files, "CODEC", "libx264_of_another_build")
    with pytest.raises(DataError, match=r"^This PyAV has no H\.264 encoder \(libx264_of_another_build\); install it"):
        check_codec()
