"""Videos written by the tests: each frame carries its own number in blocks of brightness."""

from fractions import Fraction

import av
import numpy as np
import pytest

from datamodules.synthetic import write_synthetic_dataset

BITS = 8


def numbered_frame(number, width, height):
    """Draws the bits of `number` as black and white columns."""
    columns = np.arange(width) * BITS // width
    row = np.where((number >> columns) & 1, 235, 20).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def read_number(image):
    """Reads the number off a (H, W, 3) picture."""
    height, width = image.shape[:2]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    strip = image[height // 4 : -(height // 4), :].mean(axis=(0, 2))
    return int(sum((strip[centre] > 127) << bit for bit, centre in enumerate(centres)))


def write_numbered(path, count, codec="libx264", options=None, size=(128, 64), gap=None, pix_fmt="yuv420p", mux=None):
    """Writes `count` numbered frames; `gap(number)` gives the milliseconds until the next frame."""
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        if gap:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        time = 0
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, *size), format="rgb24")
            if gap:
                frame.pts, frame.time_base = time, Fraction(1, 1000)
                time += gap(number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory):
    """A small synthetic data set: 8 classes of 4 training and 2 test clips."""
    return write_synthetic_dataset(tmp_path_factory.mktemp("synthetic"), train_clips=4, test_clips=2, seconds=1.0)


@pytest.fixture(scope="session")
def videos():
    """The functions above, for test modules."""

    class Videos:
        write, number = staticmethod(write_numbered), staticmethod(read_number)

    return Videos
