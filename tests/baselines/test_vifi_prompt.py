"""ViFi-CLIP with prompts as a system: its parts, its parameters, its training, and a run from the command line."""

import json

import pytest
import torch
from torch.nn.functional import cross_entropy

from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from tc_clip_pl.baselines.vifi_prompt.config import ViFiPromptConfig
from tc_clip_pl.baselines.vifi_prompt.conversion import convert_state_dict
from tc_clip_pl.baselines.vifi_prompt.model import ViFiPrompt
from tc_clip_pl.checkpoints.official import TOKEN_EMBEDDING
from tc_clip_pl.cli import main
from tc_clip_pl.modules.backbone.interface import backbone_options
from tc_clip_pl.modules.loading import load_clip
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.ops import deep_prompts as prompts
from tc_clip_pl.training.checkpoint import describe_model, load_weights

NAMES = ["brush hair", "cart_wheel", "draw sword"]


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = ViFiPrompt.from_pretrained("world", num_prompts=3, vision_depth=2, text_depth=3)
    model.set_class_names(NAMES)
    return model


@pytest.fixture
def video():
    return torch.randn(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_prompts_take_their_places():
    tokens, vectors = torch.arange(6.0).view(1, 3, 2), torch.tensor([[10.0, 11.0], [12.0, 13.0]])
    appended = prompts.append_prompts(tokens, vectors)
    assert appended[0, :, 0].tolist() == [0, 2, 4, 10, 12]
    assert prompts.replace_last(appended, vectors + 10)[0, :, 0].tolist() == [0, 2, 4, 20, 22]
    inserted = prompts.insert_after_first(tokens, vectors)
    assert inserted[0, :, 0].tolist() == [0, 10, 12, 2, 4]
    assert prompts.replace_after_first(inserted, vectors + 10)[0, :, 0].tolist() == [0, 20, 22, 2, 4]


def test_layers_below_the_depth_get_vectors_and_the_others_pass_theirs_on():
    states, seen = torch.zeros(1, 3, 1), []
    vectors = torch.tensor([[[1.0]], [[2.0]]])

    def layer(tokens):
        seen.append(tokens[0, -1].item())
        return tokens + 0.5

    prompts.run_prompted([layer] * 4, prompts.append_prompts(states, vectors[0]), vectors, prompts.replace_last)
    assert seen == [1.0, 2.0, 2.5, 3.0]


def test_clip_is_loaded_unchanged(model):
    clip = load_clip("world").state_dict()
    assert set(model.state_dict()) - set(clip) == model.new_parameter_names()
    assert all(torch.equal(value, clip[name]) for name, value in model.state_dict().items() if name in clip)


def test_b16_has_the_vectors_of_twelve_layers_on_both_sides():
    with torch.device("meta"):
        model = ViFiPrompt(ViFiPromptConfig(**backbone_options("openai/clip-vit-base-patch16")))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 12 * 10 * (768 + 512)
    clip = sum(p.numel() for p in model.parameters()) - model.get_parameter(TOKEN_EMBEDDING).numel() - trained
    assert round(clip / 1e6, 1) == 124.3  # ViFi-CLIP in Table 6


def test_few_text_vectors_start_from_the_template(model):
    tokenizer, table = model.tokenizer, model.get_parameter(TOKEN_EMBEDDING)
    words = tokenizer("a photo of a", add_special_tokens=False)["input_ids"]
    count = len(words)
    short = ViFiPrompt.from_pretrained("world", num_prompts=count)
    assert torch.equal(short.text_prompts[0], table[words])
    longer = ViFiPrompt.from_pretrained("world", num_prompts=count + 1)
    for drawn in (short.text_prompts[1:], longer.text_prompts, longer.vision_prompts):
        assert drawn.std().item() == pytest.approx(0.02, rel=0.2) and drawn.mean().abs() < 0.005


def test_underscores_become_spaces_and_vectors_lengthen_the_text(model):
    ids = model.class_input_ids.clone()
    model.set_class_names([name.replace("_", " ") for name in NAMES])
    assert torch.equal(ids, model.class_input_ids)
    assert torch.equal(model.class_eos, (ids == model.config.text_config.eos_token_id).int().argmax(1) + 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_changes_the_vectors_alone(model, video, dtype):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(5):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = cross_entropy(model.train()(video).logits.float(), torch.tensor([0, 2]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"vision_prompts", "text_prompts"} and losses[-1] < losses[0]


def test_saved_model_is_the_same_and_still_frozen(model, video, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = ViFiPrompt.from_pretrained(tmp_path)
    loaded.set_class_names(NAMES)
    with torch.no_grad():
        assert torch.equal(loaded(video).logits, model(video).logits)
        cosines = loaded.embed_videos(video) @ torch.nn.functional.normalize(loaded.embed_classes(), dim=-1).T
        torch.testing.assert_close(loaded.logit_scale.exp() * cosines, model(video).logits)
    assert {name for name, p in loaded.named_parameters() if p.requires_grad} == model.new_parameter_names()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_prompts": 0}, "num_prompts is 0: give a positive"),
        ({"vision_depth": 5}, "vision_depth is 5: this CLIP has 4 layers"),
        ({"text_depth": 0}, "text_depth is 0: this CLIP has 4 layers"),
        ({"num_prompts": 30}, "num_prompts=30 leaves 0 of the text encoder's 32 tokens"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(Exception, match=message):
        ViFiPrompt.from_pretrained("world", **options)


def test_wrong_videos_and_long_names_are_refused(model):
    for shape in ((2, 4, 3, 32, 32), (2, 3, 64, 64), (2, 4, 1, 64, 64)):
        with pytest.raises(ValueError, match=r"videos of shape \(B, T, 3, 64, 64\), not"):
            model(torch.zeros(shape))
    with pytest.raises(ValueError, match="text encoder takes 32: shorten it"):
        model.set_class_names(["word " * 40])


def test_names_of_another_checkpoint_are_refused(model):
    config = model.config
    with pytest.raises(ValueError, match=r"1 unknown weight .'image_encoder.something'."):
        convert_state_dict({"image_encoder.something": torch.zeros(1)}, config)
    with pytest.raises(ValueError, match=r"checkpoint lacks .* needed weights"):
        convert_state_dict({"image_encoder.VPT": torch.zeros(3, 96)}, config)
    deep = {"image_encoder.transformer.resblocks.1.VPT_shallow": torch.zeros(3, 96)}
    with pytest.raises(ValueError, match="vision_prompts of deeper layers, but none of layer 0"):
        convert_state_dict(deep, config)


@pytest.fixture
def vifi_checkpoint(tmp_path):
    """The file of a ViFi-CLIP whose weights are not CLIP's, and the weights."""
    vifi = TCCLIP.from_pretrained("world", reference_tokens="none", prompting="template")
    torch.nn.init.constant_(vifi.logit_scale, 3.0)
    weights = {f"model.{name}": value for name, value in vifi.state_dict().items()}
    torch.save({"state_dict": weights, "tc_clip": describe_model(vifi)}, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_only_a_checkpoint_without_parameters_of_its_own_starts_another_system(model, vifi_checkpoint, tmp_path):
    vectors = model.vision_prompts.detach().clone()
    load_weights(model, vifi_checkpoint)
    assert model.logit_scale.item() == 3.0 and torch.equal(model.vision_prompts, vectors)
    tc_clip = TCCLIP.from_pretrained("world", num_context_tokens=8)
    with pytest.raises(ValueError, match="has no prompt_generation_layer"):
        load_weights(tc_clip, vifi_checkpoint)  # the same system, and another architecture
    weights = {f"model.{name}": value for name, value in tc_clip.state_dict().items()}
    torch.save({"state_dict": weights, "tc_clip": describe_model(tc_clip)}, tmp_path / "tc.ckpt")
    with pytest.raises(ValueError, match="of the system tc_clip, whose weights are not those of ViFi-CLIP prompts"):
        load_weights(model, tmp_path / "tc.ckpt")


def test_it_trains_from_the_command_line_on_a_vifi_clip(vifi_checkpoint, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    write_synthetic_dataset(tmp_path / "data", DEMO, unseen=(), train_films=2, test_films=1)
    argv = ["fit", "--config", "demo.yaml", "--config", "models/vifi_prompt.yaml", "--data.num_frames", "2"]
    argv += ["--data.root", "data", "--data.num_workers", "0", "--model.lr_scheduler.warmup_epochs", "0"]
    argv += ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"]
    assert main([*argv, "--pictures", "false", "--model.init_from", str(vifi_checkpoint)]) == 0
    assert "the 2 tensors that ViFi-CLIP prompts adds start anew" in caplog.text
    (results,) = (tmp_path / "outputs").rglob("results.json")
    assert json.loads(results.read_text())["config"]["method"] == "ViFi-CLIP prompts"
    (trained,) = (tmp_path / "outputs").rglob("last.ckpt")
    weights = [torch.load(path, weights_only=True)["state_dict"] for path in (vifi_checkpoint, trained)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
