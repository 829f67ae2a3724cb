"""`tcclip convert` on published checkpoints: the folder is the model, and what does not fit is refused by name."""

import importlib.util
import inspect
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import AutoImageProcessor, CLIPConfig, CLIPModel
from transformers.initialization import no_init_weights

from datamodules.input_contract import read_input_contract
from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.tiny_clip import make_tiny_tokenizer
from tc_clip_pl.cli import main
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.loading import load_clip
from tc_clip_pl.modules.tokenizer import PROMPT_TEMPLATE

OPTIONS = {"num_frames": 4, "seed_ratio": 0.5, "num_context_tokens": 6, "merges_per_round": 4}
NAMES = ["brush hair", "ride bike", "draw sword"]
FLAGS = [f"--{name}={value}" for name, value in OPTIONS.items()]

spec = importlib.util.spec_from_file_location("parity_weights", Path(__file__).parents[1] / "parity" / "weights.py")
parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parity)


@pytest.fixture
def video():
    return torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def fine_tuned(clip, **options):
    """A TC-CLIP all of whose weights differ from CLIP's, but the token embeddings, which are not trained."""
    model = TCCLIP.from_pretrained(clip, **options)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def logits(model, video):
    model.set_class_names(NAMES)
    with torch.no_grad():
        return model(video).logits


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Save weights as a published file, convert it to `out`, and return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def convert(weights, *argv):
        if weights is not None:
            torch.save({"model": weights, "epoch": 3}, "official.pth")
        code = main(["convert", "official.pth", "out", *map(str, argv)])
        return code, *capsys.readouterr()

    return convert


@pytest.mark.parametrize("changes", [{}, {"positional_embedding": "joint"}], ids=["space", "joint"])
def test_folder_is_the_published_model(convert, publish, tiny_clip_folder, video, changes):
    model = fine_tuned(tiny_clip_folder, **OPTIONS, **changes)
    weights = publish(model)
    if changes:
        table = "module.image_encoder.positional_embedding"
        weights[table] = weights[table].unflatten(0, (OPTIONS["num_frames"], -1))
    code, out, err = convert(weights, "--clip", tiny_clip_folder, *FLAGS)
    assert code == 0, err
    assert out == "Wrote out. Next: tcclip test --config NAME --model.pretrained out\n"
    loaded = TCCLIP.from_pretrained("out")
    torch.testing.assert_close(logits(loaded, video), logits(model, video), rtol=0, atol=1e-6)
    fields = inspect.get_annotations(TCCLIPConfig)
    assert all(getattr(loaded.config, name) == getattr(model.config, name) for name in fields)
    clip = load_clip(str(tiny_clip_folder)).state_dict()["visual_projection.weight"]
    assert torch.equal(loaded.clip_state_dict()["visual_projection.weight"], clip)


def test_frame_wise_weights_make_a_frame_wise_model(convert, publish, tiny_clip_folder, video):
    model = fine_tuned(tiny_clip_folder, num_frames=4, reference_tokens="none", prompting="template")
    code, _, err = convert(publish(model), "--clip", tiny_clip_folder, "--num_frames", 4)
    assert code == 0, err
    torch.testing.assert_close(logits(TCCLIP.from_pretrained("out"), video), logits(model, video), rtol=0, atol=1e-6)


