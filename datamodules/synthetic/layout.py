"""Where the files of a generated dataset are: laid out like HMDB-51, with the lists of every setting beside the videos.

| path | what |
|---|---|
| `videos/<class>/<class>_<number>.mp4` | films of the seen actions |
| `unseen/<class>/<class>_<number>.mp4` | test films of the unseen actions |
| `annotations/<class>_test_split{1,2,3}.txt` | annotations as HMDB-51 has them |
| `texts/words.json` | words about each seen action, in place of those that a language model would find |
| `texts/{spatial,temporal}.json` | phrases about each action, likewise |
| `labels/`, `datasets_splits/` | class names and lists for every setting, as `--data.splits_dir` reads them |
"""

from __future__ import annotations

from collections.abc import Mapping

from datamodules.splits.protocols import Parts, base_to_novel_files
from datamodules.splits.published import PublishedFiles
from datamodules.synthetic.actions import Action

SHOTS = (1, 2, 4, 8, 16)
"""Numbers K of the K-shot lists; each action needs at least as many training films."""
VIDEOS, UNSEEN_VIDEOS, ANNOTATIONS = "videos", "unseen", "annotations"
WORDS = "texts/words.json"
SPATIAL, TEMPORAL = "texts/spatial.json", "texts/temporal.json"
FOLDER = "synthetic_splits"
LISTS = f"datasets_splits/{FOLDER}"

PUBLISHED = PublishedFiles(
    labels="labels/synthetic_labels.csv",
    train=f"{LISTS}/train{{split}}.txt",
    few_shot=f"{LISTS}/train{{split}}_few_shot_{{num_shots}}.txt",
    test=f"{LISTS}/val{{split}}.txt",
)
UNSEEN_FILES = PublishedFiles("labels/synthetic_unseen_labels.csv", None, None, f"{LISTS}/unseen_val.txt")


def _subset(name: str) -> PublishedFiles:
    lists = f"datasets_splits/temporal_static_splits/{FOLDER}"
    labels = f"labels/labels_temporal_static/synthetic_{name}_labels.csv"
    return PublishedFiles(labels, f"{lists}/train_{name}.txt", None, f"{lists}/val_{name}.txt")


OTHER_SETTINGS: Mapping[str, Parts] = {
    "base_to_novel": base_to_novel_files(FOLDER, "synthetic"),
    "zero_shot": {"seen": PUBLISHED, "unseen": UNSEEN_FILES},
    "temporal": {"temporal": _subset("temporal")},
    "static": {"static": _subset("static")},
}


def folder_name(action: Action) -> str:
    """Return the name of the folder of an action's films."""
    return action.name.replace(" ", "_")


def file_name(action: Action, number: int) -> str:
    """Return the name of a film's file."""
    return f"{folder_name(action)}_{number}.mp4"
