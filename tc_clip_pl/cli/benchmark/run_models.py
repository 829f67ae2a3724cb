"""Runs the benchmarks that need no videos: of models, and of single operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tc_clip_pl.benchmarks import attention, compare, matching
from tc_clip_pl.benchmarks.inference import benchmark_inference
from tc_clip_pl.benchmarks.peak import measure_peak
from tc_clip_pl.benchmarks.rows import Row
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.benchmarks.training import benchmark_training
from tc_clip_pl.cli.benchmark.options import Sections, build_optimizer_factory, build_settings, parse_options
from tc_clip_pl.cli.benchmark.record import collect, describe_run
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.modules.acceleration import choose_kernels


def run_models(what: str, argv: list[str], sections: Sections, arguments: list[str]) -> tuple[dict[str, Any], str]:
    """Run a benchmark.

    Args:
        what: Its name.
        argv: The command line, after `tcclip benchmark`.
        sections: The merged configurations.
        arguments: Options, without the configurations.

    Returns:
        The record, and the format to print it in.

    Raises:
        UserError: The arguments are wrong, or the output cannot be written.
    """
    options = parse_options(what, sections, arguments)
    settings = build_settings(what, options, sections)
    rows, total = _start(what, settings, sections)
    record = describe_run(what, argv, settings.device)
    record |= {"model": options.model.pretrained, "repeats": settings.repeats, "peak": measure_peak(settings.device)}
    record["recomputes"] = settings.recomputes
    return collect(rows, total, record, options.output), options.format


def _start(what: str, settings: Settings, sections: Sections) -> tuple[Iterator[Row], int]:
    """Return the rows of a benchmark, which are measured as they are asked for, and their number."""
    if what in ("attention", "matching"):
        if "auto" in settings.kernels:
            raise UserError(f"--kernels auto is for whole models; {what} takes plain, compiled and triton.")
        for name in settings.kernels:
            choose_kernels(name, settings.device)  # raises if it cannot run there
        if what == "attention":
            return attention.benchmark_attention(settings), attention.count_rows(settings)
        return matching.benchmark_matching(settings), matching.count_rows(settings)
    if what == "train":
        return benchmark_training(settings, build_optimizer_factory(sections)), compare.count_rows(settings)
    return benchmark_inference(settings, by_host=what == "latency"), compare.count_rows(settings)
