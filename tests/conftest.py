"""Fixtures for several test folders: a tiny CLIP and a tiny TC-CLIP.

Torch and the model are imported where they are used: the process that only hands out the tests reads this file too.
"""

import gc
import os
import shutil
from pathlib import Path

if not shutil.which("nvidia-smi"):
    # Without a GPU the kernels are tested by Triton's interpreter. Triton reads this when torch imports it.
    os.environ["TRITON_INTERPRET"] = "1"

import pytest

CLASS_NAMES = ["brush hair", "cartwheel", "draw sword", "ride bike", "shake hands"]

# Next to nothing of what is imported and collected is ever garbage, and to look through it takes half a second.
gc.disable()


def pytest_collection_finish():
    """Look for garbage from here on, rarely, and only in what the tests make."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Run torch on one thread: tiny tensors gain nothing from more, and parallel test workers lose much."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep what tests remember of checked clips out of the user's cache directory, in other processes as well."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["XDG_CACHE_HOME"]
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def demo_config():
    """The configuration of a small demo, in the layout of HMDB-51: that of `tcclip tour` takes minutes."""
    return str(Path(__file__).parent / "demo.yaml")


@pytest.fixture(scope="session")
def tiny_clip_folder(tmp_path_factory):
    """A folder with a plain tiny CLIP: 32-pixel frames of 16 patches, three layers."""
    from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip

    return save_tiny_clip(tmp_path_factory.mktemp("tiny_clip"), CLASS_NAMES, image_size=32)


@pytest.fixture
def tiny_model(tiny_clip_folder):
    """A tiny TC-CLIP in float64, made from the tiny CLIP, with five classes and a bias large enough to matter."""
    import torch

    from tc_clip_pl import TCCLIP

    torch.manual_seed(0)
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6, merges_per_round=4).double()
    for layer in model.vision_model.encoder.layers[1:]:
        torch.nn.init.normal_(layer.self_attn.local_global_bias)
    model.set_class_names(CLASS_NAMES)
    return model


@pytest.fixture
def tiny_video():
    """Two videos of four frames for the tiny model, float64."""
    import torch

    return torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
