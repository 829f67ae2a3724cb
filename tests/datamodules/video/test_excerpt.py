"""An excerpt has the frames that decoding from the start would show."""

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.synthetic.video_files import write_video
from datamodules.video.excerpt import read_excerpt


@pytest.fixture
def film(tmp_path):
    """Thirty seconds, of which each has one gray level."""
    levels = np.repeat(np.arange(0, 240, 8, dtype=np.uint8), 8)
    write_video(tmp_path / "a.mp4", np.broadcast_to(levels[:, None, None, None], (240, 32, 48, 3)).copy(), 8)
    return tmp_path / "a.mp4"


@pytest.mark.parametrize("start", [0, 7, 14, 25])
def test_frames_are_those_of_their_seconds(film, start):
    images = read_excerpt(film, start, start + 5, 5)
    assert [image.shape for image in images] == 5 * [(32, 48, 3)]
    assert [image.mean() for image in images] == pytest.approx([8 * (start + n) for n in range(5)], abs=4)


def test_beyond_the_end(film):
    images = read_excerpt(film, 28, 40, 3)
    assert [image.mean() for image in images] == pytest.approx([8 * 29] * 3, abs=4)


def test_what_cannot_be_decoded(tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"bad\.mp4 cannot be decoded as a video"):
        read_excerpt(tmp_path / "bad.mp4", 0, 1, 1)
