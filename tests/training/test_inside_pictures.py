"""Pictures for TensorBoard leave the training as it is."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tc_clip_pl.cli import main
from tc_clip_pl.training.inside_pictures import InsidePictures

CALLBACK = "--trainer.callbacks+=tc_clip_pl.training.inside_pictures.InsidePictures"


@pytest.fixture
def fit(tmp_path, demo_config, tiny_clip_folder, monkeypatch):
    """Train two epochs of the small demo; return the events and the accuracy."""
    from datamodules.synthetic.actions import DEMO
    from datamodules.synthetic.write_dataset import write_synthetic_dataset

    monkeypatch.chdir(tmp_path)
    write_synthetic_dataset(tmp_path / "data", DEMO, unseen=(), train_films=2, test_films=1)

    def fit(name, *options):
        argv = ["--data.root", "data", "--model.pretrained", str(tiny_clip_folder), "--data.num_workers", "0"]
        argv += ["--data.image_size", "32", "--model.config.num_context_tokens", "8", "--output_dir", name]
        argv += ["--pictures", "false"]  # of the confusions
        argv += ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.accelerator", "cpu"]
        assert main(["fit", "--config", demo_config, *argv, *options]) == 0
        (results,) = (tmp_path / name).rglob("results.json")
        events = EventAccumulator(str(results.parent), size_guidance={"images": 0, "scalars": 0}).Reload()
        return events, json.loads(results.read_text())["runs"]

    return fit


def test_pictures_change_nothing_but_the_log(fit):
    plain, results = fit("plain")
    drawn, results_drawn = fit("drawn", CALLBACK, "--trainer.callbacks.init_args.num_clips=1")
    assert results == results_drawn
    tags = [tag for tag in plain.Tags()["scalars"] if "loss" in tag]
    losses = [[[event.value for event in each.Scalars(tag)] for tag in tags] for each in (plain, drawn)]
    assert tags and losses[0] == losses[1]
    assert not [tag for tag in plain.Tags()["images"] if tag.startswith("inside")]
    assert [tag for tag in drawn.Tags()["images"] if tag.startswith("inside")] == ["inside/0"]
    assert len(drawn.Images("inside/0")) == 2


def test_numbers_are_checked():
    with pytest.raises(ValueError, match="must be at least 1"):
        InsidePictures(num_clips=0)
