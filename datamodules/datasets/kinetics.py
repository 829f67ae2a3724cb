"""Kinetics-400 and Kinetics-600: clips of ten seconds from YouTube (Kay et al., 2017; Carreira et al., 2018)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.splits.lookup import RootIndex
from datamodules.splits.protocols import Parts, base_to_novel_files, subset_files
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import Annotations

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
# The `split` column -> the part here. `test` is left out: the labels of test clips were never published.
PARTS = {"train": "train", "validate": "test", "validation": "test", "val": "test"}
# Part -> the folder that the published lists give for its clips.
FOLDERS = {"train": "train", "test": "val"}
REPLACEMENTS = "replacement"


class Row(NamedTuple):
    """One line of an annotation file."""

    label: str
    clip: str
    split: str


class KineticsDataModule(VideoDataModule):
    """Kinetics as published: `train/ val/ test/ replacement/`, clips flat or in class folders, and annotation files.

    Clips are named `<YouTube id>_<start>_<end>.mp4`, in seconds padded to six digits. Without `splits_dir`, the
    annotation files (CSV with columns `label,youtube_id,time_start,time_end,split`) may be anywhere under the root.
    Clips under `replacement` replace broken ones. Most copies lack some clips, because videos disappear from YouTube:
    `on_bad_video: skip` leaves them out, with a warning.
    """

    test_part = "validation"

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Read all annotation files."""
        files = [file for file in map(index.annotation, index.matching("*.csv")) if _is_annotation(file)]
        if not files:
            raise DataError(
                f"There is no CSV file with the columns {','.join(COLUMNS)} under {index}; put the annotation "
                "files of Kinetics there, or give a copy of the published lists with --data.splits_dir."
            )
        clips: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
        replacements = {file.rpartition("/")[2]: file for file in index.files if REPLACEMENTS in file.split("/")[:-1]}
        seen: dict[str, Path] = {}  # a second copy of an annotation file would double every clip
        for file in files:
            for row in _read_rows(file):
                if row.clip in seen:
                    raise DataError(f"The clip {row.clip} is in {seen[row.clip]} and again in {file}; remove one line.")
                seen[row.clip] = file
                if part := PARTS.get(row.split):
                    clips[part].append((replacements.get(row.clip, f"{FOLDERS[part]}/{row.clip}"), row.label))
        return Annotations(clips, tuple(files))


class Kinetics400DataModule(KineticsDataModule):
    """Kinetics-400: 400 actions, about 240 thousand clips for training and 20 thousand for validation."""

    name = "kinetics400"
    published = PublishedFiles(
        labels="labels/kinetics_400_labels.csv",
        train="datasets_splits/k400_splits/train.txt",
        few_shot="datasets_splits/k400_splits/train1_few_shot_{num_shots}.txt",
        test="datasets_splits/k400_splits/val.txt",
    )
    other_settings: ClassVar[Mapping[str, Parts]] = {
        "base_to_novel": base_to_novel_files("k400_splits", "kinetics_400"),
        "temporal": subset_files("k400_splits", "kinetics_400", "val", "temporal", 32),
        "static": subset_files("k400_splits", "kinetics_400", "val", "static", 32),
    }


class Kinetics600DataModule(KineticsDataModule):
    """Kinetics-600. The setting `zero_shot` has three test splits of 160 classes that are not in Kinetics-400.

    Their clips come from `train/`, `val/` and `test/`.
    """

    name = "kinetics600"
    published = PublishedFiles(
        labels="labels/kinetics_600_labels.csv",
        train="datasets_splits/k600_splits/train.txt",
        few_shot="datasets_splits/k600_splits/train1_few_shot_{num_shots}.txt",
        test="datasets_splits/k600_splits/val.txt",
    )
    other_settings: ClassVar[Mapping[str, Parts]] = {
        "zero_shot": {
            "split{split}": PublishedFiles(
                labels="labels/ZS_split{split}_K600.csv",
                train=None,
                few_shot=None,
                test="datasets_splits/k600_splits/ZS_split{split}_K600_eval.txt",
            )
        }
    }


def _is_annotation(file: Path) -> bool:
    """Return whether a CSV has the columns of an annotation file; other CSV files under the root are ignored."""
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        return set(COLUMNS) <= set(stream.readline().strip().replace('"', "").split(","))


def _read_rows(file: Path) -> Iterator[Row]:
    number = 1  # of the header
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            for row in csv.DictReader(stream):
                number += 1
                # Times may be written 7 or 7.0; file names have 000007.
                start, end = (f"{int(float(row[column])):06d}" for column in ("time_start", "time_end"))
                if not row["label"] or not row["youtube_id"] or not row["split"]:
                    raise ValueError("a column is empty")
                yield Row(row["label"], f"{row['youtube_id']}_{start}_{end}.mp4", row["split"])
    except (OSError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{file}, line {number} is not `{','.join(COLUMNS)}` with times in seconds ({error}); correct it."
        ) from error
    if number == 1:
        raise DataError(f"The annotation file {file} is empty; replace it with the published file.")
