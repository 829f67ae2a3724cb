"""Two processes do what one does: the same clips, losses, weights and metrics, and one set of files."""

from functools import cache

import pytest
import torch

from tc_clip_pl.training import load_model

from .conftest import CUT_TEST_CLIPS, DDP, FSDP, TEST_CLIPS, read_curves, read_results

CURVES = ("train/loss_step", "train/loss_epoch", "train/top1_epoch", "train/grad_norm", "val/loss", "val/top1")


@pytest.fixture(scope="module")
def one(run_one, tmp_path_factory):
    """The folder of `tcclip fit` in one process."""
    return run_one("fit", tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def fit_in_two(run_two, tmp_path_factory):
    """Runs `tcclip fit` in two processes; gives its folder and what it printed, once for each strategy."""

    @cache
    def fit(strategy):
        folder = tmp_path_factory.mktemp("two")
        done = run_two("fit", folder, strategy)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "demo" / "version_0", done

    return fit


@pytest.fixture(params=[pytest.param(DDP, id="ddp"), pytest.param(FSDP, id="fsdp", marks=pytest.mark.slow)])
def two(fit_in_two, request):
    return fit_in_two(request.param)


def test_same_curves_at_the_same_global_batch(one, two):
    expected, curves = read_curves(one), read_curves(two[0])
    assert len(expected["train/loss_step"]) == 6
    for name in CURVES:
        steps, values = zip(*expected[name], strict=True)
        assert [step for step, _ in curves[name]] == list(steps), name
        assert [value for _, value in curves[name]] == pytest.approx(values, rel=2e-3), name


def test_same_weights(one, two):
    before, after = (load_model(folder / "checkpoints" / "last.ckpt").state_dict() for folder in (one, two[0]))
    for name, value in before.items():
        # The softmax is invariant to it: its gradient is rounding error, which AdamW scales up to full steps.
        if name.endswith("k_proj.bias"):
            continue
        assert (after[name] - value).abs().mean() < 2e-5, name  # a step is 1e-4, or 1e-3 for the prompting


def test_tests_every_clip_once_with_the_metrics_of_one_process(two, run_one, tmp_path):
    checkpoint = str(two[0] / "checkpoints" / "last.ckpt")
    alone = read_results(run_one("test", tmp_path, "--ckpt_path", checkpoint))
    together = read_results(two[0])
    assert together["machine"]["processes"] == 2
    assert [run["ensemble_weight"] for run in together["runs"]] == [1.0, 0.7]
    for run, expected in zip(together["runs"], alone["runs"], strict=True):
        result, result_alone = (r["test_sets"]["hmdb51/split1"] for r in (run, expected))
        assert result["num_clips"] == TEST_CLIPS - CUT_TEST_CLIPS
        assert result["confusion_matrix"] == result_alone["confusion_matrix"]
        for key in ("top1", "top5"):
            assert result[key] == pytest.approx(result_alone[key], abs=1e-6)


def test_clips_that_any_process_skipped_are_reported_once(two, cut_clips):
    skipped = read_results(two[0])["skipped_clips"]
    assert sorted(clip.partition(": ")[0] for clip in skipped) == sorted(cut_clips)
    assert two[1].stdout.count("3 clip(s) could not be read and were skipped") == 1
    assert two[1].stderr.count("3 of the 37 clips cannot be read and will be skipped") == 1
    assert two[1].stderr.count("Checked 37 clips in") == 1


def test_one_folder_one_table(two):
    folder, done = two
    assert [path.name for path in folder.parent.iterdir()] == ["version_0"]
    assert len(list(folder.glob("results*.json"))) == 1
    assert len(list(folder.glob("confusion*.png"))) == 2
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert done.stdout.count("All metrics") == 1
    assert done.stderr.count("Global batch of 8 clips = 2 device(s) x 2 clips x 2 batches.") == 1
    assert "find_unused_parameters" not in done.stderr


def test_one_process_resumes_from_the_checkpoint_of_two(two, run_one, tmp_path):
    folder = run_one("fit", tmp_path, *_resume(two[0]))
    _assert_third_epoch_alone(folder)


@pytest.mark.slow
def test_sharded_processes_resume_from_their_checkpoint(fit_in_two, run_one, run_two, tmp_path):
    first = fit_in_two(FSDP)[0]
    done = run_two("fit", tmp_path / "two", FSDP, *_resume(first))
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "two" / "demo" / "version_0"
    _assert_third_epoch_alone(folder)
    losses, expected = (
        [value for _, value in read_curves(f)["train/loss_step"]]
        for f in (folder, run_one("fit", tmp_path / "one", *_resume(first)))
    )
    assert losses == pytest.approx(expected, rel=2e-3)


def _resume(folder):
    checkpoint = folder / "checkpoints" / "last.ckpt"
    return "--trainer.max_epochs", "3", "--ckpt_path", str(checkpoint), "--ensembling.weights", "1"


def _assert_third_epoch_alone(folder):
    assert [step for step, _ in read_curves(folder)["train/loss_step"]] == [6, 7, 8]
    moments = torch.load(folder / "checkpoints" / "last.ckpt")["optimizer_states"][0]["state"]
    assert {float(state["step"]) for state in moments.values()} == {9.0}
