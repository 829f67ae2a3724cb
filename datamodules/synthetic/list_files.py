"""The annotation, list, label and word files of a generated dataset, as texts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from datamodules.datasets.hmdb51 import PARTS, SUFFIX
from datamodules.make_splits.write import label_text, list_text
from datamodules.options import ClipOptions
from datamodules.splits.split import Entry
from datamodules.synthetic.actions import VERBS, Action
from datamodules.synthetic.descriptors import describe
from datamodules.synthetic.film_numbers import SPLITS, draw_shots, split_numbers
from datamodules.synthetic.layout import (
    ANNOTATIONS,
    OTHER_SETTINGS,
    PUBLISHED,
    SHOTS,
    SPATIAL,
    TEMPORAL,
    UNSEEN_FILES,
    UNSEEN_VIDEOS,
    VIDEOS,
    WORDS,
    file_name,
    folder_name,
)
from datamodules.synthetic.world_parts import GROUPS_OF, in_groups

SEED = ClipOptions.seed
"""Seed of the K-shot draws: that of a data module by default, which then draws the same films as tensors."""
FLAGS = {part: flag for flag, part in PARTS.items()}


def annotation_texts(actions: Sequence[Action], train_films: int, test_films: int) -> dict[str, str]:
    """Return the annotations in HMDB-51's format: path below the root -> text.

    Args:
        actions: The seen actions.
        train_films: Training films of each in a split.
        test_films: Test films of each in a split.
    """
    texts = {}
    for action in actions:
        for split in SPLITS:
            train, test = split_numbers(train_films, test_films, split)
            flags = {**dict.fromkeys(train, FLAGS["train"]), **dict.fromkeys(test, FLAGS["test"])}
            lines = [f"{file_name(action, number)} {flag} \n" for number, flag in sorted(flags.items())]
            texts[f"{ANNOTATIONS}/{folder_name(action)}{SUFFIX.format(split=split)}"] = "".join(lines)
    return texts


def published_texts(
    actions: Sequence[Action], unseen: Sequence[Action], train_films: int, test_films: int
) -> dict[str, str]:
    """Return the lists and label files of all settings: path below the root -> text.

    A list that would be empty is left out: of a group that no action is in, or of more shots than there are films.

    Args:
        actions: The seen actions; the position is the label.
        unseen: The unseen actions, likewise.
        train_films: Training films of each seen action in a split.
        test_films: Test films of each action in a split.
    """
    texts = _whole_texts(actions, train_films, test_films)
    texts |= _half_texts(actions, train_films, test_films)
    train, test = split_numbers(train_films, test_films, split=1)
    for setting, groups in GROUPS_OF.items():
        if subset := in_groups(actions, groups):
            files = OTHER_SETTINGS[setting][setting]
            texts[files.labels], texts[files.train] = _labels(subset), _list(subset, train)
            texts[files.test] = _list(subset, test)
    if unseen:
        texts[UNSEEN_FILES.labels] = _labels(unseen)
        texts[UNSEEN_FILES.test] = _list(unseen, test, UNSEEN_VIDEOS)
    return texts


def word_texts(actions: Sequence[Action]) -> dict[str, str]:
    """Return the words about each action, who acts and what happens, as one JSON: path below the root -> text."""
    verbs = {action: VERBS.get("-" * action.is_reversed + action.behavior, "turning") for action in actions}
    words = {action.name: [action.family, *verb.split(" and ")] for action, verb in verbs.items()}
    return {WORDS: json.dumps(words, indent=1) + "\n"}


def descriptor_texts(actions: Sequence[Action]) -> dict[str, str]:
    """Return spatial and temporal phrases about each action, a JSON of each kind: path below the root -> text."""
    kinds = zip(*map(describe, actions), strict=True)
    by_name = [dict(zip([action.name for action in actions], phrases, strict=True)) for phrases in kinds]
    return {file: json.dumps(of, indent=1) + "\n" for file, of in zip((SPATIAL, TEMPORAL), by_name, strict=True)}


def _whole_texts(actions: Sequence[Action], train_films: int, test_films: int) -> dict[str, str]:
    texts = {PUBLISHED.labels: _labels(actions)}
    for split in SPLITS:
        train, test = split_numbers(train_films, test_films, split)
        texts[PUBLISHED.train.format(split=split)] = _list(actions, train)
        texts[PUBLISHED.test.format(split=split)] = _list(actions, test)
        for shots in _possible_shots(train):
            file = PUBLISHED.few_shot.format(split=split, num_shots=shots)
            texts[file] = _list(actions, draw_shots(train, shots, SEED, split))
    return texts


def _half_texts(actions: Sequence[Action], train_films: int, test_films: int) -> dict[str, str]:
    train, test = split_numbers(train_films, test_films, split=1)
    base, novel = OTHER_SETTINGS["base_to_novel"].values()
    halves = {base: [a for a in actions if not a.is_novel], novel: [a for a in actions if a.is_novel]}
    texts = {files.labels: _labels(half) for files, half in halves.items() if half}
    texts |= {files.test: _list(half, test) for files, half in halves.items() if half}
    if halves[base]:
        texts[base.train] = _list(halves[base], train)
        for split in SPLITS:  # several training lists, all with as many shots as there can be
            drawn = draw_shots(train, max(_possible_shots(train)), SEED, split)
            texts[base.few_shot.format(split=split)] = _list(halves[base], drawn)
    return texts


def _possible_shots(train: Sequence[int]) -> list[int]:
    return [shots for shots in SHOTS if shots <= len(train)]


def _labels(actions: Sequence[Action]) -> str:
    return label_text([action.name for action in actions])


def _list(actions: Sequence[Action], numbers: Sequence[int], videos: str = VIDEOS) -> str:
    return list_text(
        Entry(f"{videos}/{folder_name(action)}/{file_name(action, number)}", label)
        for label, action in enumerate(actions)
        for number in numbers
    )
