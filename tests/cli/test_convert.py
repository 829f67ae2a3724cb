"""`tcclip convert` on checkpoints of `tcclip fit`, with and without ensembling, and one sentence for each mistake."""

import json
import shutil

import pytest
import torch

from datamodules.errors import DataError
from datamodules.input_contract import read_input_contract, write_input_contract
from datamodules.options import ClipOptions
from datamodules.synthetic.actions import DEMO
from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.training.checkpoint import load_model
from tc_clip_pl.training.weight_ensembling import WeightSpaceEnsemble

from .conftest import TRAINED, sentence


@pytest.fixture
def convert(run):
    return lambda *argv: run("convert", *argv, on_demo=False)


def test_folder_is_the_model_of_the_checkpoint(convert, last):
    code, out, err = convert(last, "out")
    assert code == 0, err
    assert out == "Wrote out. Next: tcclip test --config NAME --model.pretrained out\n"
    loaded, model = TCCLIP.from_pretrained("out"), load_model(last)
    video = torch.randn(2, model.config.num_frames, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    for each in (loaded, model):
        each.set_class_names([action.name for action in DEMO])
    with torch.no_grad():
        torch.testing.assert_close(loaded(video).logits, model(video).logits, rtol=0, atol=1e-6)
    assert loaded.config.ensemble_weight is None and loaded.config.num_context_tokens == TRAINED["num_context_tokens"]


def test_ensemble_is_that_of_the_test(convert, last):
    code, out, err = convert(last, "out", "--ensemble", 0.7)
    assert code == 0, err
    assert out.endswith("--model.pretrained out --ensembling.weights [1.0]\n")
    loaded, model = TCCLIP.from_pretrained("out"), load_model(last)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    WeightSpaceEnsemble([0.7])._swap_in(model, 0.7, "Testing")  # what a test runs with
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert any(not torch.equal(before[name], tensor) for name, tensor in loaded.state_dict().items())
    with open("out/config.json") as file:
        assert json.load(file)["ensemble_weight"] == 0.7
    with open("out/README.md") as file:
        assert "- Weights: 0.7 x fine-tuned + 0.3 x CLIP\n" in file.read()
    with pytest.raises(ValueError, match=r"ensembled already \(w = 0.7\)"):  # twice would be 0.49
        loaded.clip_state_dict()


def test_input_contract_is_that_of_the_run(convert, last, tmp_path):
    checkpoint = torch.load(last, weights_only=True)
    options = checkpoint["tc_clip"]["run"]["config"]["data"]["init_args"]
    options |= {"num_temporal_views": 5, "mean": [1.0, 2.0, 3.5], "frame_sampling": "random"}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    assert convert("last.ckpt", "out")[0] == 0
    found = read_input_contract("out")
    assert (found.num_temporal_views, found.mean, found.frame_sampling) == (5, (1.0, 2.0, 3.5), "random")
    assert (found.num_frames, found.image_size) == (checkpoint["tc_clip"]["config"]["num_frames"], 48)


def test_moved_clip_is_named(convert, last, demo, tmp_path):
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["tc_clip"]["config"]["clip_name_or_path"] = "/nowhere/clip"
    torch.save(checkpoint, tmp_path / "moved.ckpt")
    assert "/nowhere/clip" in sentence(convert("moved.ckpt", "out", "--ensemble", 0.7))
    other = save_tiny_clip(tmp_path / "other", [action.name for action in DEMO], seed=1)
    assert "holds another CLIP" in sentence(convert("moved.ckpt", "out", "--clip", other))
    shutil.copytree(demo / "tiny_clip", tmp_path / "copy")
    code, _, err = convert("moved.ckpt", "out", "--clip", "copy", "--ensemble", 0.7)
    assert code == 0, err
    assert TCCLIP.from_pretrained("out").config.clip_name_or_path == str(tmp_path / "copy")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("", "Give a checkpoint and an output folder"),
        ("CKPT", "Give a checkpoint and an output folder"),
        ("no.pth out", "There is no checkpoint file no.pth; check the path."),
        ("CKPT mine", "mine exists: name another folder, or remove it."),
        ("CKPT mine/file/out", "mine/file/out cannot be written (Not a directory): name another folder."),
        ("CKPT out --ensemble 1.5", "--ensemble is 1.5; it must be between 0 (CLIP's encoders) and 1."),
        ("CKPT out --ensemble nan", "ensemble takes float or null, not nan."),
        ("CKPT out --ensembl 1", "There is no configuration key ensembl; did you mean ensemble?"),
        ("CKPT out --num_frames 8", "CKPT knows its model: leave --num_frames out."),
        ("other.pth out", "other.pth has no key 'model', only weights: pass a published TC-CLIP checkpoint."),
        (
            "official.pth out",
            "official.pth does not hold its CLIP's token embeddings: name the CLIP that was fine-tuned, as in --clip "
            "openai/clip-vit-base-patch16.",
        ),
        ("official.pth out --clip ./no", "'./no' is not a local folder, and the Hugging Face hub did not provide it"),
    ],
)
def test_mistake_is_one_sentence(convert, last, tmp_path, argv, expected):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    torch.save({"weights": {}}, tmp_path / "other.pth")
    torch.save({"model": {}}, tmp_path / "official.pth")
    before = sorted(tmp_path.rglob("*"))
    line = sentence(convert(*argv.replace("CKPT", str(last)).split()))
    assert line.startswith(f"tcclip: {expected.replace('CKPT', str(last))}")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("spatial_views", [1, 3])
def test_input_contract_round_trip(tmp_path, spatial_views):
    options = ClipOptions(
        num_frames=8, image_size=32, num_temporal_views=4, num_spatial_views=spatial_views, frame_sampling="random",
        mean=(1.25, 2.0, 3.1), std=(57.3, 58.0, 0.1),
    )  # fmt: skip
    write_input_contract(tmp_path, options)
    assert read_input_contract(tmp_path) == options
    stored = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert stored["size"] == {"shortest_edge": 37 if spatial_views == 1 else 32}


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"num_frames": 8}'])
def test_missing_or_foreign_input_contract(tmp_path, content):
    if content is not None:
        (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(DataError, match=r"preprocessor_config\.json .*`tcclip convert`\.$"):
        read_input_contract(tmp_path)
