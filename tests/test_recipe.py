"""The published recipe where it is wired: from the shipped YAML to what training does, on generated videos.

Configurations are parsed and instantiated by the command line itself; nothing here repeats a default of the code.
"""

import math
import sys
from types import SimpleNamespace

import lightning.pytorch  # noqa: F401 (its log handler keeps the stderr it was imported with: not that of a single test)
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from torchvision.transforms import v2

from datamodules import VideoDataModule
from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from datamodules.transforms.spatial import MultiScaleCrop
from datamodules.video import dataset as video_dataset
from datamodules.video.batch import VideoBatch
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.cli import experiment, main
from tc_clip_pl.cli.configs import shipped_configs
from tc_clip_pl.training import load_model
from tc_clip_pl.training.objectives import cross_entropy as cross_entropy_module

EXPERIMENTS = [name for name in shipped_configs() if "/" not in name and name not in ("demo.yaml", "synthetic.yaml")]
# protocol -> (peak rate, epochs, warm-up epochs, global batch, tested weights): protocols.md and Appendix G.2
RECIPES = {
    "zero_shot": (8e-6, 10, 5, 256, "best"),
    "few_shot": (2e-6, 50, 5, 64, "last"),
    "base_to_novel": (3.33e-6, 12, 2, 64, "last"),
    "fully_supervised": (2.2e-5, 30, 5, 512, "best"),
}
TINY = ("--model.config.num_context_tokens", 16, "--model.config.merges_per_round", 8, "--trainer.accelerator", "cpu")


def recipe_of(name):
    return next(recipe for protocol, recipe in RECIPES.items() if name.startswith(protocol))


def published_rate(step, peak, final, warmup, total):
    """Return the rate of the published runs: linear, then a cosine that has counted from step 0."""
    if step < warmup:
        return peak * step / warmup
    return final + (peak - final) / 2 * (1 + math.cos(math.pi * step / total))


class Recorder(Callback):
    """Notes what happens in each optimizer step, epoch and validation."""

    def __init__(self, fail_at_epoch=None):
        self.rates, self.validated, self.top1, self.val_shapes, self.accumulation = [], [], [], set(), None
        self.fail_at_epoch, self.best = fail_at_epoch, None

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.fail_at_epoch:
            raise ConnectionAbortedError("stopped by the test")

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append({group["name"]: group["lr"] for group in optimizer.param_groups})
        self.accumulation = trainer.accumulate_grad_batches

    def on_validation_batch_start(self, trainer, pl_module, batch, *_):
        self.val_shapes.add(tuple(batch.video.shape[1:3]))

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.validated.append(trainer.current_epoch)
            self.top1.append(pl_module.val_results.top1)

    def on_train_end(self, trainer, pl_module):
        self.best = next(c for c in trainer.callbacks if isinstance(c, ModelCheckpoint) and c.monitor)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    write_synthetic_dataset(folder / "data", DEMO, unseen=(), train_films=5, test_films=1)
    save_tiny_clip(folder / "tiny_clip", [action.name for action in DEMO])
    return folder


@pytest.fixture(scope="module")
def built():
    """CLI objects by the name of their configuration: to parse one takes a second."""
    return {}


@pytest.fixture
def cli(built, demo, tmp_path, monkeypatch):
    """Parse and instantiate `tcclip fit --config NAME` without training; return the CLI object."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiment.TCCLIPCLI, "fit", lambda self, **_: built.update({"last": self}))
    monkeypatch.setattr(experiment, "check_clips", lambda *_: None)  # there are no data
    monkeypatch.setattr(experiment.TCCLIPCLI, "after_instantiate_classes", lambda self: None)  # nor classes

    def build(name):
        if name not in built:
            argv = ["fit", "--config", name, "--model.pretrained", demo / "tiny_clip", *TINY]
            assert main([str(argument) for argument in argv]) == 0
            built[name] = built.pop("last")
        return built[name]

    return build


@pytest.fixture
def fit(demo, tmp_path, monkeypatch):
    """Run `tcclip fit --config NAME` on generated videos; return what a `Recorder` noted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))

    def fit(name, *argv, recorder=None):
        recorder = recorder or Recorder()
        usable = experiment.usable_callbacks
        monkeypatch.setattr(experiment, "usable_callbacks", lambda settings: [*usable(settings), recorder])
        places = ("--data.root", demo / "data", "--model.pretrained", demo / "tiny_clip", "--data.num_workers", 0)
        small = ("--data.num_frames", 4, "--data.batch_size", 2, "--data.global_batch_size", 4, "--data.num_shots", 5)
        quiet = ("--trainer.enable_progress_bar", "false", "--trainer.limit_test_batches", 1, "--pictures", "false")
        argv = ["fit", "--config", name, *places, *small, *TINY, *quiet, *argv]
        try:
            assert main([str(argument) for argument in argv]) == 0
        finally:
            monkeypatch.setattr(experiment, "usable_callbacks", usable)
        return recorder

    return fit


