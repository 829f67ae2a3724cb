"""What was run, as far as it could change an accuracy: the settings that tell apart the rows of a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tc_clip_pl.evaluation.results import find_partial_tests

WRAPPERS = ("config", "class_path", "init_args")
"""Levels of the configuration that only hold other settings; the names shown in a report leave them out."""
NOT_COMPARED = {
    "model": ("views_per_forward", "kernels", "checkpoint_activations"),  # only save memory and time
    "data": (
        *(
            "root",
            "splits_dir",
            "label_file",
            "labels",
            "train_list",
            "test_list",
        ),  # the hashes of the lists are compared instead
        *("num_workers", "worker_timeout", "on_bad_video", "cache", "cache_gb"),
        *("seed", "split", "test_splits", "num_shots", "setting"),  # averaged over, or columns of the report
    ),
}
"""Settings that cannot change an accuracy, or that a report shows or averages over anyway, by section."""
ONLY_SPEED = ("optimizer.fused", "optimizer.foreach")
"""Settings of an optimizer that change its speed alone, as `flatten` names them."""
DRAWN = ("seed", "data_seed", "split", "num_shots", "setting")
"""What a training record has of these: averaged over, or columns of the report."""
TRAINER_SETTINGS = (
    *("max_epochs", "max_steps", "min_epochs", "min_steps", "max_time", "limit_train_batches", "overfit_batches"),
    *("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "precision"),
)
"""The few of the Trainer's many settings that can change an accuracy."""
TEST_SETTINGS = (
    *("num_frames", "image_size", "num_temporal_views", "num_spatial_views", "frame_sampling", "window_seconds"),
    *("decoder", "exact_decoding", "mean", "std"),
)
"""Options of the data that the test of a checkpoint can change."""
ARCHITECTURE = ("config", "pretrained", "freeze", "init_from")
"""Keys of `model` that are not part of the training recipe."""
HARMLESS_CALLBACKS = ("ModelCheckpoint", "LearningRateMonitor", "ProgressBar", "Summary", "Timer", "StatsMonitor")


