"""What `tcclip fit` checks of its data before the model is loaded: the lists, and the header of every clip."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info

from datamodules.base import VideoDataModule
from datamodules.check.cache import default_cache_file
from datamodules.check.lists import CheckedList
from datamodules.check.run import CheckReport, CheckSettings, check_files
from datamodules.errors import DataError
from datamodules.suite import EvaluationSuite
from tc_clip_pl.cli.check import progress_bar
from tc_clip_pl.cli.startup import process_rank

UNREADABLE = ("empty", "unreadable", "undecodable")
"""Kinds of problem that make a run fail, or skip a clip."""


def check_clips(datamodule: LightningDataModule, reads_headers: bool = True) -> None:
    """Prepare the data of `fit`, then read the header of all of its clips: a bad test clip must not wait for the test.

    Only the first process reads, before there is a process group to wait in; good files are in the cache of `tcclip
    check` and are not read again. Data modules other than those of `datamodules` are left alone.

    Args:
        datamodule: The data module or suite, set up by this for `fit`.
        reads_headers: Whether to do more than preparing.

    Raises:
        DataError: The lists are wrong, or clips cannot be read and would not be skipped.
    """
    if not isinstance(datamodule, VideoDataModule | EvaluationSuite):
        return
    datamodule.setup("fit")
    if process_rank() or not reads_headers:
        return
    began = time.monotonic()
    report = _check(datamodule)
    _raise_or_warn(report)
    earlier = f" ({report.num_cached} of them earlier)" if report.num_cached else ""
    rank_zero_info(f"Checked {report.num_files} clips in {time.monotonic() - began:.1f} s{earlier}.")


def _check(datamodule: VideoDataModule | EvaluationSuite) -> CheckReport:
    members = datamodule.members if isinstance(datamodule, EvaluationSuite) else [datamodule]
    options = datamodule.options
    settings = CheckSettings(
        level="header",
        num_frames=options.num_frames,
        decoder=options.decoder,
        num_workers=0,  # processes would take longer to start than the demo's files to read
        cache_file=default_cache_file(),
        skip_bad_clips=options.on_bad_video == "skip",
    )
    with progress_bar() as progress:
        return check_files([found for data in members for found in _clips(data)], settings, progress)


def _clips(data: VideoDataModule) -> Iterator[CheckedList]:
    tests = zip(data.test_sets, data.test_datasets, strict=True)
    datasets = [("train", dataset) for name, dataset in data.datasets.items() if name == "train"]  # `val` is a test set
    for name, dataset in [*datasets, *((entry.name, dataset) for entry, dataset in tests)]:
        yield CheckedList(name, data.request.root, records=dataset.records)


def _raise_or_warn(report: CheckReport) -> None:
    bad: dict[str, str] = {}  # path -> what is wrong; a clip may be in several lists
    for checked in report.lists:
        found = [problem for problem in checked.problems if problem.kind in UNREADABLE]
        bad |= {problem.subject: problem.detail or f"{problem.kind} file" for problem in found}
        if found and len(found) == len(checked.records):
            raise DataError(f"None of the {len(found)} clips of {checked.name} can be read: check --data.root.")
    if not bad:
        return
    said = f"{len(bad)} of the {report.num_files} clips cannot be read"
    if report.settings.skip_bad_clips:
        warnings.warn(f"{said} and will be skipped: {_first(list(bad))}.", stacklevel=2)
        return
    raise DataError(
        f"{said} (the first: {next(iter(bad.values()))}): {_first(list(bad))}; replace them, skip them with "
        "--data.on_bad_video skip, or list all with `tcclip check`."
    )


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
