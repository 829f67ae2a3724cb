"""Checks the files of a dataset's lists and reports every problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.check.cache import CheckCache, Version
from datamodules.check.clips import Finding, build_inspection, inspect_files
from datamodules.check.lists import CheckedList, note_leaks
from datamodules.check.problems import Problem
from datamodules.errors import DataError
from datamodules.parallel import map_in_threads
from datamodules.video.clip_files import absolute_path, clip_version

# Keys of the cache. The numbers go up when a check becomes stricter: files found good by an older one are read again.
HEADER_KEY, DECODE_KEY = "header3", "decode3/"

# Called with the number of files done and the number of all files.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CheckSettings:
    """How files are checked.

    Attributes:
        level: A name in `datamodules.check.clips.LEVELS`.
        num_frames: Number T of frames per view; shorter clips are reported.
        decoder: A name in `datamodules.video.decoding.DECODERS`.
        num_workers: Number of processes; 0 takes threads of this one, for headers.
        cache_file: Where good files are remembered.
        skip_bad_clips: Whether a run leaves unreadable clips out, so that they are only warnings.
    """

    level: str
    num_frames: int
    decoder: str
    num_workers: int
    cache_file: Path
    skip_bad_clips: bool = False

    @property
    def inspection(self) -> str:
        """Key of the cache: everything that the outcome for a file depends on."""
        return f"{DECODE_KEY}{self.decoder}/{self.num_frames}" if self.level == "decode" else HEADER_KEY


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check.

    Attributes:
        lists: The lists with their problems.
        settings: How files were checked.
        num_files: Number of distinct files in all lists.
        num_cached: How many of them were good in an earlier check, and not read again.
    """

    lists: list[CheckedList]
    settings: CheckSettings
    num_files: int
    num_cached: int

    @property
    def errors(self) -> list[Problem]:
        """The problems of all lists for which a run should not be started."""
        return [problem for checked in self.lists for problem in checked.problems if self.is_error(problem)]

    def is_error(self, problem: Problem) -> bool:
        """Return whether a problem is an error under the settings of this check, and not a warning."""
        return problem.is_error(self.settings.skip_bad_clips)

    def as_dict(self) -> dict[str, Any]:
        """Return the whole report, ready for JSON."""
        return {
            "ok": not self.errors,
            "level": self.settings.level,
            "num_frames": self.settings.num_frames,
            "decoder": self.settings.decoder,
            "skip_bad_clips": self.settings.skip_bad_clips,
            "num_files": self.num_files,
            "num_cached": self.num_cached,
            "lists": [self._describe(checked) for checked in self.lists],
        }

    def _describe(self, checked: CheckedList) -> dict[str, Any]:
        errors = [problem for problem in checked.problems if self.is_error(problem)]
        warnings = [problem for problem in checked.problems if not self.is_error(problem)]
        return {
            "name": checked.name,
            "root": str(checked.root),
            **checked.split.summary(),
            "clips_per_class": dict(zip(checked.class_names, checked.clips_per_class(), strict=True)),
            "num_errors": len(errors),
            "num_warnings": len(warnings),
            "errors": _by_kind(errors),
            "warnings": _by_kind(warnings),
        }


def check_files(
    lists: Sequence[CheckedList], settings: CheckSettings, progress: Progress = lambda done, total: None
) -> CheckReport:
    """Check the files of all lists, and add the problems to every list that has the file.

    Args:
        lists: The lists, from `read_lists`.
        settings: How files are checked.
        progress: Called as files are done.
    """
    note_leaks(lists)
    # Lists may share files; each file is inspected once.
    paths = list(dict.fromkeys(record.path for checked in lists for record in checked.records))
    versions = dict(zip(paths, map_in_threads(_stat_file, paths), strict=True))
    findings = {path: found for path, found in versions.items() if isinstance(found, Finding)}
    present = {path: found for path, found in versions.items() if isinstance(found, Version)}
    num_cached = _inspect_present(present, settings, progress, findings)
    for checked in lists:
        checked.problems += _find_problems(checked, findings, settings.num_frames)
    return CheckReport(list(lists), settings, len(paths), num_cached)


def _inspect_present(
    versions: dict[str, Version], settings: CheckSettings, progress: Progress, findings: dict[str, Finding]
) -> int:
    """Add the findings of existing files; return how many came from the cache."""
    inspect = build_inspection(settings.level, settings.num_frames, settings.decoder)
    if inspect is None:
        return 0
    implied_by = DECODE_KEY if settings.level == "header" else None
    cache = CheckCache(settings.cache_file, settings.inspection, implied_by)
    # Absolute paths, so that a check from another directory finds them.
    cached = {path: cache.find(absolute_path(path), version) for path, version in versions.items()}
    findings |= {path: Finding(*found) for path, found in cached.items() if found is not None}
    remaining = [path for path, found in cached.items() if found is None]
    done = num_cached = len(versions) - len(remaining)
    progress(done, len(versions))
    for path, finding in inspect_files(remaining, inspect, settings.num_workers):
        findings[path] = finding
        if finding.kind is None:
            cache.add(absolute_path(path), versions[path], finding.num_frames)
        done += 1
        progress(done, len(versions))
    return num_cached


def _stat_file(path: str) -> Version | Finding:
    """Return the version of a file, or a finding if it is empty or cannot be reached (such as a dangling link)."""
    try:
        version = Version(*clip_version(path))
    except OSError as error:
        return Finding(kind="unreadable", detail=error.strerror or type(error).__name__)
    except DataError as error:  # about a shard
        return Finding(kind="unreadable", detail=str(error))
    return version if version.size else Finding(kind="empty")


def _find_problems(checked: CheckedList, findings: dict[str, Finding], num_frames: int) -> list[Problem]:
    problems = []
    for record in checked.records:
        finding = findings.get(record.path)
        if finding is None:  # not opened at this level
            continue
        if finding.kind is not None:
            problems.append(Problem(finding.kind, record.video_id, finding.detail))
        elif finding.num_frames is not None and finding.num_frames < num_frames:
            problems.append(Problem("short", record.video_id, f"{finding.num_frames} of {num_frames} frames"))
    return problems


def _by_kind(problems: Sequence[Problem]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for problem in problems:
        found.setdefault(problem.kind, []).append({"subject": problem.subject, "detail": problem.detail})
    return found
