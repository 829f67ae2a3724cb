"""The outputs of a run: results, pictures, predictions, and the table on the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from tc_clip_pl.cli.checkpoint_config import describe_training
from tc_clip_pl.cli.run_cost import run_cost
from tc_clip_pl.evaluation.aggregate import EvaluationSet
from tc_clip_pl.evaluation.metrics import PADDING_LABEL
from tc_clip_pl.evaluation.pictures import draw_confusion_matrix
from tc_clip_pl.evaluation.results import EvaluationRun, build_results, find_partial_tests, write_results
from tc_clip_pl.training.checkpoint import CheckpointFacts, read_facts
from tc_clip_pl.training.distributed import gather_lists

LEAST_OF_A_CURVE = 3
"""With so many ensemble weights a test also writes accuracy by weight."""


def write_report(
    runs: Sequence[EvaluationRun],
    folder: Path,
    trainer: Trainer,
    config: Mapping[str, Any],
    ckpt_path: str | Path | None,
    skipped: Sequence[str],
    minutes: float | None = None,
) -> None:
    """Print the tables of a test, and write `results.json` and the confusion matrices into the run's folder.

    Only the first process writes, and without collectives: a failed process cannot block it.

    Args:
        runs: One pass over the test sets for each ensemble weight.
        folder: The run's folder, from `run_folder`.
        trainer: The Trainer that has just tested.
        config: The whole configuration of the run; `pictures` says whether to draw the confusion matrices.
        ckpt_path: The tested checkpoint, if any.
        skipped: Clips that could not be read, as "path: reason".
        minutes: Duration of the command so far.
    """
    if not trainer.is_global_zero:
        return
    # pandas, which these need, is not worth its import time before there are results.
    from tc_clip_pl.evaluation.collect_runs import collect_measurements
    from tc_clip_pl.evaluation.report import build_report_of_protocol
    from tc_clip_pl.evaluation.run_identity import FinishedRun
    from tc_clip_pl.evaluation.table_rendering import print_report, report_markdown

    results = _collect_results(runs, trainer, config, ckpt_path, skipped, minutes)
    path = write_results(results, unused_path(folder / "results.json"))
    report = build_report_of_protocol(collect_measurements([FinishedRun(results)]), config.get("protocol"))
    path.with_suffix(".md").write_text(report_markdown(report), encoding="utf-8")
    for run in runs if config.get("pictures", True) else ():
        _write_pictures(run, trainer.lightning_module.test_sets, folder, trainer)
    for logger in trainer.loggers:
        logger.finalize("success")  # the pictures came after Lightning's own, which closed the files
    if len(runs) >= LEAST_OF_A_CURVE:
        _write_curve(runs, folder, trainer)
    else:
        _print_accuracies(runs, results["data"])
    if results["runs"][0]["summary"]:  # with a single test set the report would only repeat the table above
        print_report(report)
    print(f"All metrics: {path}")


def _write_curve(runs: Sequence[EvaluationRun], folder: Path, trainer: Trainer) -> None:
    import rich

    from tc_clip_pl.evaluation.ensemble_curve import build_curve, curve_table, write_curve

    module, datamodule = trainer.lightning_module, trainer.datamodule
    curve = build_curve(runs, module.test_sets, getattr(getattr(datamodule, "train", None), "name", None))
    rich.print(curve_table(curve))
    files = write_curve(curve, unused_path(folder / "ensemble_curve.csv"))
    print(f"Curve: {files[0]}, {', '.join(file.suffix for file in files[1:])}")


def _collect_results(
    runs: Sequence[EvaluationRun],
    trainer: Trainer,
    config: Mapping[str, Any],
    ckpt_path: str | Path | None,
    skipped: Sequence[str],
    minutes: float | None,
) -> dict[str, Any]:
    """Return the content of `results.json`; the arguments are those of `write_report`."""
    module, datamodule = trainer.lightning_module, trainer.datamodule
    facts = read_facts(ckpt_path) if ckpt_path else None
    return build_results(
        runs,
        module.test_sets,
        config=config,
        data=getattr(datamodule, "summary", dict)(),
        checkpoint=ckpt_path,
        skipped=[*skipped, *(clip for clip in getattr(datamodule, "skipped_clips", []) if clip not in skipped)],
        machine=_describe_machine(trainer),
        minutes=minutes and round(minutes, 2),
        command=module.run_record.get("command", []),
        checkpoint_facts=facts and {name: getattr(facts, name) for name in ("epoch", "global_step", "selection")},
        clip={"name": module.model.config.clip_name_or_path, "sha256": module.model.config.clip_sha256},
        training=describe_training(*_training_record(module, facts)),
        cost=run_cost(module.model, trainer),
    )


def _print_accuracies(runs: Sequence[EvaluationRun], data: Mapping[str, Any]) -> None:
    import rich

    from tc_clip_pl.evaluation.table_rendering import results_table

    num_clips = {name: metrics.num_clips for name, metrics in runs[0].metrics.items()}
    rich.print(results_table(runs, partial=find_partial_tests(num_clips, data)))


def _training_record(
    module: LightningModule, facts: CheckpointFacts | None
) -> tuple[Mapping[str, Any] | None, list[str] | None]:
    """Return the run that trained the tested weights, and its classes: none if nothing was trained."""
    if facts is not None:
        return facts.run, facts.class_names
    was_trained = module.trainer.global_step > 0  # in this process, without checkpoints
    return (module.run_record, list(module.trainer.datamodule.class_names)) if was_trained else (None, None)


def _describe_machine(trainer: Trainer) -> dict[str, Any]:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "processes": trainer.world_size, "precision": trainer.precision}


def _write_pictures(
    run: EvaluationRun, evaluation_sets: Sequence[EvaluationSet], folder: Path, trainer: Trainer
) -> None:
    from matplotlib.image import imread

    from tc_clip_pl.evaluation.table_rendering import run_name

    for entry in evaluation_sets:
        stem = f"confusion_{entry.dataset}_{entry.part}_w{run.ensemble_weight:g}"
        path = unused_path(folder / f"{stem}.png")
        confusion, title = run.metrics[entry.name].confusion, f"{entry.name}, {run_name(run)}"
        draw_confusion_matrix(confusion, entry.class_names, title).savefig(path, dpi=120)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(f"test/{stem}", imread(path), trainer.global_step, dataformats="HWC")


def write_predictions(
    predictions: Sequence[Mapping[str, Any]], class_names: Sequence[str], trainer: Trainer, top_k: int = 3
) -> None:
    """Write `predictions.csv`: for each clip its path, then its most probable classes with their probabilities.

    Every process must call this with its own predictions; the first one writes those of all.

    Args:
        predictions: Outputs of `TCCLIPModule.predict_step`, one per batch.
        class_names: Y names.
        trainer: The Trainer that has just predicted.
        top_k: Number of classes to write; at most Y.

    Raises:
        ValueError: If a probability is not finite, on every process.
    """
    _check_finite(predictions)
    folder, best = run_folder(trainer), min(top_k, len(class_names))
    rows = gather_lists([row for batch in predictions for row in _best_classes(batch, class_names, best)])
    if not trainer.is_global_zero:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = unused_path(folder / "predictions.csv")
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", *(name for n in range(1, best + 1) for name in (f"class{n}", f"probability{n}"))])
        writer.writerows(sorted(rows))  # the order would otherwise depend on the number of processes
    _print_first_rows(sorted(rows))
    print(f"Predictions: {path}")


def _check_finite(predictions: Sequence[Mapping[str, Any]]) -> None:
    clips = [
        (video, bool(is_finite))
        for batch in predictions
        for video, label, is_finite in zip(
            batch["video_id"], batch["label"].tolist(), batch["probabilities"].isfinite().all(-1), strict=True
        )
        if label != PADDING_LABEL
    ]
    clips = gather_lists(clips)
    if bad := [video for video, is_finite in clips if not is_finite]:
        raise ValueError(
            f"The probabilities of {len(bad)} of {len(clips)} videos (such as {bad[0]}) are not finite: the weights "
            "have diverged; train with a lower learning rate, or predict with an earlier checkpoint."
        )


def _print_first_rows(rows: Sequence[Sequence[str]], shown: int = 20) -> None:
    import rich
    from rich.table import Table
    from rich.text import Text

    table = Table("video", "class", "probability", box=None)
    for video, name, probability, *_ in rows[:shown]:
        table.add_row(Text(video), Text(name), probability)  # Text: brackets in names are no markup
    rich.print(table)
    if len(rows) > shown:
        print(f"... and {len(rows) - shown} more videos")


def _best_classes(batch: Mapping[str, Any], class_names: Sequence[str], best: int) -> Iterator[list[str]]:
    """Yield the rows of a batch, without padding and clips that could not be read."""
    values, classes = torch.topk(batch["probabilities"].cpu(), best)
    columns = (batch["video_id"], batch["label"].tolist(), values.tolist(), classes.tolist())
    for video, label, probabilities, ids in zip(*columns, strict=True):
        if label != PADDING_LABEL:
            pairs = zip(ids, probabilities, strict=True)
            yield [video, *(cell for c, p in pairs for cell in (class_names[c], f"{p:.4f}"))]


def run_folder(trainer: Trainer) -> Path:
    """Return the folder of a run; a collective call, as the processes agree on one folder."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def unused_path(path: Path) -> Path:
    """Return the path, with the first free number appended if it exists: outputs are never overwritten."""
    candidate, number = path, 0
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}_{number}")
    return candidate