def training_data(cli):
    """Return the data module that trains, with two classes and without reading anything."""
    data = getattr(cli.datamodule, "train", cli.datamodule)
    assert isinstance(data, VideoDataModule)
    data.__dict__["sources"] = SimpleNamespace(train=SimpleNamespace(class_names=["left", "right"]))
    return data


# Every shipped configuration


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_optimizer_and_schedule_of_the_recipe(name, cli):
    built, (peak, epochs, warmup, global_batch, tested) = cli(name), recipe_of(name)
    module, total = built.model, epochs * 8
    factory, module.lr_scheduler = module.lr_scheduler, None
    optimizer = module.configure_optimizers()["optimizer"]
    assert type(optimizer) is torch.optim.AdamW
    peaks = {group["name"]: group["lr"] for group in optimizer.param_groups}
    assert peaks == {"backbone": pytest.approx(peak), "prompting": pytest.approx(10 * peak)}
    names = {id(parameter): key for key, parameter in module.model.named_parameters() if parameter.requires_grad}
    groups = {group["name"]: {names[id(p)] for p in group["params"]} for group in optimizer.param_groups}
    assert groups["prompting"] == {n for n in names.values() if n.startswith("prompt_")} != set()
    assert groups["backbone"] | groups["prompting"] == set(names.values())
    for group in optimizer.param_groups:
        assert (group["weight_decay"], tuple(group["betas"]), group["eps"]) == (1e-3, (0.9, 0.98), 1e-8)
    scheduler = factory(optimizer, total_steps=total, steps_per_epoch=8)
    for step in range(total):
        expected = {n: published_rate(step, p, peak / 100, warmup * 8, total) for n, p in peaks.items()}
        assert {g["name"]: g["lr"] for g in optimizer.param_groups} == pytest.approx(expected, rel=1e-9)
        optimizer.step()
        scheduler.step()
    assert (built.trainer.max_epochs, built.datamodule.global_batch_size) == (epochs, global_batch)
    assert (built.config.fit.tested_weights, built.datamodule.options.remainder) == (tested, "drop")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_validation_of_the_protocol(name, cli):
    built = cli(name)
    due = []
    for epoch in range(built.trainer.max_epochs):
        built.trainer.fit_loop.epoch_progress.current.completed = epoch
        for callback in built.trainer.callbacks:
            if type(callback).__name__ == "ValidationEpochs":
                callback.on_train_epoch_start(built.trainer, built.model)
        if (epoch + 1) % built.trainer.check_val_every_n_epoch == 0:
            due.append(epoch)
    is_few_shot = name.startswith("few_shot")
    assert due == ([0, 10, 20, 30, 40, 49] if is_few_shot else list(range(built.trainer.max_epochs)))
    chooses_on_test = is_few_shot or name.startswith("base_to_novel")
    assert built.datamodule.options.val_views == ("test" if chooses_on_test else "center")
    (best,) = (c for c in built.trainer.callbacks if isinstance(c, ModelCheckpoint) and c.monitor)
    assert (best.monitor, best.mode) == ("val/top1", "max")


