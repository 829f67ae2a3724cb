"""Holds a dataset against its lists before a long run, and tells everything that is wrong."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.check.cache import CheckCache, Version
from datamodules.check.clips import Finding, build_examination, examine_clips
from datamodules.check.lists import CheckedList, note_leaks
from datamodules.check.problems import Problem

NUM_THREADS = 16  # they wait for the disk, not for the processor
SHARE = 1024  # files that a thread takes at a time

# Told, as often as there is news, how many files are done and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CheckSettings:
    """How files are checked.

    Attributes:
        level: A name in `datamodules.check.clips.LEVELS`.
        num_frames: Number T of frames of a view; shorter clips are noted.
        decoder: What decodes.
        num_workers: Number of processes, at least 1.
        cache_file: Where good files are remembered.
        skips: Whether a run leaves bad clips out, so that they are no trouble.
    """

    level: str
    num_frames: int
    decoder: str
    num_workers: int
    cache_file: Path
    skips: bool = False

    @property
    def examination(self) -> str:
        """What is done to a file, for the cache."""
        return f"{self.level}/{self.decoder}/{self.num_frames}" if self.level == "decode" else self.level


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        lists: The lists with their problems.
        settings: How files were checked.
        num_files: Different files in all lists.
        num_remembered: How many of them were known to be good.
    """

    lists: list[CheckedList]
    settings: CheckSettings
    num_files: int
    num_remembered: int

    @property
    def has_trouble(self) -> bool:
        """Whether a run should not be started."""
        return any(problem.is_trouble(self.settings.skips) for checked in self.lists for problem in checked.problems)

    def as_dict(self) -> dict[str, Any]:
        """Returns the whole report, ready for JSON."""
        return {
            "ok": not self.has_trouble,
            "level": self.settings.level,
            "num_frames": self.settings.num_frames,
            "decoder": self.settings.decoder,
            "bad_clips_are_skipped": self.settings.skips,
            "num_files": self.num_files,
            "num_remembered": self.num_remembered,
            "lists": [_describe(checked) for checked in self.lists],
        }


def check_files(
    lists: Sequence[CheckedList], settings: CheckSettings, progress: Progress = lambda done, total: None
) -> CheckReport:
    """Checks the files of all lists, each file once, and notes what is wrong in every list that has it.

    Args:
        lists: The lists, read by `read_lists`.
        settings: How the files are checked.
        progress: Called as files are done.
    """
    note_leaks(lists)
    paths = list(dict.fromkeys(record.path for checked in lists for record in checked.records))
    versions = dict(zip(paths, _stat_files(paths), strict=True))
    findings = {path: found for path, found in versions.items() if isinstance(found, Finding)}
    present = {path: found for path, found in versions.items() if isinstance(found, Version)}
    known = _examine(present, settings, progress, findings)
    for checked in lists:
        checked.problems += _problems(checked, findings, settings.num_frames)
    return CheckReport(list(lists), settings, len(paths), known)


def _examine(
    versions: dict[str, Version], settings: CheckSettings, progress: Progress, findings: dict[str, Finding]
) -> int:
    """Adds what is found in files that are there; returns how many were remembered."""
    examine = build_examination(settings.level, settings.num_frames, settings.decoder)
    if examine is None:
        return 0
    cache = CheckCache(settings.cache_file, settings.examination)
    remembered = {path: cache.find(os.path.abspath(path), version) for path, version in versions.items()}
    findings |= {path: Finding(*found) for path, found in remembered.items() if found is not None}
    left = [path for path, found in remembered.items() if found is None]
    done = len(versions) - len(left)
    progress(done, len(versions))
    for path, finding in examine_clips(left, examine, settings.num_workers):
        findings[path] = finding
        if finding.kind is None:
            cache.add(os.path.abspath(path), versions[path], finding.num_frames)
        done += 1
        progress(done, len(versions))
    return len(versions) - len(left)


def _stat_files(paths: Sequence[str]) -> list[Version | Finding]:
    shares = [paths[start : start + SHARE] for start in range(0, len(paths), SHARE)]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return [found for share in pool.map(_stat_share, shares) for found in share]


def _stat_share(paths: Sequence[str]) -> list[Version | Finding]:
    return [_stat_file(path) for path in paths]


def _stat_file(path: str) -> Version | Finding:
    try:
        status = os.stat(path)
    except OSError as error:
        return Finding(kind="unreadable", detail=error.strerror or type(error).__name__)
    return Version(status.st_size, status.st_mtime_ns) if status.st_size else Finding(kind="empty")


def _problems(checked: CheckedList, findings: dict[str, Finding], num_frames: int) -> list[Problem]:
    problems = []
    for record in checked.records:
        finding = findings.get(record.path)
        if finding is None:
            continue
        if finding.kind is not None:
            problems.append(Problem(finding.kind, record.video_id, finding.detail))
        elif finding.num_frames is not None and finding.num_frames < num_frames:
            problems.append(Problem("short", record.video_id, f"{finding.num_frames} of {num_frames} frames"))
    return problems


def _describe(checked: CheckedList) -> dict[str, Any]:
    problems: dict[str, list[dict[str, str]]] = {}
    for problem in checked.problems:
        problems.setdefault(problem.kind, []).append({"subject": problem.subject, "detail": problem.detail})
    return {
        "name": checked.name,
        "root": str(checked.root),
        **checked.split.summary(),
        "clips_per_class": dict(zip(checked.class_names, checked.clips_per_class(), strict=True)),
        "num_problems": dict(Counter(problem.kind for problem in checked.problems)),
        "problems": problems,
    }
