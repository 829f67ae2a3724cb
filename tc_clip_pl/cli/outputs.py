"""What a run leaves behind: results, pictures, predictions, and the table on the screen."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from tc_clip_pl.evaluation.pictures import draw_confusion_matrix
from tc_clip_pl.evaluation.results import TestRun, build_results, write_results
from tc_clip_pl.evaluation.tables import results_table, run_name


def write_report(
    runs: Sequence[TestRun],
    trainer: Trainer,
    config: Mapping[str, Any],
    ckpt_path: str | Path | None,
    skipped: Sequence[str],
) -> None:
    """Print the table of a test and write `results.json` and the confusion matrices into the run's folder.

    Args:
        runs: The passes over the test sets.
        trainer: The Trainer that has just tested.
        config: The whole configuration of the run.
        ckpt_path: The tested checkpoint, if any.
        skipped: Clips that could not be read.
    """
    import rich

    folder = Path(trainer.log_dir or trainer.default_root_dir)
    class_names = {entry.name: entry.class_names for entry in trainer.lightning_module.test_sets}
    results = build_results(
        runs,
        class_names,
        config=config,
        data=getattr(trainer.datamodule, "summary", dict)(),
        checkpoint=ckpt_path,
        skipped=skipped,
        machine=_describe_machine(trainer),
    )
    path = write_results(results, unused_path(folder / "results.json"))
    for run in runs:
        _write_pictures(run, class_names, folder, trainer)
    for logger in trainer.loggers:
        logger.finalize("success")
    rich.print(results_table(runs))
    print(f"Every figure: {path}")


def _describe_machine(trainer: Trainer) -> dict[str, Any]:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "processes": trainer.world_size, "precision": trainer.precision}


def _write_pictures(run: TestRun, class_names: Mapping[str, Sequence[str]], folder: Path, trainer: Trainer) -> None:
    for name, figures in run.figures.items():
        picture = draw_confusion_matrix(figures.confusion, class_names[name], f"{name}, {run_name(run)}")
        stem = f"confusion_{name.replace('/', '_')}_w{run.ensemble_weight:g}"
        picture.savefig(unused_path(folder / f"{stem}.png"), dpi=150)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"test/{stem}", picture, trainer.global_step)


def write_predictions(predictions: Sequence[Mapping], class_names: Sequence[str], folder: Path, best: int = 3) -> Path:
    """Write one line a clip: its path, then its most probable classes with their probabilities.

    Args:
        predictions: What `TCCLIPModule.predict_step` returned, batch by batch.
        class_names: Y names.
        folder: Where `predictions.csv` goes; it is made where missing.
        best: How many classes to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = unused_path(folder / "predictions.csv")
    best = min(best, len(class_names))
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", *(word for n in range(1, best + 1) for word in (f"class{n}", f"probability{n}"))])
        for batch in predictions:
            values, classes = torch.topk(batch["probabilities"].cpu(), best)
            for video, value, ids in zip(batch["video_id"], values.tolist(), classes.tolist(), strict=True):
                pairs = zip(ids, value, strict=True)
                writer.writerow([video, *(word for c, p in pairs for word in (class_names[c], f"{p:.4f}"))])
    return path


def unused_path(path: Path) -> Path:
    """The path itself, or with the first free number where something is there already: nothing is overwritten."""
    candidate, number = path, 0
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}_{number}")
    return candidate
