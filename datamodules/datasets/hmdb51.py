"""HMDB-51: 51 actions in about 6.8 thousand clips, three splits (Kuehne et al., ICCV 2011)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.splits.list_files import check_unique, read_numbered_lines
from datamodules.splits.lookup import RootIndex
from datamodules.splits.protocols import Parts, base_to_novel_files
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import Annotations

# The number after each clip in `<class>_test_split<n>.txt`; clips with a 0 are unused.
PARTS = {1: "train", 2: "test"}
SUFFIX = "_test_split{split}.txt"


class HMDB51DataModule(VideoDataModule):
    """HMDB-51 as published: `<class>/*.avi` or all clips in one directory, and `<class>_test_split{1,2,3}.txt`.

    Without `splits_dir`, these split files may be anywhere under the root.
    """

    name = "hmdb51"
    published = PublishedFiles(
        labels="labels/hmdb_51_labels.csv",
        train="datasets_splits/hmdb_splits/train{split}.txt",
        few_shot="datasets_splits/hmdb_splits/train{split}_few_shot_{num_shots}.txt",
        test="datasets_splits/hmdb_splits/val{split}.txt",
    )
    other_settings: ClassVar[Mapping[str, Parts]] = {"base_to_novel": base_to_novel_files("hmdb_splits", "hmdb_51")}

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Read the split files of all classes; the file names contain the class names."""
        suffix = SUFFIX.format(split=split)
        found = (index.annotation(file) for file in index.matching(f"*{suffix}"))
        files = {file.name.removesuffix(suffix): file for file in found}
        if not files:
            raise DataError(
                f"There are no files <class>{suffix} under {index}; put HMDB-51's split files there, "
                "or give a copy of the published lists with --data.splits_dir."
            )
        clips: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
        for name, file in files.items():
            lines = read_numbered_lines(file)
            check_unique((clip for clip, _ in lines), file)
            for clip, part in lines:
                # With the class folder, as in the published lists; in a flat layout, the base name finds the clip.
                if part in PARTS:
                    clips[PARTS[part]].append((f"{name}/{clip}", name))
        return Annotations(clips, tuple(files.values()))
