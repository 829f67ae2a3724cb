"""Two processes that read shards do what one does that reads files."""

import pytest

from tc_clip_pl.cli import main

from .conftest import CUT_TEST_CLIPS, DDP, TEST_CLIPS, read_curves, read_results


@pytest.mark.slow
def test_same_curves_and_every_test_clip_once(demo, cut_clips, run_one, run_two, tmp_path):
    shards = tmp_path / "shards"
    assert main(["transcode", f"{demo}/data", str(shards), "--shards", "--on_bad_video", "skip"]) == 0
    assert main(["transcode", f"{demo}/data", f"{tmp_path}/tree", "--on_bad_video", "skip"]) == 0
    one = run_one("fit", tmp_path / "one", "--data.root", f"{tmp_path}/tree")
    done = run_two("fit", tmp_path / "two", DDP, "--data.root", str(shards))
    assert done.returncode == 0, done.stdout + done.stderr
    two = tmp_path / "two" / "demo" / "version_0"
    for name, expected in read_curves(one).items():
        if name.startswith(("train/loss", "train/top1", "val/")):
            assert [value for _, value in read_curves(two)[name]] == pytest.approx([v for _, v in expected], rel=2e-3)
    alone, together = (read_results(folder)["runs"][0]["test_sets"]["hmdb51/split1"] for folder in (one, two))
    assert together["num_clips"] == TEST_CLIPS - CUT_TEST_CLIPS
    assert together["confusion_matrix"] == alone["confusion_matrix"]
