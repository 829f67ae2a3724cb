"""What a run leaves behind: results, pictures, predictions, and the table on the screen."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from tc_clip_pl.evaluation.collect_runs import FinishedRun, measure
from tc_clip_pl.evaluation.metrics import PADDING_LABEL
from tc_clip_pl.evaluation.pictures import draw_confusion_matrix
from tc_clip_pl.evaluation.report import build_report_of_protocol
from tc_clip_pl.evaluation.results import TestRun, build_results, write_results
from tc_clip_pl.evaluation.tables import print_report, report_markdown, results_table, run_name
from tc_clip_pl.training.distributed import gather_lists


def write_report(
    runs: Sequence[TestRun],
    folder: Path,
    trainer: Trainer,
    config: Mapping[str, Any],
    ckpt_path: str | Path | None,
    skipped: Sequence[str],
) -> None:
    """Print the table of a test and write `results.json` and the confusion matrices into the run's folder.

    The first process writes; it needs no other to, so that one that has failed cannot hold it up.

    Args:
        runs: The passes over the test sets.
        folder: The run's folder, from `run_folder`.
        trainer: The Trainer that has just tested.
        config: The whole configuration of the run.
        ckpt_path: The tested checkpoint, if any.
        skipped: Clips that could not be read.
    """
    import rich

    if not trainer.is_global_zero:
        return
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
    report = build_report_of_protocol(measure([FinishedRun(results)]), config.get("protocol"))
    path.with_suffix(".md").write_text(report_markdown(report), encoding="utf-8")
    for run in runs:
        _write_pictures(run, class_names, folder, trainer)
    for logger in trainer.loggers:
        logger.finalize("success")
    rich.print(results_table(runs))
    if runs[0].summary:
        print_report(report)
    print(f"Every figure: {path}")


def _describe_machine(trainer: Trainer) -> dict[str, Any]:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "processes": trainer.world_size, "precision": trainer.precision}


def _write_pictures(run: TestRun, class_names: Mapping[str, Sequence[str]], folder: Path, trainer: Trainer) -> None:
    from matplotlib.image import imread

    for name, figures in run.figures.items():
        stem = f"confusion_{name.replace('/', '_')}_w{run.ensemble_weight:g}"
        path = unused_path(folder / f"{stem}.png")
        draw_confusion_matrix(figures.confusion, class_names[name], f"{name}, {run_name(run)}").savefig(path, dpi=120)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(f"test/{stem}", imread(path), trainer.global_step, dataformats="HWC")


def write_predictions(
    predictions: Sequence[Mapping[str, Any]], class_names: Sequence[str], trainer: Trainer, best: int = 3
) -> None:
    """Write one line a clip to `predictions.csv`: its path, then its most probable classes with their probabilities.

    Every process must call it with its own predictions; the first one writes them all.

    Args:
        predictions: What `TCCLIPModule.predict_step` returned, batch by batch.
        class_names: Y names.
        trainer: The Trainer that has just predicted.
        best: How many classes to write.
    """
    folder, best = run_folder(trainer), min(best, len(class_names))
    rows = gather_lists([row for batch in predictions for row in _best_classes(batch, class_names, best)])
    if not trainer.is_global_zero:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = unused_path(folder / "predictions.csv")
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", *(word for n in range(1, best + 1) for word in (f"class{n}", f"probability{n}"))])
        writer.writerows(sorted(rows))
    print(f"Predictions: {path}")


def _best_classes(batch: Mapping[str, Any], class_names: Sequence[str], best: int) -> Iterator[list[str]]:
    """The lines of a batch; entries that are padding or could not be read have none."""
    values, classes = torch.topk(batch["probabilities"].cpu(), best)
    columns = (batch["video_id"], batch["label"].tolist(), values.tolist(), classes.tolist())
    for video, label, probabilities, ids in zip(*columns, strict=True):
        if label != PADDING_LABEL:
            pairs = zip(ids, probabilities, strict=True)
            yield [video, *(word for c, p in pairs for word in (class_names[c], f"{p:.4f}"))]


def run_folder(trainer: Trainer) -> Path:
    """The folder of a run; every process must ask, as they agree on it."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def unused_path(path: Path) -> Path:
    """The path itself, or with the first free number where something is there already: nothing is overwritten."""
    candidate, number = path, 0
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}_{number}")
    return candidate
