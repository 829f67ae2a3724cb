"""`tcclip visualize`: its three files, and one sentence for each mistake."""

import av
import pytest
from matplotlib.image import imread

from datamodules.synthetic.actions import DEMO

from .conftest import sentence

LABELS = ("--labels", ",".join(action.name for action in DEMO))


@pytest.fixture
def visualize(run, demo, tmp_path):
    (tmp_path / "a.mp4").write_bytes(sorted((demo / "data").rglob("*.mp4"))[0].read_bytes())
    (tmp_path / "bad.mp4").write_text("no video")
    return lambda *argv: run("visualize", *argv, on_demo=False)


def test_files_of_a_fine_tuned_model_and_of_the_shipped_clip(visualize, trained, tmp_path):
    argv = ("a.mp4", *LABELS, "--out", "out", "--model", trained, "--patch", "1,2,3")
    code, out, err = visualize(*argv)
    assert code == 0, err
    assert "frames, seed tokens, context tokens, [CLS] attention, patch attention, [CLS], frame-wise." in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["overlay.mp4", "sheet.pdf", "sheet.png"]
    assert imread(tmp_path / "out" / "sheet.png").shape[1] > 600
    assert (tmp_path / "out" / "sheet.pdf").read_bytes().startswith(b"%PDF")
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 8 and frames[0].shape[0] > 500
    # Its own files it may replace, here by those of the shipped CLIP.
    code, out, err = visualize("a.mp4", *LABELS, "--out", "out")
    assert code == 0, err
    assert "No --model: world" in err and "context tokens" in out


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("", "Give a video, labels and a folder"),
        ("a.mp4 --labels a,b", "Give a video, labels and a folder"),
        (
            "a.mp4 --labels a,b --out .",
            ". holds other files than sheet.png, sheet.pdf,",
        ),
        ("bad.mp4 --labels a,b --out out", "bad.mp4 cannot be decoded as a video"),
        ("none.mp4 --labels a,b --out out", "none.mp4 cannot be decoded as a video (No such file or directory)"),
        ("a.mp4 --labels a --out out", "Give two labels or more"),
        ("a.mp4 --labels a,b --out out --patch 1,2", "--patch is '1,2'; give frame, row and column, counted from 0"),
        ("a.mp4 --labels a,b --out out --patch 1,2,99", "PatchQuery(frame=1, row=2, column=99) lies outside 16 frames"),
        ("a.mp4 --labels a,b --out out --layer 4", "There is no layer 4: the vision encoder has 0 to 3."),
    ],
)
def test_mistake_is_one_sentence(visualize, tmp_path, argv, expected):
    assert sentence(visualize(*argv.split())).startswith(f"tcclip: {expected}")
    assert not (tmp_path / "out").exists()
