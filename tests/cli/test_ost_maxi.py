"""OST and MAXI from the command line, with the files that their users bring."""

import csv
import json

import pytest

from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.layout import PUBLISHED, WORDS

NAMES = [action.name for action in DEMO]
NO_CONTEXT = ("--model.config.num_context_tokens", "null", "--model.config.merges_per_round", "null")
QUICK = ("--data.num_frames", 4, "--trainer.limit_val_batches", 0, "--pictures", "false")


@pytest.fixture
def descriptors(tmp_path):
    """Options that name descriptor files of the demo's classes."""
    phrases = {"spatial": {name: ["a disc", "a star"] for name in NAMES}}
    phrases["temporal"] = {str(number): ["first left", "then right"] for number in range(len(NAMES))}
    for kind, of_classes in phrases.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps(of_classes))
    return {f"{kind}_descriptors": f"{tmp_path}/{kind}.json" for kind in phrases}


@pytest.fixture
def fit_ost(run, descriptors):
    def fit_ost(*argv, **options):
        options = json.dumps({**descriptors, **options})
        return run("fit", "--config", "models/ost.yaml", *QUICK, *NO_CONTEXT, "--model.options", options, *argv)

    return fit_ost


def test_ost_trains_and_is_tested_from_its_checkpoint_with_files_that_moved(fit_ost, run, tmp_path):
    code, out, err = fit_ost()
    assert code == 0, err
    assert "ensembled, w=0.8" in out
    last = tmp_path / "outputs/demo/version_0/checkpoints/last.ckpt"
    (tmp_path / "spatial.json").rename(tmp_path / "moved.json")
    test = ("test", "--ckpt_path", last, "--pictures", "false")
    code, _, err = run(*test, on_demo=False)
    assert code == 1 and "There is no phrase file" in err
    code, _, err = run(*test, "--model.options.spatial_descriptors", tmp_path / "moved.json", on_demo=False)
    assert code == 0, err
    results = [json.loads(file.read_text()) for file in sorted(tmp_path.rglob("results.json"))]
    assert results[0]["runs"][0]["test_sets"] == results[1]["runs"][0]["test_sets"]
    code, _, err = run(*test, "--model.options.reference_tokens", "context", on_demo=False)
    assert code == 1 and "was trained with none" in err


def test_ost_matches_what_tc_clip_contextualizes(fit_ost):
    code, _, err = fit_ost(reference_tokens="context", num_context_tokens=16, merges_per_round=8)
    assert code == 0, err


def test_ost_needs_its_files(fit_ost):
    code, _, err = fit_ost(spatial_descriptors=None)
    assert code == 1
    assert "OST needs phrases for its classes: set model.options.spatial_descriptors" in err


@pytest.mark.slow
def test_ost_is_not_exported_as_tc_clip(fit_ost, run, tmp_path):
    assert fit_ost("--trainer.limit_test_batches", 1)[0] == 0
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    argv = ("--model", tmp_path / "outputs/demo/version_0", "--labels", tmp_path / "labels.txt")
    code, _, err = run("export", tmp_path / "exported", *argv, on_demo=False)
    assert code == 1 and "OST cannot be exported" in err


def test_maxi_trains_on_pseudo_labels_and_words(run, demo, tmp_path):
    clips = sorted((demo / "data").rglob("*.mp4"))
    (tmp_path / "class.json").write_text(json.dumps({name: name.split() for name in NAMES}))
    (tmp_path / "clip.json").write_text(json.dumps({clip.stem: ["left", "disc"] for clip in clips}))
    (tmp_path / "pseudo.txt").write_text("".join(f"{clip.name} {number % 2}\n" for number, clip in enumerate(clips)))
    words = [f"--model.objective.init_args.{kind}_words={tmp_path}/{kind}.json" for kind in ("class", "clip")]
    lists = ("--data.pseudo_labels", tmp_path / "pseudo.txt")
    code, out, err = run("fit", "--config", "models/maxi.yaml", *QUICK, *NO_CONTEXT, *words, *lists)
    assert code == 0, err
    assert "ensembled, w=0.8" in out
    (results,) = tmp_path.rglob("results.json")
    assert json.loads(results.read_text())["data"]["splits"]["train"]["num_clips"] == len(clips)


def test_maxi_trains_on_what_clip_saw_in_unlabeled_clips(run, demo, tmp_path):
    data = demo / "data"
    recognize = ("recognize", data / "videos", "--labels", data / PUBLISHED.labels, "--format", "csv", "--top", 1)
    quick = ("--unknown_threshold", 0.5, "--device", "cpu", "--num_workers", 0)
    code, out, err = run(*recognize, *quick, on_demo=False)
    assert code == 0, err
    (tmp_path / "pseudo.csv").write_text(out)
    kept = [row for row in csv.DictReader(out.splitlines()) if row["answer"] != "unknown"]
    assert 20 < len(kept) < len(list(data.rglob("*.mp4")))
    right = sum(f"/{row['answer'].replace(' ', '_')}/" in row["video"] for row in kept)
    assert right > 0.5 * len(kept)
    words = ("--model.objective.init_args.class_words", data / WORDS, "--model.objective.init_args.clip_words", "null")
    lists = ("--data.pseudo_labels", tmp_path / "pseudo.csv")
    code, out, err = run("fit", "--config", "models/maxi.yaml", *QUICK, *NO_CONTEXT, *words, *lists)
    assert code == 0, err
    (results,) = tmp_path.rglob("results.json")
    assert json.loads(results.read_text())["data"]["splits"]["train"]["num_clips"] == len(kept)
