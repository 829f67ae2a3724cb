"""A small dataset that splits unevenly over processes, and runs of the command line in one and in two."""

import json
import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import lightning.pytorch  # noqa: F401 (its log handler keeps the stderr of its import, which must outlive each test)
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.multiprocessing import start_processes

from datamodules import HMDB51DataModule
from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from datamodules.video.samplers import TrainingSampler
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.cli import main

from .processes import run_worker

TRAIN_CLIPS, TEST_CLIPS = 22, 15
CUT_TRAIN_CLIPS, CUT_TEST_CLIPS = 2, 1
ACTIONS = DEMO[:8]
DDP = "ddp"
FSDP = json.dumps({"class_path": "ModelParallelStrategy", "init_args": {"save_distributed_checkpoint": False}})


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """22 training clips, so that with batches of 2 only one of 2 processes has a last batch; 15 test clips."""
    folder = tmp_path_factory.mktemp("demo")
    root = write_synthetic_dataset(folder / "data", ACTIONS, unseen=(), train_films=3, test_films=2, size=48)
    train, test = _split_lines(root, "1"), _split_lines(root, "2")
    for path, line in (train[0], train[3], test[-1]):
        path.write_text(path.read_text().replace(line, f"{line[:-1]}0"))  # 0: in neither half
    save_tiny_clip(folder / "clip", [action.name for action in ACTIONS], image_size=32)
    return folder


@pytest.fixture(scope="session")
def cut_clips(demo):
    """Truncates three files: a whole training batch of the second process, and a test clip."""
    data = HMDB51DataModule(root=str(demo / "data"))
    data.setup()
    batch = [key.index for key in TrainingSampler(TRAIN_CLIPS, 2, seed=1024, rank=1, world_size=2)][:CUT_TRAIN_CLIPS]
    records = [*(data.datasets["train"].records[index] for index in batch), data.test_datasets[0].records[1]]
    for record in records:
        with open(record.path, "rb+") as file:
            file.truncate(600)
    return [record.video_id for record in records]


def _split_lines(root, half):
    """(file, line) of every clip of the first split's training (1) or test (2) half."""
    files = sorted(root.glob("annotations/*_test_split1.txt"))
    lines = [(file, line.strip()) for file in files for line in file.read_text().splitlines()]
    return [(file, line) for file, line in lines if line.endswith(half)]


@pytest.fixture(scope="session")
def arguments(demo, demo_config, cut_clips):
    """Options of every run: 2 epochs of 3 optimizer steps, mixed pairs, no randomness that depends on the process."""
    return [
        "--config", demo_config, "--data.root", f"{demo}/data", "--model.pretrained", f"{demo}/clip",
        "--data.num_workers", "0", "--data.on_bad_video", "skip",
        "--data.batch_size", "2", "--data.global_batch_size", "8", "--data.remainder", "keep",
        "--data.augmentation.mix_probability", "1", "--data.num_frames", "4",
        "--model.optimizer.lr", "1e-4", "--model.lr_scheduler.warmup_epochs", "0",
        "--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1",
        "--trainer.num_sanity_val_steps", "0", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def run_one(arguments):
    """Runs `tcclip SUBCOMMAND` here; returns the run's folder."""

    def run(subcommand, folder, *options):
        assert main([subcommand, *arguments, "--output_dir", str(folder), *options]) == 0
        return Path(folder) / "demo" / "version_0"

    return run


@pytest.fixture(scope="session")
def run_two(arguments):
    """Runs `tcclip SUBCOMMAND` in two processes; returns the completed process."""

    def run(subcommand, folder, strategy, *options):
        command = [sys.executable, "-m", "tc_clip_pl", subcommand, *arguments, "--output_dir", str(folder), *options]
        path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(
            [*command, "--trainer.devices", "2", "--trainer.strategy", strategy],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def server():
    """Forks processes that have imported everything once: as clean as new ones, and much faster."""
    forkserver._forkserver._stop()  # one that an earlier test started has imported less
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tc_clip_pl.cli.experiment"])


@pytest.fixture
def in_two_processes(server, monkeypatch, tmp_path, pytestconfig):
    """Runs `worker(join, *arguments)` in two processes, which meet in `join()`; raises what one of them raises."""
    monkeypatch.syspath_prepend(pytestconfig.rootpath)  # the processes import the worker by its name

    def run(worker, *arguments):
        meeting_point = f"file://{tmp_path}/meeting_point"
        start_processes(run_worker, (meeting_point, worker, arguments), nprocs=2, start_method="forkserver")

    return run


def read_curves(folder):
    """Scalars of a run by name: those of every optimizer step, epoch and validation."""
    curves = {}
    for file in sorted(Path(folder).glob("events*")):
        events = EventAccumulator(str(file))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            curves.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    return curves


def read_results(folder):
    return json.loads((Path(folder) / "results.json").read_text())
