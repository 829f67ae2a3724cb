"""Frames shrunk while they are decoded have torchvision's size, and nearly its pixels."""

import av
import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from datamodules.video.decoding import decode_frames
from datamodules.video.pictures import shrunk_size

LEVELS = 2  # of 255, on average: what shrinking in the decoder may change
# Encoder, pixel format, container: color at half and full resolution, 10 bits, full range, gray, RGB, a palette.
FORMATS = [
    *(("libx264", kind, "mp4") for kind in ("yuv420p", "yuv444p", "yuv422p", "yuv420p10le")),
    *(("ffv1", kind, "mkv") for kind in ("gray", "bgr0", "yuva420p")),
    *(("mjpeg", "yuvj420p", "avi"), ("gif", "rgb8", "gif"), ("mpeg4", "yuv420p", "avi")),
]


def texture(height, width, seed=0):
    """A picture with the spectrum of natural ones: amplitudes fall with the frequency, those of color faster."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))) + 1 / max(height, width)
    noise = np.fft.fft2(rng.normal(size=(4, height, width)))
    gray, *color = np.fft.ifft2(noise / frequency ** np.array([1, 1.5, 1.5, 1.5])[:, None, None]).real
    gray, color = 45 * gray / gray.std(), 15 * np.stack(color) / np.std(color)
    return (128 + gray + color).clip(0, 255).astype(np.uint8).transpose(1, 2, 0).copy()


@pytest.fixture
def write(tmp_path):
    """Writes a few frames of texture."""

    def write(codec="libx264", pix_fmt="yuv420p", extension="mp4", size=(340, 256)):
        path = tmp_path / f"texture.{extension}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25, options={"crf": "18"} if codec == "libx264" else {})
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            if codec == "mpeg4":
                stream.bit_rate = 4_000_000
            for number in range(4):
                picture = np.roll(texture(size[1], size[0]), 8 * number, axis=1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        return path

    return write


def resized(path, short_side):
    frames = torch.from_numpy(decode_frames(path, np.arange)).movedim(-1, 1)
    return v2.Resize(short_side, antialias=True)(frames).movedim(1, -1).numpy()


def difference(path, short_side):
    shrunk, expected = decode_frames(path, np.arange, short_side=short_side), resized(path, short_side)
    assert shrunk.shape == expected.shape and shrunk.dtype == np.uint8
    return np.abs(shrunk.astype(int) - expected).mean()


def test_sizes_are_those_of_torchvision():
    rng = np.random.default_rng(0)
    for width, height, short_side in rng.integers(1, 400, size=(500, 3)).tolist():
        kept = min(short_side, width, height)
        expected = v2.Resize(kept)(torch.empty(1, height, width, dtype=torch.uint8)).shape
        assert shrunk_size(width, height, short_side) == (expected[2], expected[1])
        assert shrunk_size(width, height, None) == (width, height)


@pytest.mark.parametrize(("codec", "pix_fmt", "extension"), FORMATS)
def test_pixels_are_nearly_those_of_torchvision(write, codec, pix_fmt, extension):
    path = write(codec, pix_fmt, extension)
    # A palette is dithered, which is the finest detail there is.
    assert difference(path, 224) < (4 if extension == "gif" else LEVELS)


@pytest.mark.parametrize("short_side", [31, 64, 112, 200, 255])
@pytest.mark.parametrize("size", [(426, 240), (256, 340), (640, 360)])
def test_any_reduction_is_close(write, size, short_side):
    assert difference(write(size=size), min(short_side, min(size) - 1)) < LEVELS


@pytest.mark.parametrize("short_side", [256, 300, None])
def test_frames_that_are_not_larger_stay_as_they_are(write, short_side):
    path = write()
    assert np.array_equal(
        decode_frames(path, np.arange, short_side=short_side), decode_frames(path, np.arange, short_side=None)
    )


def test_a_shrunk_frame_is_the_same_wherever_it_stands(write):
    path = write()
    every = decode_frames(path, np.arange, short_side=100)
    some = decode_frames(path, lambda n: np.array([[3, 0], [3, 1]]), short_side=100)
    assert np.array_equal(some, every[[[3, 0], [3, 1]]])
