"""The demo in small: real video files of eight classes, and a tiny CLIP."""

import lightning.pytorch  # noqa: F401 (its log handler keeps the stderr of its import, which must outlive each test)
import pytest

from datamodules.synthetic.moving_shapes import CLASSES, write_synthetic_dataset
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.cli import main


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_synthetic_dataset(folder / "data", train_clips=4, test_clips=2, seconds=1.0)
    save_tiny_clip(folder / "tiny_clip", CLASSES)
    return folder


@pytest.fixture
def run(demo, tmp_path, monkeypatch, capsys):
    """Runs `tcclip WORDS` in an empty directory on the small demo; gives exit code, output and error output."""
    monkeypatch.chdir(tmp_path)

    def run(*words, on_demo=True):
        places = ["--data.root", f"{demo}/data", "--model.pretrained", f"{demo}/tiny_clip", "--data.num_workers", "0"]
        quick = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
        words = [*words[:1], "--config", "demo.yaml", *places, *quick, *words[1:]] if on_demo else words
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
