"""A model from anything that holds one, with the options of its input."""

import json
import shutil

import pytest

from datamodules.errors import DataError
from datamodules.input_contract import write_input_contract
from datamodules.options import ClipOptions
from tc_clip_pl.inference.model_source import load_source, recorded_input
from tc_clip_pl.training.checkpoint import CheckpointFacts


def test_plain_clip_answers_frame_by_frame_with_its_own_colors(tiny_clip_folder, tmp_path):
    model, options = load_source(tiny_clip_folder)
    assert model.config.reference_tokens == "none" and model.config.prompting == "template"
    assert (options.image_size, options.mean) == (32, ClipOptions().mean)
    shutil.copytree(tiny_clip_folder, tmp_path / "clip")
    colors = {"image_mean": [0.2, 0.4, 0.6], "image_std": [0.1, 0.1, 0.2]}
    (tmp_path / "clip" / "preprocessor_config.json").write_text(json.dumps(colors))
    _, options = load_source(tmp_path / "clip")
    assert options.mean == pytest.approx((51, 102, 153)) and options.std == pytest.approx((25.5, 25.5, 51))
    (tmp_path / "clip" / "preprocessor_config.json").write_text("{}")
    with pytest.raises(DataError, match="does not name image_mean"):
        load_source(tmp_path / "clip")


def test_plain_clip_takes_options(tiny_clip_folder):
    model, options = load_source(tiny_clip_folder, num_frames=4, num_context_tokens=6)
    assert model.config.reference_tokens == "context" and options.num_frames == 4


def test_saved_folder_says_its_input(tiny_model, tmp_path):
    tiny_model.float().save_pretrained(tmp_path)
    _, options = load_source(tmp_path)
    assert (options.num_frames, options.image_size, options.num_temporal_views) == (4, 32, 2)
    write_input_contract(tmp_path, ClipOptions(num_frames=4, image_size=32, num_temporal_views=3, mean=(1.0, 2.0, 3.0)))
    model, options = load_source(tmp_path)
    assert (options.num_temporal_views, options.mean) == (3, (1.0, 2.0, 3.0))
    assert model.config.num_context_tokens == 6


def test_folders_of_other_kinds(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds neither a model \(config\.json\) nor a run"):
        load_source(tmp_path)
    for run in ("version_0", "version_1"):
        (tmp_path / run / "checkpoints").mkdir(parents=True)
        (tmp_path / run / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(ValueError, match=r"holds several runs \(.*version_0, .*version_1\): name one of them"):
        load_source(tmp_path)


def test_input_of_a_suite_is_that_of_its_training(tmp_path):
    train = {
        "class_path": "datamodules.HMDB51DataModule",
        "init_args": {"mean": [1.0, 2.0, 3.0], "frame_sampling": None},
    }
    data = {"class_path": "datamodules.EvaluationSuite", "init_args": {"train": train, "num_temporal_views": 5}}
    facts = CheckpointFacts(
        path=tmp_path,
        model={"num_frames": 8, "vision_config": {"image_size": 48}},
        class_names=None,
        run={"config": {"data": data}},
        epoch=0,
        global_step=0,
        resumable=False,
    )
    found = recorded_input(facts)
    assert found == ClipOptions(num_frames=8, image_size=48, num_temporal_views=5, mean=(1.0, 2.0, 3.0))
