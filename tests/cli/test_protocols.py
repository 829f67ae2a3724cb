"""Each protocol from `tcclip fit` to its summary, on the synthetic dataset, and the report over several runs."""

import json

import pytest
import yaml

QUICK = ("--model.config.num_context_tokens", 16, "--data.batch_size", 4, "--data.global_batch_size", 4)
FAST = ("--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 0, "--model.lr_scheduler.warmup_epochs", 0)


@pytest.fixture
def fit(run, demo, tmp_path):
    """Run `tcclip fit` on a configuration; return results, Markdown table and stdout."""

    def fit(config, *argv):
        places = ("--model.pretrained", demo / "tiny_clip", "--data.num_workers", 0, "--data.num_frames", 8)
        short = ("--trainer.max_epochs", 1, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
        code, out, err = run("fit", "--config", config, *places, *QUICK, *FAST, *short, *argv, on_demo=False)
        assert code == 0, err
        (path,) = tmp_path.rglob("results.json")
        return json.loads(path.read_text()), path.with_suffix(".md").read_text(), out

    return fit


def top1(run, name):
    return run["test_sets"][name]["top1"]


def test_base_to_novel_tests_both_halves_and_gives_their_harmonic_mean(fit, demo, run):
    results, markdown, out = fit("base_to_novel_hmdb", "--data.root", demo / "data", "--data.num_shots", 2)
    assert [entry["ensemble_weight"] for entry in results["runs"]] == [1.0, 0.7]
    for entry in results["runs"]:
        base, novel = (top1(entry, f"hmdb51/{half}") for half in ("base", "novel"))
        assert entry["summary"]["hmdb51/base_top1"] == base
        expected = 2 * base * novel / (base + novel) if base + novel else 0
        assert entry["summary"]["hmdb51/harmonic_mean"] == pytest.approx(expected)
    assert "HMDB HM" in markdown and "HM" in out
    code, out, _ = run("report", "outputs", "--paper", "base_to_novel", on_demo=False)
    assert code == 0 and "TC-CLIP°" in out and "73.3" in out
    code, out, _ = run("report", "outputs", "--format", "markdown", "--output", "all.md", on_demo=False)
    assert code == 0 and "| HMDB base | HMDB novel | HMDB HM |" in out.replace("| method | w ", "")


def test_zero_shot_suite_gives_mean_and_deviation_over_splits_and_all(fit, demo, tmp_path):
    videos, folders = {"root": str(demo / "data")}, {"root": str(demo / "data" / "videos")}
    tests = {
        "hmdb": {"class_path": "datamodules.HMDB51DataModule", "init_args": {**videos, "test_splits": [1, 2]}},
        "mine": {"class_path": "datamodules.FolderDataModule", "init_args": {**folders, "test_splits": [1, 2]}},
    }
    train = {"class_path": "datamodules.HMDB51DataModule", "init_args": videos}
    data = {"class_path": "datamodules.EvaluationSuite", "init_args": {"train": train, "tests": tests}}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"data": data, "protocol": "zero_shot"}))
    results, markdown, out = fit("suite.yaml", "--ensembling.weights", 1)
    summary, first = results["runs"][0]["summary"], results["runs"][0]
    values = [top1(first, f"hmdb51/split{n}") for n in (1, 2)]
    assert summary["hmdb51/top1_mean"] == pytest.approx(sum(values) / 2)
    assert summary["hmdb51/top1_std"] == pytest.approx(abs(values[0] - values[1]) / 2)
    assert "all/top1_mean" in summary
    assert "HMDB top-1" in markdown and "±" in out


def test_fully_supervised_reads_twelve_views(fit, demo):
    data = ("--data", "datamodules.HMDB51DataModule", "--data.root", demo / "data", "--trainer.limit_test_batches", 1)
    results, _, _ = fit("fully_supervised_k400", *data, "--ensembling.weights", 1, "--tested_weights", "last")
    assert results["data"]["views"] == {"temporal": 4, "spatial": 3, "frame_sampling": "center"}


def test_misspelled_protocol_is_reported_before_anything_runs(run):
    code, _, err = run("fit", "--protocol", "few_shots")
    assert code == 1 and "few_shot" in err and "table" in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [(["nowhere"], "There is no nowhere"), (["."], "no results.json"), ([".", "--paper", "x"], "no")],
)
def test_report_of_nothing(argv, message, run):
    code, _, err = run("report", *argv, on_demo=False)
    assert code == 1 and message in err
