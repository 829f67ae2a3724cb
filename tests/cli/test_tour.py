"""`tcclip tour`: a page with every section that needs nothing beside itself; what is there is kept, or refused."""

import re
import shutil
from base64 import b64decode
from contextlib import redirect_stderr
from io import BytesIO, StringIO
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

from datamodules.synthetic.actions import DEMO, GROUPS
from tc_clip_pl.cli import main
from tc_clip_pl.cli.tour import folder, runs
from tc_clip_pl.cli.tour.accuracies import Confusion, accuracy_rows
from tc_clip_pl.cli.tour.page_parts import INSIDE

SECTIONS = ["Accuracy", "The films", "Relational actions", "Between CLIP", "Inside TC-CLIP", "How this was made"]
PICTURES = len(DEMO) + 2 + 5 * len(INSIDE)  # a strip an action, two charts, five strips of a film
QUICK = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--data.num_workers=0", "--pictures=false"]


@pytest.fixture(autouse=True, scope="module")
def small():
    """Make the demo small: a few films an action, one epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "TRAIN_FILMS", 2)
        patch.setattr(folder, "TEST_FILMS", 1)
        patch.setattr(runs, "CONFIGS", {method: [*argv, *QUICK] for method, argv in runs.CONFIGS.items()})
        yield


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A demo that is interrupted in its second training, after one that was killed; what it says, and what it runs."""
    target, run, started = tmp_path_factory.mktemp("shown") / "demo", runs.run_experiment, []

    def interrupt_second(argv):
        started.append(argv[argv.index("--output_dir") + 1].rpartition("/")[2])
        if len(started) == 2:
            raise KeyboardInterrupt
        run(argv)

    (target / "data.unfinished" / "videos").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(StringIO()) as said:
        patch.setattr(runs, "run_experiment", interrupt_second)
        code = main(["tour", str(target)])
        before = {path.name for path in target.iterdir()}
        assert main(["tour", str(target)]) == 0
    return SimpleNamespace(target=target, code=code, said=said.getvalue(), before=before, started=started)


@pytest.fixture(scope="module")
def shown(interrupted):
    """A finished demo."""
    return interrupted.target


@pytest.fixture
def copied(shown, tmp_path):
    return shutil.copytree(shown, tmp_path / "demo")


@pytest.fixture
def refused(capsys):
    """Run `tcclip tour DIR`, which must fail, and return its sentence."""

    def refused(target):
        assert main(["tour", str(target)]) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tcclip: ")]
        return line

    return refused


# The page


def test_page_has_every_section(shown):
    page = (shown / "report.html").read_text(encoding="utf-8")
    titles = re.findall("<h2>(.*?)</h2>", page)
    assert [title.startswith(name) for title, name in zip(titles, SECTIONS, strict=True)] == [True] * len(SECTIONS)
    for name in (*(action.name for action in DEMO), "--config demo.yaml", "w = 0.7"):
        assert name in page
    assert "{{" not in page and "{%" not in page


def test_page_needs_nothing_beside_itself(shown):
    page = (shown / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'src="(.*?)"', page)
    assert len(sources) == PICTURES
    assert not re.search(r"https?:|<link|<script|@import|url\(|href=", page)
    for source in sources:
        head, _, data = source.partition(",")
        image = imread(BytesIO(b64decode(data, validate=True)))
        assert head == "data:image/png;base64" and min(image.shape[:2]) > 60 and image[..., :3].std() > 0


def test_moved_demo_trains_nothing_and_prints_a_table_that_fits_and_the_path_last(copied, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(runs, "run_experiment", lambda argv: pytest.fail("trained again"))
    (copied / "report.html").write_text("old")
    assert main(["tour", str(copied)]) == 0
    assert "Inside TC-CLIP" in (copied / "report.html").read_text(encoding="utf-8")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"Report: {copied}/report.html"
    table = lines[lines.index(next(line for line in lines if line.startswith("Test accuracy by group"))) :]
    assert table[2].split() == list(GROUPS) and len(table) == 14
    assert max(len(line) for line in table[:-1]) <= 80


# Accuracies


def confusion(answers):
    """A film of every action of the demo, and what is answered: name -> name, else the truth."""
    names = [action.name for action in DEMO]
    counts = np.zeros((len(DEMO), len(DEMO)), int)
    for label, name in enumerate(names):
        counts[label, names.index(answers.get(name, name))] += 1
    return Confusion(DEMO, counts)


def test_accuracy_and_agreement_count_answers_of_other_groups_as_wrong():
    thing = "a striped thing "
    found = confusion({
        thing + "jumping around": thing + "staying put",
        thing + "changing color": thing + "jumping around and changing color",
        thing + "staying put": "a star moving left",
    })  # fmt: skip
    assert [found.accuracy(group) for group in GROUPS] == [1, 0.25, 1]
    assert (found.agreement("recolor"), found.agreement("jump")) == (0.75, 0.25)
    assert found.within("relational").tolist() == [[0, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 0]]


def test_rows_name_what_is_expected_and_what_is_found():
    perfect = {weight: confusion({}) for weight in (1.0, 0.0)}
    rows = accuracy_rows(perfect, perfect)
    assert [row.values for row in rows if row.is_expected] == [(100, 25, 50), (100, 100, 50)]
    assert [row.name for row in rows if not row.is_expected][:2] == [
        "CLIP, zero-shot (w = 0)",
        "frame-wise, fine-tuned (w = 1)",
    ]


# What is there


def test_interrupted_demo_goes_on(interrupted):
    assert interrupted.code == 130 and "the same command resumes it" in interrupted.said
    assert not {"report.html", "data.unfinished"} & interrupted.before
    assert interrupted.started == ["frame_wise", "tc_clip", "tc_clip"]
    assert (interrupted.target / "report.html").is_file()


def test_data_only_says_what_is_next(tmp_path, capsys):
    assert main(["tour", str(tmp_path / "my demo"), "--data_only"]) == 0
    assert capsys.readouterr().out.endswith(f"--data.root '{tmp_path}/my demo/data'\n")
    assert [path.name for path in (tmp_path / "my demo").iterdir()] == ["data"]


def test_folder_of_something_else_is_left_alone(tmp_path, refused):
    (tmp_path / "thesis.tex").touch()
    assert "has thesis.tex, which is not of the demo: name another folder." in refused(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert "cannot be written (File exists)" in refused(tmp_path / "thesis.tex")
    assert "cannot be written (Not a directory)" in refused(tmp_path / "thesis.tex" / "demo")


def test_other_videos_are_not_taken_for_those_of_the_demo(copied, refused, monkeypatch):
    monkeypatch.setattr(folder, "TRAIN_FILMS", 3)
    assert "data has other videos than this demo: remove it, or name another folder." in refused(copied)


def test_lost_checkpoint_is_named(copied, refused):
    next(copied.glob("runs/tc_clip/demo/*/checkpoints/last.ckpt")).unlink()
    assert f"remove {copied}/runs/tc_clip to train again" in refused(copied)


def test_results_of_other_options_are_refused(copied, refused, monkeypatch):
    monkeypatch.setattr(
        runs, "CONFIGS", {method: [*argv, "--seed_everything=5"] for method, argv in runs.CONFIGS.items()}
    )
    assert "runs/frame_wise has results of other options" in refused(copied)


def test_unknown_option_writes_nothing(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["tour", str(tmp_path / "demo"), "--data.split", "2"])
    assert stop.value.code == 2 and "unrecognized arguments" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
