"""A mistake gets one sentence and exit code 1, and leaves no output folder."""

import shutil

import pytest

from tc_clip_pl.cli import main
from tc_clip_pl.cli.errors import explain_parser_error, suggest


def _fails(run, tmp_path, *argv, **kwargs):
    code, out, err = run(*argv, **kwargs)
    assert code == 1
    assert "Traceback" not in out + err
    sentences = [line for line in err.splitlines() if line.startswith("tcclip: ")]
    assert len(sentences) == 1
    assert not list(tmp_path.rglob("config.yaml"))
    return sentences[0]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--model.label_smoothin", "1", "key model.label_smoothin; did you mean model.label_smoothing?"),
        ("--data.num_shot", "2", "HMDB51DataModule has no key data.num_shot; did you mean data.num_shots?"),
        ("--num_shots", "2", "no configuration key num_shots"),
        ("--trainer.max_epoch", "2", "did you mean trainer.max_epochs?"),
        ("--model.config.sead_ratio", "0.2", "did you mean model.config.seed_ratio?"),
        ("--data.batch_size", "many", "data.batch_size takes int, not many."),
        ("--trainer.max_epochs", "many", "trainer.max_epochs takes int or null, not many."),
        ("--model.label_smoothing", "high", "model.label_smoothing takes float, not high."),
        ("--model.optimizer.lr", "high", "model.optimizer.lr takes float, not high."),
        ("--model.optimizer.rl", "1", "AdamW has no key model.optimizer.rl; did you mean model.optimizer.lr?"),
        ("--model.optimizer", "torch.optim.Adamm", "model.optimizer cannot be torch.optim.Adamm: module"),
        ("--model.lr_scheduler.warmup_epoch", "1", "did you mean model.lr_scheduler.warmup_epochs?"),
        ("--model.config.prompt_init", "tmplate", "prompt_init takes template or random or null, not tmplate."),
        ("--model.config.prompt_token_ids", "[1]", "no configuration key model.config.prompt_token_ids"),
        ("--model.freeze", "[visio]", "model.freeze takes vision or text, not visio."),
        ("--data.setting", "zero", "data.setting takes standard or base_to_novel or zero_shot or temporal or static"),
        ("--trainer.callbacks+", "lightning.pytorch.Trainer", "does not correspond to a subclass of Callback."),
        ("--trainer.callbacks", "lightning.pytorch.callbacks.ModelSummary", "needs the callback GlobalBatchSize"),
        ("--plugins", "no_such_package", "The plugin no_such_package cannot be imported"),
        ("--data.root", "/nowhere", "/nowhere"),
        ("--model.pretrained", "/nowhere/clip", "/nowhere/clip"),
        ("--model.config.seed_ratio", "0.001", "seed_ratio"),
        ("--data.global_batch_size", "24", "data.global_batch_size=24 is not a multiple"),
        (
            "--ensembling.weights",
            "1.5",
            "ensembling.weights must be between 0 (CLIP's encoders) and 1 (fine-tuned), got 1.5.",
        ),
        ("--ensembling.weights", "[]", "ensembling.weights is empty: give at least one weight"),
        ("--ensembling.weights", "[0.5,1,0.5]", "ensembling.weights has 0.5 more than once"),
        ("--data.num_shots", "99", "99"),
        ("--ckpt_path", "none.ckpt", "no checkpoint file none.ckpt"),
    ],
)
def test_wrong_option(run, tmp_path, option, value, expected):
    assert expected in _fails(run, tmp_path, "fit", option, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainer:\n  max_epoch: 3\n", "no configuration key trainer.max_epoch; did you mean trainer.max_epochs?"),
        ("dta:\n  root: x\n", "no configuration key dta"),
        ("data:\n  class_path: datamodules.HMDB51DataModule\n  init_args:\n    rot: x\n", "did you mean data.root?"),
        (
            "data:\n  class_path: datamodules.HMDB52DataModule\n",
            "data cannot be datamodules.HMDB52DataModule: module",
        ),
        ("model: [\n", "mine.yaml, line 2, is not valid YAML"),
        ("model:\n  config:\n    frames: 3\n", "did you mean model.config.num_frames?"),
    ],
)
def test_wrong_configuration(run, tmp_path, text, expected):
    (tmp_path / "mine.yaml").write_text(text)
    assert expected in _fails(run, tmp_path, "fit", "--config", "mine.yaml")


def test_missing_configuration_says_where_to_look(run, tmp_path):
    sentence = _fails(run, tmp_path, "fit", "--config", "few_shot_hmd.yaml", on_demo=False)
    assert "neither in the current directory nor among the shipped ones (`tcclip configs` lists them)" in sentence
    assert sentence.endswith("did you mean few_shot_hmdb.yaml?")


def test_no_configuration_at_all(run, tmp_path):
    assert "--config NAME" in _fails(run, tmp_path, "fit", on_demo=False)


def test_checkpoint_that_is_a_text_file(run, tmp_path):
    (tmp_path / "text.ckpt").write_text("not weights")
    assert "text.ckpt cannot be read" in _fails(run, tmp_path, "test", "--ckpt_path", "text.ckpt")


def test_broken_video_stops_the_run_and_skipping_lists_it(run, tmp_path, demo):
    data = tmp_path / "data"
    shutil.copytree(demo / "data", data)
    broken = data / "videos/a_star_moving_left/a_star_moving_left_1000000.mp4"
    broken.write_text("this is text")
    code, _, err = run("fit", "--data.root", data)
    assert code == 1
    assert broken.name in err and "Traceback" not in err
    plain_clip = ("--config", "models/clip.yaml", "--model.config.num_context_tokens", "null")
    options = ("--data.on_bad_video", "skip", *plain_clip, "--model.config.merges_per_round", "null")
    code, out, _ = run("test", "--data.root", data, *options)
    assert code == 0
    assert "1 clip(s) could not be read" in out
    (results,) = tmp_path.glob("outputs/demo/version_*/results.json")
    assert broken.name in results.read_text()


def test_debug_shows_the_traceback(run):
    with pytest.raises(ValueError, match="nowhere"):
        run("fit", "--data.root", "/nowhere", "--debug")


def test_unknown_subcommand(capsys):
    assert main(["fitt"]) == 2
    assert "did you mean fit?" in capsys.readouterr().err


def test_no_suggestion_where_nothing_is_near():
    assert suggest("zebra", ["data.root", "model.pretrained"]) == ""


def test_unknown_parser_errors_are_printed_in_one_line():
    assert explain_parser_error("Something\n  else\n  broke", []) == "Something else broke"