def draw_augmentations(data):
    """Return how many of 800 clips are mirrored and how many gray, and the draws of the color jitter."""
    frame = torch.tensor([200, 90, 60], dtype=torch.uint8)[:, None, None].repeat(1, 4, 4)
    frame[..., 2:] //= 3  # darker on the right, so that a flip shows after any jitter
    draws, original = [], v2.ColorJitter.make_params
    flips = grays = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(v2.ColorJitter, "make_params", lambda *args: draws.append(original(*args)) or draws[-1])
        for seed in range(800):  # one clip each: a batch of one has no partner to be mixed with
            batch = VideoBatch(frame[None, None, None], torch.tensor([0]), ["clip"], torch.tensor([seed]), [])
            pixels = data.augment(batch).video.flatten(0, 2)
            pixels = pixels * torch.tensor(data.options.std)[:, None, None]
            pixels += torch.tensor(data.options.mean)[:, None, None]
            flips += bool(pixels[..., :2].mean() < pixels[..., 2:].mean())
            grays += bool((pixels[0] - pixels[:, 0]).abs().max() < 0.6)
    return flips, grays, draws


@pytest.fixture(scope="module")
def drawn():
    """Draws by what decides them: most configurations augment alike, and 800 clips take half a second."""
    known = {}

    def draw(data):
        key = (data.augmentation, data.horizontal_flip, data.options.mean, data.options.std)
        if key not in known:
            known[key] = draw_augmentations(data)
        return known[key]

    return draw


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_drawn_augmentation(name, cli, drawn):
    flips, grays, draws = drawn(training_data(cli(name)))
    assert (flips == 0) if "ssv2" in name else (340 < flips < 460)  # p = 0.5, and never where labels name sides
    assert 115 < grays < 205  # p = 0.2
    assert 590 < len(draws) < 690  # p = 0.8
    limits = {"brightness_factor": 0.4, "contrast_factor": 0.4, "saturation_factor": 0.2}
    for factor, limit in limits.items():
        assert 0.95 * limit < max(abs(draw[factor] - 1) for draw in draws) <= limit + 1e-6, factor
    assert 0.095 < max(abs(draw["hue_factor"]) for draw in draws) <= 0.1 + 1e-6


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_drawn_mixing(name, cli, monkeypatch):
    data, mixed = training_data(cli(name)), []
    for mixer in (v2.MixUp, v2.CutMix):
        monkeypatch.setattr(
            mixer,
            "make_params",
            lambda self, inputs, make=mixer.make_params: mixed.append(self) or make(self, inputs),
        )
    video, seed = torch.zeros(400, 1, 1, 3, 4, 4, dtype=torch.uint8), torch.arange(400)
    batch = VideoBatch(video, torch.arange(400) % 2, ["clip"] * 400, seed, [])
    label = data.augment(batch).label
    assert label.shape == (400, 2) and label.sum(1).allclose(torch.ones(400))
    assert len(mixed) == 200  # every pair
    alphas = {kind: {m.alpha for m in mixed if type(m) is kind} for kind in (v2.MixUp, v2.CutMix)}
    assert alphas == {v2.MixUp: {0.8}, v2.CutMix: {1.0}}
    assert 70 < sum(type(m) is v2.MixUp for m in mixed) < 130  # half each


# Short trainings


