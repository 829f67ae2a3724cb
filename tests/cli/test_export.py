"""`tcclip export`: programs that equal the model, for any batch, and the script of the README that runs them."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch

from datamodules.synthetic.actions import DEMO
from tc_clip_pl import TCCLIP
from tc_clip_pl.inference.model_source import load_source
from tc_clip_pl.inference.recognizer import Recognizer

from .conftest import sentence

NAMES = [action.name for action in DEMO]


@pytest.fixture(autouse=True)
def no_trace():
    """Keep pytest from formatting PyTorch's trace of every operator, which takes minutes."""
    trace = logging.getLogger("torch.__trace")
    before, trace.disabled = trace.disabled, True
    yield
    trace.disabled = before


@pytest.fixture
def export(run):
    return lambda *argv: run("export", *argv, on_demo=False)


def load(folder, form):
    """The two programs as functions of tensors."""
    if form == "torch_export":
        return [torch.export.load(Path(folder) / f"{name}.pt2").module() for name in ("video", "text")]

    def program(name):
        session = onnxruntime.InferenceSession(Path(folder) / f"{name}.onnx")
        names = [entry.name for entry in session.get_inputs()]

        def run(*inputs):
            given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
            outputs = [torch.from_numpy(output) for output in session.run(None, given)]
            return outputs if name == "video" else outputs[0]

        return run

    return program("video"), program("text")


SLOW = pytest.mark.slow  # half a minute each, all of it inside PyTorch's exporter


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("world", "torch_export"),
        pytest.param("world", "onnx", marks=SLOW),
        pytest.param("fine-tuned", "torch_export", marks=SLOW),
        pytest.param("fine-tuned", "onnx", marks=SLOW),
    ],
)
def test_programs_equal_the_model(export, request, form, source):
    path = request.getfixturevalue("last") if source == "fine-tuned" else "world"
    code, out, err = export("out", "--model", path, "--labels", ",".join(NAMES), "--format", form)
    assert code == 0, err
    assert out.splitlines()[-1].startswith("Wrote out: video")  # a fixture may have trained before
    model, options = load_source(path)
    facts = json.loads(Path("out/export.json").read_text())
    video_side, text_side = load("out", form)
    size, generator = options.image_size, torch.Generator().manual_seed(0)
    for batch, labels in ((1, NAMES), (3, NAMES[:4])):
        video = torch.randn(batch, options.num_frames, 3, size, size, generator=generator)
        model.set_class_names(labels)
        with torch.no_grad():
            expected = model(video).logits
            embeds, *tokens = video_side(video)
            texts = text_side(torch.tensor(facts["input_ids"])[: len(labels)], *tokens)
        found = facts["logit_scale"] * (texts @ embeds[:, :, None] if texts.ndim == 3 else embeds @ texts.T)
        torch.testing.assert_close(found.reshape(batch, -1), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_script_of_the_readme_answers_as_the_recognizer(export, last, demo, tmp_path):
    assert export("exported", "--model", last, "--labels", ",".join(NAMES), "--format", "onnx")[0] == 0
    film = sorted((demo / "data").rglob("*.mp4"))[0]
    (tmp_path / "a.mp4").write_bytes(film.read_bytes())
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (script,) = [block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "onnxruntime" in block]
    assert "tc_clip_pl" not in script and "datamodules" not in script and len(script.splitlines()) <= 24
    (tmp_path / "answer.py").write_text(script)
    done = subprocess.run([sys.executable, "answer.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (answer,) = Recognizer.from_pretrained(last, "cpu", num_temporal_views=1, num_workers=0)(["a.mp4"], NAMES)
    label, probability = done.stdout.rsplit(None, 1)
    assert label == answer.ranking[0][0] and float(probability) == pytest.approx(answer.ranking[0][1], abs=0.02)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("", "Give a folder and labels"),
        ("out", "Give a folder and labels"),
        (". --labels a,b", ". exists: name another folder, or remove it."),
        ("out --labels a", "Give two labels or more"),
        ("out --labels a,b --format tf", "--format is 'tf'; choose one of torch_export, onnx."),
        ("out --labels a,b --model ./none", "'./none' is not a local folder"),
    ],
)
def test_mistake_is_one_sentence(export, argv, expected):
    assert sentence(export(*argv.split())).startswith(f"tcclip: {expected}")
    assert not Path("out").exists()


def test_several_texts_of_a_class_are_refused(export, tiny_clip_folder, tmp_path):
    options = {"reference_tokens": "none", "prompting": "template_ensemble", "num_frames": 4}
    TCCLIP.from_pretrained(tiny_clip_folder, **options).save_pretrained(tmp_path / "ensemble")
    said = sentence(export("out", "--model", tmp_path / "ensemble", "--labels", "cartwheel, ride bike"))
    assert said == "tcclip: A model with prompting template_ensemble cannot be exported: it has many texts a class."
