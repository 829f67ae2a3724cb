"""Something-Something v2: 174 ways of handling things in about 220 thousand clips (Goyal et al., ICCV 2017)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize, read_class_names, strip_brackets
from datamodules.splits.list_files import check_unique
from datamodules.splits.lookup import RootIndex
from datamodules.splits.protocols import Parts, base_to_novel_files, subset_files
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import Annotations

# Annotation files; in some releases their names begin with `something-something-v2-`.
FILES = {"train": "*train.json", "test": "*validation.json"}
LABELS = "*labels.json"
ADVICE = "put Something-Something's JSON files there, or give a copy of the published lists with --data.splits_dir"


class SSv2DataModule(VideoDataModule):
    """Something-Something v2 as published: `<id>.webm`, `labels.json`, `train.json` and `validation.json`.

    Without `splits_dir`, the JSON files may be anywhere under the root. Clips are never mirrored, because class names
    distinguish left from right. `[something]` in a class name becomes `something`.
    """

    name = "ssv2"
    test_part = "validation"
    flips = False
    to_words = staticmethod(strip_brackets)
    published = PublishedFiles(
        labels="labels/ssv2_labels.csv",
        train="datasets_splits/ssv2_splits/train.txt",
        few_shot="datasets_splits/ssv2_splits/train1_few_shot_{num_shots}.txt",
        test="datasets_splits/ssv2_splits/validation.txt",
    )
    other_settings: ClassVar[Mapping[str, Parts]] = {
        "base_to_novel": base_to_novel_files("ssv2_splits", "ssv2_174"),
        "temporal": subset_files("ssv2_splits", "ssv2", "validation", "temporal", 18),
        "static": subset_files("ssv2_splits", "ssv2", "validation", "static", 16),
    }

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Read the JSON files; `labels.json` defines the label order."""
        # Releases differ in the prefix of the file names, not in their ends.
        label_file, *files = (index.only(pattern, ADVICE) for pattern in (LABELS, *FILES.values()))
        classes = _read_classes(label_file)
        known = label_of(classes)
        clips = {part: _read_clips(file, known, classes) for part, file in zip(FILES, files, strict=True)}
        # Across both files: a clip in both would be trained and tested on.
        check_unique((clip for part in clips.values() for clip, _ in part), files[-1])
        return Annotations(clips, (label_file, *files), tuple(classes))


def _read_classes(file: Path) -> list[str]:
    """Read `{"Holding something": "0", ...}`, or a label file `{"0": "Holding something", ...}`."""
    content = _read_json(file)
    if not isinstance(content, dict) or not all(str(label).isdigit() for label in content.values()):
        return read_class_names(file, strip_brackets)
    names = {int(label): strip_brackets(template) for template, label in content.items()}
    if sorted(names) != list(range(len(content))) or not content:
        raise DataError(f"The ids in {file} are not 0, 1, 2, ... once each; correct them.")
    return [names[label] for label in range(len(names))]


def _read_clips(file: Path, known: dict[str, int], classes: list[str]) -> list[tuple[str, str]]:
    entries = _read_json(file)
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{file} has no list of clips; replace it with the published file.")
    labels: dict[str, int | None] = {}  # a template is normalized once, not once per clip
    clips = []
    for number, entry in enumerate(entries, start=1):
        template = entry.get("template") if isinstance(entry, dict) else None
        if not isinstance(template, str) or not str(entry.get("id", "")):
            raise DataError(f"{file}, entry {number}: {entry!r:.80} lacks an `id` or a `template`; correct it.")
        if template not in labels:
            labels[template] = known.get(normalize(template))
        if (label := labels[template]) is None:
            raise DataError(f"{file}, entry {number}: the template {template!r} is not in labels.json; correct it.")
        clips.append((f"{entry['id']}.webm", classes[label]))
    check_unique((clip for clip, _ in clips), file)
    return clips


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {file} ({error}); replace it with the published file.") from error