def test_training_draws_frames_and_crops(fit, monkeypatch):
    """One frame from each segment and one window, drawn anew in every epoch."""
    indices, windows, smoothing, lengths = {}, [], set(), {}
    decode, draw = video_dataset.decode_frames, MultiScaleCrop.make_params
    cross_entropy = cross_entropy_module.F.cross_entropy

    def spy_decode(path, choose, *settings):
        def spy_choose(num_available):
            chosen = choose(num_available)
            indices.setdefault(path, []).append(tuple(chosen[0].tolist()))
            lengths[path] = num_available
            return chosen

        return decode(path, spy_choose, *settings)

    def spy_window(self, inputs):
        windows.append((inputs[0].shape[-2:], draw(self, inputs)))
        return windows[-1][1]

    def spy_loss(*args, label_smoothing=0.0, **options):
        smoothing.add(label_smoothing)
        return cross_entropy(*args, label_smoothing=label_smoothing, **options)

    monkeypatch.setattr(video_dataset, "decode_frames", spy_decode)
    monkeypatch.setattr(MultiScaleCrop, "make_params", spy_window)
    monkeypatch.setattr(cross_entropy_module.F, "cross_entropy", spy_loss)
    off = ("--trainer.limit_val_batches", 0, "--trainer.num_sanity_val_steps", 0)
    large = ("--data.batch_size", 8, "--data.global_batch_size", 8)
    fit("few_shot_hmdb", "--trainer.max_epochs", 4, "--model.lr_scheduler.warmup_epochs", 1, *off, *large)
    training = {path: draws for path, draws in indices.items() if len(draws) >= 4}
    assert len(training) >= 30  # 40 training clips, in 4 epochs each
    assert sum(len(set(draws)) > 1 for draws in training.values()) == len(training)  # other frames in each epoch
    for path, draws in training.items():
        segment = lengths[path] // 4
        for chosen in draws:
            assert [index // segment for index in chosen] == [0, 1, 2, 3]
    assert len(windows) == 192  # one crop a clip and epoch
    shorts = {min(size) for size, _ in windows}
    scales = {(w["height"] / min(size), w["width"] / min(size)) for size, w in windows}
    assert len(shorts) == 1 and len(scales) == 10  # all pairs of neighboring scales
    smaller = [w for size, w in windows if w["height"] < size[0] and w["width"] < size[1]]
    places = {(bool(w["top"]), bool(w["left"])) for w in smaller}
    assert len(places) == 4  # corners too, not only the center
    assert smoothing == {0.1}


def test_rates_of_every_step_and_best_epoch(fit):
    rates = ("--model.optimizer.lr", 1e-3, "--model.lr_scheduler.final_lr", 1e-5)
    recorder = fit("base_to_novel_hmdb", *rates, "--data.num_shots", 2)
    assert recorder.accumulation == 2
    assert len(recorder.rates) == 12 * 2  # 10 base clips in steps of 4
    for step, rates in enumerate(recorder.rates):
        expected = {n: published_rate(step, p, 1e-5, 4, 24) for n, p in (("backbone", 1e-3), ("prompting", 1e-2))}
        assert rates == pytest.approx(expected, rel=1e-9), step
    assert recorder.validated == list(range(12)) and recorder.val_shapes == {(2, 4)}
    assert max(recorder.top1) > min(recorder.top1)  # otherwise "best" means nothing
    assert float(recorder.best.best_model_score) == pytest.approx(max(recorder.top1))
    best = torch.load(recorder.best.best_model_path, weights_only=True)
    assert recorder.top1[best["epoch"]] == max(recorder.top1)


def test_few_shot_validates_the_first_every_tenth_and_the_last_epoch_with_two_views(fit):
    short = ("--trainer.limit_train_batches", 2, "--trainer.limit_val_batches", 1)
    short += ("--model.lr_scheduler.warmup_epochs", 1)
    recorder = fit("few_shot_hmdb", "--trainer.max_epochs", 13, *short)
    assert recorder.validated == [0, 10, 12] and recorder.val_shapes == {(2, 4)}


@pytest.mark.parametrize("weights", [pytest.param("last", marks=pytest.mark.slow), "best"])
def test_tested_weights(weights, fit, tmp_path):
    fit("base_to_novel_hmdb", "--trainer.max_epochs", 3, "--tested_weights", weights, "--data.num_shots", 2)
    (results,) = tmp_path.rglob("results.json")
    assert f"checkpoints/{weights}.ckpt" in results.read_text()


def test_best_weights_need_a_validation(demo, demo_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = ("fit", "--config", demo_config, "--data.root", demo / "data", "--model.pretrained", demo / "tiny_clip")
    off = ("--tested_weights", "best", "--trainer.limit_val_batches", 0, "--data.num_workers", 0)
    assert main([str(argument) for argument in (*argv, *off)]) == 1
    assert "--tested_weights best needs validation" in capsys.readouterr().err


def test_resumed_training_equals_the_uninterrupted_one(fit):
    """The schedule moves and every augmentation is on, as shipped."""
    options = ("--trainer.max_epochs", 4, "--model.optimizer.lr", 1e-3, "--data.num_shots", 3)
    whole = fit("base_to_novel_hmdb", *options)
    with pytest.raises(AssertionError):  # main reports the error and returns 1
        fit("base_to_novel_hmdb", *options, recorder=Recorder(fail_at_epoch=2))
    folder = "outputs/base_to_novel_hmdb/version_{}/checkpoints/last.ckpt"
    resumed = fit("base_to_novel_hmdb", *options, "--ckpt_path", folder.format(1))
    assert resumed.rates == whole.rates[6:] and len({rates["backbone"] for rates in whole.rates}) > 10
    before, after = (load_model(folder.format(version)).state_dict() for version in (0, 2))
    for name, value in before.items():
        assert torch.equal(after[name], value), name


# Numbers that make no sense, and losses that are none


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--model.optimizer.lr", "0", "model.optimizer.lr is 0; it must be above 0"),
        ("--model.optimizer.lr", "-1e-3", "learning rate"),
        ("--model.optimizer.weight_decay", "-1", "weight_decay"),
        ("--model.lr_scheduler.final_lr", "-1e-8", "final_lr is -1e-08; it must be at least 0"),
        ("--model.lr_scheduler.final_lr", "1", "at most the peak rate"),
        ("--model.lr_scheduler.warmup_epochs", "-1", "warmup_epochs is -1; it must be at least 0"),
        ("--model.label_smoothing", "1", "label_smoothing is 1; it must be at least 0 and below 1"),
        ("--model.label_smoothing", "-0.1", "label_smoothing is -0.1"),
        ("--model.prompting_lr_factor", "0", "prompting_lr_factor is 0; it must be above 0"),
        ("--trainer.gradient_clip_val", "-1", "gradient_clip_val is -1; it must be at least 0"),
        ("--max_bad_steps", "-1", "max_bad_steps is -1; it must be at least 0"),
        ("--data.augmentation.flip_probability", "2", "augmentation.flip_probability is 2.0; it must be from 0 to 1"),
    ],
)
def test_senseless_number_is_refused_in_one_sentence(
    option, value, message, demo, demo_config, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    argv = ["fit", "--config", demo_config, "--data.root", demo / "data", "--model.pretrained", demo / "tiny_clip"]
    assert main([str(argument) for argument in (*argv, f"{option}={value}")]) == 1
    error = capsys.readouterr().err
    assert message.lower() in error.lower() and "Traceback" not in error


EXPLODING = ("--model.optimizer.lr", 1e10, "--trainer.max_epochs", 2, "--model.lr_scheduler.warmup_epochs", 0)


def test_loss_that_is_not_finite_stops_the_run(demo, fit, capsys, tmp_path):
    with pytest.raises(AssertionError):
        fit("few_shot_hmdb", *EXPLODING, "--trainer.limit_val_batches", 0)
    error = capsys.readouterr().err
    assert "The loss is not finite in optimizer step" in error and "batch " in error and ".mp4" in error
    assert "--max_bad_steps" in error and not list(tmp_path.rglob("results.json"))


def test_accuracy_of_weights_that_are_not_finite_is_refused(fit, capsys, tmp_path):
    """Tolerated steps leave the broken weights in place."""
    with pytest.raises(AssertionError):
        short = ("--trainer.limit_val_batches", 0, "--trainer.limit_train_batches", 4)
        fit("few_shot_hmdb", *EXPLODING, "--max_bad_steps", 1000, *short)
    assert "not finite, so there is no accuracy to report" in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.rglob("results.json"))


def test_a_tolerated_bad_step_changes_no_weight(fit, monkeypatch):
    """One NaN loss in the second of three epochs of one step: as if that step had never been."""
    cross_entropy, calls = cross_entropy_module.F.cross_entropy, []

    def sometimes_nan(*args, **options):
        calls.append(1)
        return cross_entropy(*args, **options) * (math.nan if len(calls) == 3 else 1)

    monkeypatch.setattr(cross_entropy_module.F, "cross_entropy", sometimes_nan)
    recorder = fit("few_shot_hmdb", "--trainer.max_epochs", 1, "--model.lr_scheduler.warmup_epochs", 0,
                   "--trainer.limit_train_batches", 6, "--max_bad_steps", 1)  # fmt: skip
    assert len(recorder.rates) == 3
    weights = load_model("outputs/few_shot_hmdb/version_0/checkpoints/last.ckpt").state_dict()
    assert all(value.isfinite().all() for value in weights.values())