def openai_names(weights):
    """Published weights of a frame-wise model as OpenAI names and stacks them, beside sizes."""
    renamed = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(77)}
    for name, tensor in weights.items():
        short = name.removeprefix("module.").removeprefix("text_encoder.")
        if ".attn.q_proj." in name:  # stacked in both encoders
            stacked = torch.cat([weights[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"])
            renamed[short.replace("image_encoder", "visual").replace("q_proj.", "in_proj_")] = stacked
        elif ".attn.k_proj." not in name and ".attn.v_proj." not in name:
            renamed[short.replace("image_encoder", "visual")] = tensor
    return renamed


@pytest.mark.parametrize("holder", ["model", "state_dict", None])
def test_openai_names_are_read(convert, publish, tiny_clip_folder, video, holder):
    model = fine_tuned(tiny_clip_folder, num_frames=4, reference_tokens="none", prompting="template")
    weights = openai_names(publish(model))
    assert "visual.transformer.resblocks.0.attn.in_proj_weight" in weights
    assert {"transformer.resblocks.0.ln_1.bias", "positional_embedding", "text_projection", "ln_final.bias"} < set(
        weights
    )
    torch.save({holder: weights} if holder else weights, "official.pth")
    code, _, err = convert(None, "--clip", tiny_clip_folder, "--num_frames", 4)
    assert code == 0, err
    torch.testing.assert_close(logits(TCCLIP.from_pretrained("out"), video), logits(model, video), rtol=0, atol=1e-6)
    shutil.rmtree("out")
    torch.save({**weights, "visual.adapter": torch.zeros(1)}, "official.pth")
    code, _, err = convert(None, "--clip", tiny_clip_folder)
    assert code == 1 and "1 unknown weight ('image_encoder.adapter')" in err


def test_torchscript_program_is_not_run(convert, tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "official.pth")
    code, _, err = convert(None, "--clip", "./clip")
    assert code == 1 and "official.pth is a TorchScript program, which is not run here: save its weights by" in err


def test_parity_weights_give_the_parity_logits(convert, tmp_path):
    case = parity.load_case("tiny")
    tokenizer = make_tiny_tokenizer([PROMPT_TEMPLATE])
    sizes = {"projection_dim": 512, "num_hidden_layers": case["vision_layers"], "hidden_size": 768}
    text = {"projection_dim": 512, "num_hidden_layers": case["text_layers"]}
    with no_init_weights():  # all of them are replaced
        clip = CLIPModel(CLIPConfig(vision_config={**sizes, "patch_size": 16}, text_config=text, projection_dim=512))
    clip.save_pretrained("clip")
    tokenizer.save_pretrained("clip")
    flags = [f"--{name}={case[key]}" for name, key in (
        ("num_frames", "frames"), ("seed_ratio", "seed_ratio"), ("num_context_tokens", "context_tokens"),
        ("merges_per_round", "merges_per_round"),
    )]  # fmt: skip
    code, _, err = convert(parity.make_state_dict(case), "--clip", "./clip", *flags)
    assert code == 0, err
    model = TCCLIP.from_pretrained("out")
    model.set_class_tokens(case["expected"]["input_ids"].long())
    with torch.no_grad():
        found = model(parity.make_video(case)).logits
    assert ((found - case["expected"]["logits"]).norm() / case["expected"]["logits"].norm()).item() < 1e-4


def test_card_and_input_contract(convert, publish, tiny_clip_folder):
    model = fine_tuned(tiny_clip_folder, **OPTIONS)
    assert convert(publish(model), "--clip", tiny_clip_folder, *FLAGS)[0] == 0
    card = Path("out/README.md").read_text()
    assert "`official.pth`, SHA-256 " in card and model.config.clip_sha256 in card and "- Weights: fine-tuned" in card
    assert str(tiny_clip_folder.parent) not in card
    options = read_input_contract("out")
    assert (options.num_frames, options.image_size, options.num_temporal_views) == (4, 32, 2)
    processor = AutoImageProcessor.from_pretrained("out", local_files_only=True)
    frame = torch.full((3, 60, 40), 200, dtype=torch.uint8)
    (pixels,) = processor(frame, return_tensors="pt")["pixel_values"]
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (options.mean, options.std))
    torch.testing.assert_close(pixels, ((200 - mean) / std).expand(3, 32, 32), rtol=0, atol=1e-5)


def change(weights, part, value):
    """The weights with those whose name contains `part` replaced, or removed by None."""
    kept = {name: value if part in name else tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in kept.items() if tensor is not None}


def test_other_weights_are_refused_by_name(convert, publish, tiny_clip_folder):
    weights = publish(fine_tuned(tiny_clip_folder, **OPTIONS))
    extra = {**weights, "adapter.a": torch.zeros(1), "module.adapter.b": torch.zeros(1)}
    for wrong, part in (
        (extra, "2 unknown weights ('adapter.a', 'adapter.b')"),
        (change(weights, "ln_1_kv", None), "lacks 2 needed weights ('prompt_generation_layer.layer_norm_context.bias'"),
        (
            change(weights, "conv1", torch.zeros(64, 3, 4, 4)),
            "is (64, 3, 4, 4) instead of (64, 3, 8, 8); name the CLIP",
        ),
        (change(weights, "image_encoder.", None), "lacks the weights of a vision encoder"),
    ):
        code, out, err = convert(wrong, "--clip", tiny_clip_folder, *FLAGS)
        assert code == 1 and part in err and "Traceback" not in err and not out
        assert not Path("out").exists() and not Path("out.unfinished").exists()


class Malicious:
    def __reduce__(self):
        return subprocess.getoutput, ("touch ran",)


def test_nothing_in_the_file_runs(convert, publish, tiny_clip_folder):
    torch.save({"model": publish(fine_tuned(tiny_clip_folder, **OPTIONS)), "config": Malicious()}, "official.pth")
    code, _, err = convert(None, "--clip", tiny_clip_folder, *FLAGS)
    assert code == 0, err
    assert Path("out/config.json").exists() and not Path("ran").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_another_file_is_refused(convert, content, tmp_path):
    (tmp_path / "official.pth").write_bytes(content)
    code, _, err = convert(None, "--clip", "./clip")
    assert code == 1 and "Traceback" not in err and "official.pth cannot be read: it is not a checkpoint" in err


@pytest.mark.parametrize("teacher", [False, True], ids=["Open-VCLIP", "FROSTER"])
def test_open_vclip_and_froster_are_told_by_their_names(convert, publish, tiny_clip_folder, video, teacher):
    prompting = "described_ensemble" if teacher else "template_ensemble"
    options = {"reference_tokens": "window", "frame_pooling": "mean_cosine", "train_token_embeddings": teacher}
    model = fine_tuned(tiny_clip_folder, num_frames=4, prompting=prompting, **options)
    weights = {f"model.{name}": value for name, value in openai_names(publish(model)).items()}
    weights["model.token_embedding.weight"] = model.text_model.embeddings.token_embedding.weight
    if teacher:
        weights |= {"raw_model.logit_scale": torch.zeros(()), "projector_v.0.weight": torch.zeros(2, 2)}
    torch.save({"model_state": weights, "epoch": 3}, "official.pth")
    code, _, err = convert(None, "--clip", tiny_clip_folder, "--num_frames", 4)
    assert code == 0, err
    loaded = TCCLIP.from_pretrained("out")
    torch.testing.assert_close(logits(loaded, video), logits(model, video), rtol=0, atol=1e-6)
    fields = inspect.get_annotations(TCCLIPConfig)
    assert all(getattr(loaded.config, name) == getattr(model.config, name) for name in fields)
    assert read_input_contract("out").window_seconds == pytest.approx(4.267, abs=1e-3)
    shutil.rmtree("out")
    torch.save({"model_state": {**weights, "other": torch.zeros(1)}}, "official.pth")
    code, _, err = convert(None, "--clip", tiny_clip_folder)
    assert code == 1 and "1 unknown weight ('other')" in err
    del weights["model.visual.proj"]
    torch.save({"model_state": weights}, "official.pth")
    code, _, err = convert(None, "--clip", tiny_clip_folder)
    assert code == 1 and "1 needed weight ('visual_projection.weight')" in err
