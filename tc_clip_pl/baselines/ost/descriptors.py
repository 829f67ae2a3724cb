"""From descriptor files to the texts of each class: N spatial phrases and N temporal ones."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tc_clip_pl.modules.phrase_files import plain_name, read_phrases

SPATIAL_TEXT = "This is a video about {phrase}"
TEMPORAL_TEXT = "A video of {name} usually includes {phrase}"
SPATIAL, TEMPORAL = "spatial_descriptors", "temporal_descriptors"  # options of `OSTConfig`
Files = str | Sequence[str] | None


def class_texts(
    class_names: Sequence[str],
    spatial: Files,
    temporal: Files,
    spatial_text: str = SPATIAL_TEXT,
    temporal_text: str = TEMPORAL_TEXT,
) -> list[tuple[list[str], list[str]]]:
    """Return the N spatial and the N temporal texts of every class.

    Args:
        class_names: Y names.
        spatial: `spatial_descriptors` of `OSTConfig`.
        temporal: `temporal_descriptors`.
        spatial_text: As there.
        temporal_text: As there.

    Raises:
        ValueError: If there is no class or no file, a class has no phrases, or not as many as the others.
        OSError: If a file cannot be read.
    """
    if not class_names:
        raise ValueError("The list of class names is empty: give at least one class.")
    spatial_phrases = find_phrases(class_names, spatial, SPATIAL)
    temporal_phrases = find_phrases(class_names, temporal, TEMPORAL)
    if (ours := len(spatial_phrases[0])) != (theirs := len(temporal_phrases[0])):
        raise ValueError(
            f"The classes have {ours} spatial and {theirs} temporal phrases: give files with as many of both."
        )
    return [
        (
            [spatial_text.format(name=name, phrase=phrase) for phrase in of_space],
            [temporal_text.format(name=name, phrase=phrase) for phrase in of_time],
        )
        for name, of_space, of_time in zip(class_names, spatial_phrases, temporal_phrases, strict=True)
    ]


def find_phrases(class_names: Sequence[str], files: Files, option: str) -> list[list[str]]:
    """Return the phrases of every class, from the one of several files that describes these classes.

    Args:
        class_names: Y names.
        files: FILE or LABELS.csv=FILE, or several of these; see `OSTConfig`.
        option: The option that names them, for errors.

    Raises:
        ValueError: If no file has all classes, two numbered ones could, or the numbers of phrases differ.
        OSError: If a file cannot be read.
    """
    entries = [files] if isinstance(files, str) else list(files or ())
    if not entries:
        raise ValueError(f"OST needs phrases for its classes: set model.options.{option} to a JSON file of them.")
    keys = [plain_name(name) for name in class_names]
    numbered = []
    for entry in entries:
        phrases = _read(entry)
        if is_numbered(phrases):
            numbered += [(entry, list(phrases.values()))] if len(phrases) == len(keys) else []
        elif all(key in phrases for key in keys):
            return _check(class_names, [phrases[key] for key in keys], entry)
    if len(numbered) > 1:
        raise ValueError(
            f"Both {numbered[0][0]} and {numbered[1][0]} number {len(keys)} classes: give each with its list of names, "
            "LABELS.csv=FILE."
        )
    if not numbered:
        raise ValueError(
            f"No file of model.options.{option} ({', '.join(entries)}) has phrases for all of these {len(keys)} "
            f"classes, {class_names[0]!r} and so on: add one, with the class names or the numbers 0 to "
            f"{len(keys) - 1} as keys."
        )
    return _check(class_names, numbered[0][1], numbered[0][0])


def is_numbered(phrases: Mapping[str, list[str]]) -> bool:
    """Return whether the keys are "0", "1", ... in any order."""
    return phrases.keys() == {str(number) for number in range(len(phrases))}


def _read(entry: str) -> dict[str, list[str]]:
    """Return phrases by number, in order, or by reduced class name."""
    labels, _, file = entry.rpartition("=")
    phrases = read_phrases(file)
    if is_numbered(phrases):
        phrases = {str(number): phrases[str(number)] for number in range(len(phrases))}
    if not labels:
        return phrases if is_numbered(phrases) else {plain_name(name): texts for name, texts in phrases.items()}
    names = _read_labels(labels)
    if not is_numbered(phrases) or len(names) != len(phrases):
        raise ValueError(
            f"The keys of {file} are not the numbers 0 to {len(names) - 1} of the classes in {labels}: give the list "
            "of names that it belongs to."
        )
    return {plain_name(names[int(number)]): texts for number, texts in phrases.items()}


def _read_labels(file: str) -> dict[int, str]:
    path = Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no list of class names {path}: check the path.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            names = {int(row["id"]): row["name"] for row in csv.DictReader(stream)}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} is no list of class names ({error}): it needs a header id,name.") from error
    if sorted(names) != list(range(len(names))):
        raise ValueError(f"The ids in {path} are not 0, 1, 2, ... without gaps: correct them.")
    return names


def _check(class_names: Sequence[str], phrases: list[list[str]], entry: str) -> list[list[str]]:
    for name, of_class in zip(class_names, phrases, strict=True):
        if not of_class:
            raise ValueError(f"{entry} has no phrases for the class {name!r}: add some.")
        if len(of_class) != len(phrases[0]):
            raise ValueError(
                f"{entry} has {len(of_class)} phrases for the class {name!r} and {len(phrases[0])} for "
                f"{class_names[0]!r}: give as many for every class."
            )
    return phrases
