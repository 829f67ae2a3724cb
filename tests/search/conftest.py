"""A recognizer of the tiny model, and films of noise."""

import numpy as np
import pytest

from datamodules.options import ClipOptions
from datamodules.synthetic.video_files import write_video
from tc_clip_pl.inference.recognizer import Recognizer

OPTIONS = ClipOptions(num_frames=4, image_size=32, batch_size=2, num_workers=0)


@pytest.fixture
def recognizer(tiny_model):
    return Recognizer(tiny_model.float(), OPTIONS, "cpu")


@pytest.fixture
def write_film():
    """Write a film of noise, 8 frames per second."""

    def write(path, seconds, seed):
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = np.random.default_rng(seed).integers(0, 255, (8 * seconds, 40, 56, 3), dtype=np.uint8)
        write_video(path, frames, 8)
        return str(path)

    return write