@dataclass(frozen=True)
class FinishedRun:
    """One results.json.

    Attributes:
        results: Its content.
        method: Name of its row; None names it by the settings that differ between the runs.
        settings: Swept settings by dotted key, which also distinguish runs.
    """

    results: Mapping[str, Any]
    method: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the run."""
        return self.results["config"]

    @property
    def checkpoint(self) -> str | None:
        """SHA-256 of the tested checkpoint; None for a model tested as it was loaded."""
        return (self.results.get("checkpoint") or {}).get("sha256")

    @property
    def num_shots(self) -> int | None:
        """K of the training clips, also of the training dataset of a suite; None if trained on all clips."""
        # The checkpoint knows its shots; the configuration of a later test may say otherwise.
        return {**self._training_data, **(self.results.get("training") or {})}.get("num_shots")

    @property
    def protocol(self) -> str:
        """The table of the paper that the run belongs to: the configured one, or else that of its data."""
        data = self._training_data
        name = self.config.get("protocol")
        if name is None and data.get("setting", "standard") != "standard":
            name = data["setting"]
        elif name is None and self.num_shots is not None:
            name = "few_shot"
        elif name is None:
            name = "zero_shot" if self.results["data"].get("tests") else "fully_supervised"
        starts_from_training = (self.config.get("model") or {}).get("init_from") is not None
        return f"{name}_from_k400" if starts_from_training and name in ("few_shot", "base_to_novel") else name

    @property
    def is_chosen_on_test(self) -> bool:
        """Whether the tested epoch is the best of several on clips that the results report."""
        selection = (self.results.get("checkpoint") or {}).get("selection")
        # Zero-shot chooses on the validation clips of Kinetics-400 and reports other data.
        return selection == "best" and self.protocol.startswith(("few_shot", "base_to_novel"))

    @property
    def draw(self) -> tuple[Any, ...]:
        """The seeds and the split, which a report averages over."""
        data = self._training_data
        return self.config.get("seed_everything"), data.get("seed"), data.get("split")

    @property
    def _training_data(self) -> Mapping[str, Any]:
        data = self.results["data"]
        return data.get("train") or data

    def architecture(self) -> dict[str, str]:
        """Return the settings of the model itself, by short name; settings left open (null) are missing."""
        model = {key: value for key, value in self._model().items() if key in ARCHITECTURE}
        if sha256 := (self.results.get("clip") or {}).get("sha256"):
            # The same CLIP may be given by a hub name or a folder, and two CLIPs may take turns in one folder.
            model["pretrained"] = sha256[:8]
        return _without_open(flatten({"model": model}))

    def recipe(self) -> dict[str, str]:
        """Return how the tested weights were trained and selected, by short name."""
        recipe = {
            "trainer": {k: v for k, v in (self.config.get("trainer") or {}).items() if k in TRAINER_SETTINGS},
            "model": {key: value for key, value in self._model().items() if key not in ARCHITECTURE},
            "data": {key: value for key, value in self._data().items() if key not in TEST_SETTINGS},
            "callbacks": sorted(self._callbacks()),
        }
        known = {k: v for k, v in (self.results.get("training") or {}).items() if k not in DRAWN}
        return _without_open({**flatten(recipe), **flatten({"training": known}), **self._selection(known)})

    def test_settings(self) -> dict[str, str]:
        """Return how the clips were tested, by short name: views, sampling, pixels, and the share of the clips."""
        data = {key: value for key, value in self._data().items() if key in TEST_SETTINGS}
        # `auto` is another name of the same decoder.
        data |= {"decoder": "pyav"} if data.get("decoder") == "auto" else {}
        data.setdefault("exact_decoding", True)  # a run that does not say so had no choice
        partial = dict.fromkeys(self.partial_tests().values())
        return _without_open(flatten({"data": data})) | ({"partial": " and ".join(partial)} if partial else {})

    def partial_tests(self) -> dict[str, str]:
        """Return a reason such as "16 of 3783 clips" for every test set of which only some clips were tested."""
        sets = self.results["runs"][0]["test_sets"] if self.results["runs"] else {}
        counted = {name: entry["num_clips"] for name, entry in sets.items() if "num_clips" in entry}
        found = find_partial_tests(counted, self.results["data"])
        if (stated := self.results.get("partial")) and not found:
            found = dict.fromkeys(sets, stated if isinstance(stated, str) else "some clips")
        return found

    def lists(self) -> dict[tuple[Any, ...], str]:
        """Return a hash of every list of clips, by what must agree for two runs to read the same list."""
        data = self.results["data"]
        summaries = [data, data.get("train") or {}, *(data.get("tests") or {}).values()]
        found = {}
        for each in summaries:
            for name, split in (each.get("splits") or {}).items():
                # Draws of the K shots differ by seed; a training list belongs to its split.
                key = (each.get("dataset"), name, each.get("split"), each.get("setting"))
                key += (each.get("num_shots"), each.get("seed")) if name == "train" else ()
                found[key] = f"{split.get('sha256', '')[:8]} ({split.get('num_clips')} clips)"
        return found

    def _model(self) -> Mapping[str, Any]:
        model = self.config.get("model") or {}
        return {key: value for key, value in model.items() if key not in NOT_COMPARED["model"]}

    def _data(self) -> dict[str, Any]:
        """Return the data options in one level; those of a suite count for all of its datasets."""
        options = (self.config.get("data") or {}).get("init_args") or {}
        train = (options.get("train") or {}).get("init_args") or {}
        merged = {**train, **{key: value for key, value in options.items() if key not in ("train", "tests")}}
        if merged.get("global_batch_size") is not None:
            merged.pop("batch_size", None)  # only decides how many batches are accumulated
        return {key: value for key, value in merged.items() if key not in NOT_COMPARED["data"]}

    def _callbacks(self) -> Iterator[str]:
        callbacks = (self.config.get("trainer") or {}).get("callbacks") or []
        for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
            path = callback.get("class_path", "") if isinstance(callback, Mapping) else str(callback)
            # This project's callbacks only monitor, or do what a compared setting says.
            if not path.startswith("tc_clip_pl.") and not path.endswith(HARMLESS_CALLBACKS):
                yield path.rpartition(".")[2]

    def _selection(self, training: Mapping[str, Any]) -> dict[str, str]:
        """Return which epoch was tested, unless it is the last of a complete training."""
        checkpoint = self.results.get("checkpoint") or {}
        if checkpoint.get("selection") == "best":
            return {"tested": "best epoch"}
        epoch = checkpoint.get("epoch")
        max_epochs = training.get("max_epochs", (self.config.get("trainer") or {}).get("max_epochs"))
        if epoch is None or not max_epochs or epoch + 1 >= max_epochs:  # -1: without end
            return {}
        return {"tested": f"epoch {epoch + 1} of {max_epochs}"}


def flatten(settings: Mapping[str, Any]) -> dict[str, str]:
    """Flatten sections of a configuration; keys lose their section and wrappers, values become text.

    Example:
        >>> flatten({"model": {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}}})
        {'optimizer': 'SGD', 'optimizer.lr': '0.1'}
        >>> flatten({"model.config.seed_selection": "ats"})
        {'seed_selection': 'ats'}
    """
    flat: dict[str, str] = {}
    for key, value in settings.items():
        section, *path = key.split(".")
        if isinstance(value, Mapping):
            flat |= flatten({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            text = json.dumps(value, ensure_ascii=False, default=str).replace('"', "")
            name = ".".join(part for part in path if part not in WRAPPERS) or section
            flat[name] = text.rpartition(".")[2] if path[-1:] == ["class_path"] else text
    return flat


def _without_open(flat: Mapping[str, str]) -> dict[str, str]:
    """Leave out null and empty lists, which mean that a setting is left open, and what only changes speed."""
    return {key: text for key, text in flat.items() if text not in ("null", "[]") and key not in ONLY_SPEED}
