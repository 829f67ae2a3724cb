"""`tcclip transcode` as typed by a user, and what other commands do with its copies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
import torch

from tc_clip_pl.cli import main
from tc_clip_pl.training import load_model

from .conftest import sentence

COMMAND = [sys.executable, "-m", "tc_clip_pl", "transcode"]


@pytest.fixture(scope="module")
def copies(demo, tmp_path_factory):
    """The demo's videos with a damaged one, and their two kinds of copies, one written by a process of its own."""
    folder = tmp_path_factory.mktemp("copies")
    source = shutil.copytree(demo / "data", folder / "source")
    first = min(source.rglob("*.mp4"))
    os.truncate(first, 600)
    command = [*COMMAND, source, folder / "tree", "--num_workers", "2"]
    tree = subprocess.run(command, capture_output=True, text=True)
    argv = ["transcode", str(source), str(folder / "shards"), "--shards", "--shard_mb", "1", "--num_workers", "2"]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(argv)
    shards = subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())
    return folder, first.relative_to(source), {"tree": tree, "shards": shards}


@pytest.mark.parametrize("kind", ["tree", "shards"])
def test_says_what_was_written_and_what_was_not(copies, run, kind):
    folder, bad, written = copies
    done = written[kind]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Not copied: {bad} is truncated")
    assert done.stdout.split()[:8] == ["Videos", "Frames", "Size", "before", "Size", "after", "Other", "files"]
    lines = done.stdout.splitlines()
    (row,) = [line.split() for line in lines if line.strip()[:1].isdigit() and " MB " in line]
    assert (row[0], row[3], row[5]) == ("59", "MB", "MB")
    assert "59 written in" in lines[-2] and " videos/s), 1 not copied." in lines[-2]
    assert lines[-1] == f"To use them: --data.root {folder}/{kind}"
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout + done.stderr
    options = ("--shards", "--shard_mb", "1") if kind == "shards" else ()
    code, out, _ = run("transcode", folder / "source", folder / kind, *options, "--on_bad_video", "skip", on_demo=False)
    assert code == 0 and "0 written in" in out and ", 59 unchanged, 1 not copied." in out


@pytest.mark.slow
def test_a_run_on_shards_is_one_on_files(copies, run):
    folder, _, _ = copies
    weights, results = [], []
    for kind in ("tree", "shards"):
        options = ("--data.on_bad_video", "skip", "--data.num_workers", "2", "--output_dir", kind)
        code, out, err = run("fit", *options, "--data.root", folder / kind)
        assert code == 0, out + err
        weights.append(load_model(f"{kind}/demo/version_0/checkpoints/last.ckpt").state_dict())
        with open(f"{kind}/demo/version_0/results.json") as file:
            results.append(json.load(file))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    tests = [[each["test_sets"] for each in result["runs"]] for result in results]
    assert tests[0] == tests[1]


@pytest.mark.parametrize("level", ["presence", "header", pytest.param("decode", marks=pytest.mark.slow)])
def test_check_of_shards(copies, run, tmp_path, level):
    folder, bad, _ = copies
    argv = ("check", "--data", "HMDB51DataModule", "--level", level, "--cache", tmp_path / "cache.jsonl")
    code, out, _ = run(*argv, "--data.root", folder / "shards", on_demo=False)
    assert code == 1 and "missing file (1)" in out and str(bad.name) in out
    assert f"59 files checked at level {level}" in " ".join(out.split())
    broken = shutil.copytree(folder / "shards", tmp_path / "broken")
    shard = broken / "shard-000000.tar"
    if level == "decode":
        with tarfile.open(shard) as archive:  # the middle of the file may be padding, or not a video
            clip = next(member for member in archive if member.name.endswith(".mp4"))
        with shard.open("r+b") as file:
            file.seek(clip.offset_data + clip.size // 2)
            file.write(b"damaged" * 8)
    else:
        os.truncate(shard, shard.stat().st_size // 2)
    code, _, _ = run(*argv, "--data.root", broken, "--report", "report.json", on_demo=False)
    assert code == 1
    with open("report.json") as file:
        errors = [each["errors"] for each in json.load(file)["lists"]]
    details = [problem["detail"] for found in errors for problems in found.values() for problem in problems]
    said = "has changed or is damaged" if level == "decode" else "ends too early"
    assert [detail for detail in details if said in detail]
    code, out, _ = run(*argv, "--data.root", folder / "shards", on_demo=False)
    assert ("59 of them in an earlier check" in " ".join(out.split())) == (level != "presence")


@pytest.mark.slow
def test_ctrl_c_leaves_a_copy_that_goes_on(copies, tmp_path):
    folder, _, _ = copies
    target = tmp_path / "copy"
    process = subprocess.Popen(
        [*COMMAND, folder / "source", target, "--num_workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(list(target.rglob("*.mp4"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the processes too
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "Interrupted; the same command resumes it." and "Traceback" not in err
    assert not list(target.glob(".transcode.unfinished*"))
    before = {file: file.stat().st_mtime_ns for file in target.rglob("*.mp4")}
    assert 3 <= len(before) < 59
    done = subprocess.run([*COMMAND, folder / "source", target], capture_output=True, text=True)
    assert f"{59 - len(before)} written in" in done.stdout or f"{60 - len(before)} written in" in done.stdout
    assert sum(file.stat().st_mtime_ns == time for file, time in before.items()) >= len(before) - 1
    assert len(list(target.rglob("*.mp4"))) == 59


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "Give a dataset and a folder for its copy: tcclip transcode SOURCE DEST."),
        (("data", "copy", "--crf", "52"), "--crf is 52; it must be from 0 to 51."),
        (("data", "copy", "--short_side", "255"), "--short_side is 255; H.264 needs an even number."),
        (("data", "copy", "--key_every", "0"), "--key_every is 0; it must be from 1 to 1000."),
        (("data", "copy", "--num_workers", "0"), "--num_workers is 0; it must be from 1 to 1024."),
        (("data", "copy", "--shard_mb", "5"), "--shard_mb is for --shards: add it, or leave --shard_mb out."),
        (("data", "copy", "--on_bad_video", "x"), "--on_bad_video is 'x'; choose one of raise, skip."),
        (("data", "copy"), "The data root data does not exist"),
        (("data", "copy", "--gop", "5"), "gop"),
    ],
)
def test_mistakes_are_one_sentence(run, argv, message):
    assert message in sentence(run("transcode", *argv, on_demo=False))


def test_nothing_foreign_is_overwritten(demo, run, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("all of it")
    said = sentence(run("transcode", demo / "data", "papers", on_demo=False))
    assert "papers has thesis.tex, but no transcode.jsonl of such a copy: name a new or an empty folder." in said
    assert os.listdir("papers") == ["thesis.tex"]
    said = sentence(run("transcode", demo / "data", "papers/thesis.tex/x", on_demo=False))
    assert "papers/thesis.tex/x cannot be written (Not a directory): mend that, and repeat the command." in said
