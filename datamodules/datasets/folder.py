"""Your own videos, in one folder per class."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.options import check_share
from datamodules.splits.class_names import label_of, normalize
from datamodules.splits.draw import NamedClip, hold_out
from datamodules.splits.lookup import Root, RootIndex, scan_root
from datamodules.splits.protocols import Parts, base_to_novel_files
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import UNLABELED, Annotations, VideoRecord
from datamodules.splits.video_names import is_video

# Top folders that are splits, not classes. If several are for evaluation, the first in this order is used.
EVALUATION_FOLDERS = ("test", "val", "validation")
SPLIT_FOLDERS = {"train", *EVALUATION_FOLDERS}


class FolderDataModule(VideoDataModule):
    """Videos in class folders, `<class>/**/<clip>`, with any number of classes named after their folders.

    If the only top folders are `train` and `test` (or `val`, or `validation`), these are the splits. Otherwise a share
    of each class is held out for testing, and every value of `split` gives another draw.

    Args:
        root: Directory of the class folders.
        test_share: Share of each class that is held out.
        classes: Class names, as a list or with commas between. All videos under the root, in any layout, are then
            predicted among these classes; there is nothing to train or test on.
        **settings: The other arguments of `VideoDataModule`.
    """

    name = "folder"
    published = PublishedFiles(  # as written by `tcclip split`
        labels="labels/folder_labels.csv",
        train="datasets_splits/folder_splits/train{split}.txt",
        few_shot="datasets_splits/folder_splits/train{split}_few_shot_{num_shots}.txt",
        test="datasets_splits/folder_splits/val{split}.txt",
    )
    other_settings: ClassVar[Mapping[str, Parts]] = {"base_to_novel": base_to_novel_files("folder_splits", "folder")}

    def __init__(
        self, root: str, test_share: float = 0.2, classes: list[str] | str | None = None, **settings: Any
    ) -> None:
        super().__init__(root, **settings)
        self.test_share = test_share
        given = classes.split(",") if isinstance(classes, str) else classes or []
        self.classes = [name.strip() for name in given]

    @property
    def class_names(self) -> list[str]:
        """Y names of the classes: those given, or those of the folders."""
        return self.classes or super().class_names

    def setup(self, stage: str | None = None) -> None:
        """Read splits and class names, and find every clip; with `classes`, find all videos, without labels.

        Args:
            stage: `fit`, `validate`, `test` or `predict`; None prepares everything.

        Raises:
            DataError: As in `VideoDataModule.setup`; or `classes` are given for another stage than `predict`.
        """
        if not self.classes:
            super().setup(stage)
            return
        self.check_options()
        if stage != "predict":
            raise DataError(
                "Videos with --data.classes have no labels; use `tcclip predict`, or class folders instead."
            )
        if not all(self.classes) or len(set(map(normalize, self.classes))) < len(self.classes):
            raise DataError(
                f"--data.classes is {', '.join(self.classes)!r}; give different names, with commas between."
            )
        root = self.request.root
        index = scan_root(root)
        videos, others = _split_by_suffix(index.files)
        _warn_of_others(root, others)
        if not videos:
            raise DataError(f"There is no video under {root}; set --data.root to the directory of the videos.")
        self._predict_unlabeled([VideoRecord(index.path_of(file), file, UNLABELED) for file in videos], self.classes)

    def check_options(self) -> None:
        """Check the values of the options.

        Raises:
            DataError: One has a wrong value.
        """
        super().check_options()
        check_share("test_share", self.test_share)

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Take the classes from the folders, and the split from the top folders or from a draw."""
        videos, others = _split_by_suffix(index.files)
        clips = [file.split("/") for file in videos]
        loose = [parts[0] for parts in clips if len(parts) == 1]
        if loose or not clips:
            problem = f"{len(loose)} videos (such as {loose[0]}) are" if loose else "There are no videos"
            place = "outside class folders" if loose else "in class folders"
            raise DataError(f"{problem} {place} in {index}; arrange them as `<class>/<clip>`.")
        _warn_of_others(str(index), [file for file in others if "/" in file])
        # A dataset with a class named `train` has other classes too.
        top_folders = {parts[0] for parts in clips}
        if top_folders <= SPLIT_FOLDERS and "train" in top_folders:
            return _read_split_folders(index, clips)
        classes = _class_folders(index, "", top_folders)
        train, test = hold_out([("/".join(parts), parts[0]) for parts in clips], self.test_share, split, index.root)
        return Annotations({"train": train, "test": test}, (index.root,), tuple(classes))


def _split_by_suffix(files: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the videos and the other files, each sorted."""
    videos = {file for file in files if is_video(file)}
    return sorted(videos), sorted(set(files) - videos)


def _warn_of_others(root: Root, others: list[str]) -> None:
    """Say which files are no videos by their names: GIFs, say, might have been meant as clips."""
    if others:
        counts = Counter(os.path.splitext(file)[1].lower() or "no ending" for file in others)
        endings = ", ".join(f"{count} {ending}" for ending, count in counts.most_common())
        message = f"Files under {root} that do not end like videos are not read: {endings}, such as {others[0]}."
        warnings.warn(message, stacklevel=2)


def _read_split_folders(index: RootIndex, clips: list[list[str]]) -> Annotations:
    top_folders = {parts[0] for parts in clips}
    evaluated = next((name for name in EVALUATION_FOLDERS if name in top_folders), None)
    if evaluated is None or any(len(parts) < 3 for parts in clips):
        raise DataError(
            f"{index} has a folder train, but no clips to evaluate on, or clips outside class folders; arrange them as "
            "`train/<class>/<clip>` and `test/<class>/<clip>`."
        )
    found: dict[str, list[NamedClip]] = {"train": [], evaluated: []}
    for parts in clips:
        if parts[0] in found:  # with both `test` and `val`, `val` is left out
            found[parts[0]].append(("/".join(parts), parts[1]))
    classes = _class_folders(index, "train", {name for _, name in found["train"]})
    if unknown := sorted({name for _, name in found[evaluated]} - set(classes)):
        raise DataError(f"The class {unknown[0]!r} in {index}/{evaluated} has no folder in {index}/train; add it.")
    return Annotations({"train": found["train"], "test": found[evaluated]}, (index.root,), tuple(classes))


def _class_folders(index: RootIndex, below: str, with_clips: set[str]) -> list[str]:
    """Return the class folders in alphabetical order.

    Read from disk and not from the clips: an empty folder is more likely a failed download than no class.

    Raises:
        DataError: A folder has no video, or two names differ only in spelling.
    """
    folders, root = index.folders(below), f"{index}/{below}".rstrip("/")
    if without := [name for name in folders if name not in with_clips]:
        raise DataError(f"The class folder {root}/{without[0]} has no video; add clips, or remove the folder.")
    if twins := [name for name in folders if folders[label_of(folders)[normalize(name)]] != name]:
        other = folders[label_of(folders)[normalize(twins[0])]]
        raise DataError(f"The class folders {twins[0]!r} and {other!r} in {root} are one name; merge or rename them.")
    return folders
