"""`tcclip pretrain`: a folder that loads, a table, and one sentence for each mistake."""

import functools
import re

import pytest

from datamodules.synthetic.caption_data_module import CaptionDataModule
from tc_clip_pl.modules.loading import load_clip, load_tokenizer

SMALL = ("--steps", 4, "--batch_size", 8, "--width", 8, "--accelerator", "cpu")


@pytest.fixture
def pretrain(run, monkeypatch):
    few_scenes = functools.partial(CaptionDataModule, num_scenes=16, held_out=32)
    monkeypatch.setattr("datamodules.synthetic.caption_data_module.CaptionDataModule", few_scenes)
    return lambda *argv: run("pretrain", *argv, on_demo=False)


def test_writes_a_clip_and_says_what_it_knows(pretrain, tmp_path):
    code, out, err = pretrain("clip", *SMALL)
    assert code == 0, err
    assert {path.name for path in tmp_path.iterdir()} == {"clip"}
    assert load_clip("clip").config.projection_dim == 8
    assert load_tokenizer("clip").tokenize("a red lamp") == ["a</w>", "red</w>", "lamp</w>"]
    lines = out.splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    steps = [line for line in lines if line.startswith("step ")]
    assert [line.split("  ")[0] for line in steps] == [f"step {step}/4" for step in (1, 2, 3, 4)]
    assert all(re.search(r"  loss [\d.]+  held-out accuracy [\d.]+%", line) for line in steps)
    assert ["left" in line for line in steps] == [True, True, True, False]
    rows = [line.split() for line in lines if re.match(r" (color\+)?(shape|texture)", line)]
    assert [(row[0], row[1]) for row in rows] == [
        ("shape", "15"), ("color+shape", "66"), ("texture", "5"), ("texture+shape", "30"),
    ]  # fmt: skip
    assert all(0 <= float(row[3]) <= 100 for row in rows)
    assert re.search(r"^4 steps in [\d.]+ minutes on 1 x 1 CPU threads?\.$", out, re.M)
    assert lines[-1] == "Wrote clip. Next: tcclip fit --config NAME --model.pretrained clip"
    assert err == "Loading PyTorch and Lightning ...\n"


def test_weights_depend_on_the_seed_alone(pretrain):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        code, _, err = pretrain(name, *SMALL, "--seed", seed)
        assert code == 0, err
    first, again, other = (load_clip(name).visual_projection.weight.tolist() for name in "abc")
    assert first == again != other


def test_existing_output_is_left_alone(pretrain, tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "mine").touch()
    code, _, err = pretrain("clip", *SMALL)
    assert code == 1 and "clip exists: name another folder, or remove it." in err
    assert [path.name for path in (tmp_path / "clip").iterdir()] == ["mine"]


def test_failed_run_leaves_nothing(pretrain, tmp_path):
    code, _, err = pretrain("clip", *SMALL, "--lr", "1e30")
    assert code == 1 and "The loss is not finite in step 2: lower the learning rate." in err
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_replaced(pretrain, tmp_path):
    (tmp_path / "clip.unfinished").mkdir()
    (tmp_path / "clip.unfinished" / "half").touch()
    assert pretrain("clip", *SMALL)[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"clip"} and not (tmp_path / "clip" / "half").exists()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("", "No output folder is given: tcclip pretrain OUT."),
        ("file/clip", "file/clip cannot be written (Not a directory): name another folder."),
        ("clip --steps 0", "--steps is 0; it must be at least 1."),
        ("clip --steps many", "steps takes int, not many."),
        ("clip --seed one", "seed takes int, not one."),
        ("clip --seed -1", "--seed is -1; it must be at least 0."),
        ("clip --batch_size 1", "--batch_size is 1; it must be at least 2."),
        ("clip --batch_size 17", "The batch of 17 pictures is larger than the 16 scenes: make it smaller."),
        ("clip --lr 0", "--lr is 0; it must be above 0."),
        ("clip --width 10", "--width is 10; it must be a multiple of 4, the number of attention heads."),
        ("clip --devices 0", "--devices is 0; it must be at least 1."),
        ("clip --accelerator tpu", "accelerator takes auto or cpu or gpu, not tpu."),
        ("clip --step 5", "There is no configuration key step; did you mean steps?"),
    ],
)
def test_mistake_is_one_sentence(pretrain, tmp_path, argv, sentence):
    (tmp_path / "file").touch()
    code, _, err = pretrain(*argv.split())
    assert code == 1 and "Traceback" not in err
    assert [line for line in err.splitlines() if line.startswith("tcclip: ")] == [f"tcclip: {sentence}"]
    assert {path.name for path in tmp_path.iterdir()} == {"file"}
