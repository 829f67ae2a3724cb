"""Writes drawn splits: list files, label files and a manifest, of which none may be there already."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from datamodules.errors import DataError
from datamodules.make_splits.plan import DataSource, DrawnList, SplitPlan
from datamodules.splits.split import Entry


def write_lists(folder: Path, source: DataSource, plan: SplitPlan, lists: Mapping[str, DrawnList]) -> Path:
    """Writes lists and label files in the published layout, and a manifest, which says where they come from.

    The same arguments give the same bytes on any machine. What fails on the way is taken back.

    Args:
        folder: Directory to write below, made if it is not there. A data module reads it as its `splits_dir`.
        source: What the lists are drawn from.
        plan: How they are drawn.
        lists: Path below the folder -> list, as `draw_lists` returns them.

    Returns:
        The manifest.

    Raises:
        DataError: A file is there already. Only a label file of the same content is let be.
        OSError: The folder cannot be written.
    """
    texts = {file: list_text(found.entries) for file, found in lists.items()}
    named = {found.label_file: found.class_names for found in lists.values()}
    labels = {file: label_text(names) for file, names in named.items()}
    manifest = f"manifest_{source.name}_split{source.split}.json"
    outputs = {file: _describe(found, texts[file]) for file, found in lists.items()}
    outputs |= {file: {"sha256": _sha256(text)} for file, text in labels.items()}
    texts |= {file: text for file, text in labels.items() if not _is_there(folder / file, text)}
    texts[manifest] = manifest_text(source, plan, outputs)  # last: where it stands, all others do
    _refuse_those_there(folder, texts)
    _write_all(folder, texts)
    return folder / manifest


def manifest_text(source: DataSource, plan: SplitPlan, outputs: Mapping[str, object]) -> str:
    """Returns what a reader must know to trust the lists, as JSON.

    Args:
        source: What the lists are drawn from; its files are named with their SHA-256.
        plan: How they are drawn.
        outputs: Path of each file written -> what to say of it.
    """
    seeds = [plan.base_seed(number) for number in range(1, plan.base_lists + 1)] if plan.base_novel else []
    inputs = sorted({*source.train.files, *source.test.files}, key=lambda file: file.name)
    content = {
        "dataset": source.name,
        "split": source.split,
        "num_classes": len(source.class_names),
        "num_clips": {"train": len(source.train.entries), "test": len(source.test.entries)},
        "drawn": asdict(plan) | {"base_list_seeds": seeds},
        "inputs": [_describe_input(file, source) for file in inputs],
        "outputs": dict(outputs),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def list_text(entries: Iterable[Entry]) -> str:
    """Returns the text of a list file: one clip a line, `path label`."""
    return "".join(f"{entry.name} {entry.label}\n" for entry in entries)


def label_text(class_names: Sequence[str]) -> str:
    """Returns the text of a label file: header `id,name`, one class a line."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "name"])
    writer.writerows(enumerate(class_names))
    return stream.getvalue()


def _describe(found: DrawnList, text: str) -> dict[str, object]:
    return {"num_clips": len(found.entries), "num_classes": len(found.class_names), "sha256": _sha256(text)}


def _sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _describe_input(file: Path, source: DataSource) -> dict[str, str]:
    """Names and hashes an annotation file; where class folders are the annotation, hashes the names of their clips."""
    if file.is_dir():
        names = sorted(entry.name for entry in (*source.train.entries, *source.test.entries))
        return {"file": "names of the clips", "sha256": _sha256("\n".join(names))}
    return {"file": file.name, "sha256": _sha256(file.read_bytes())}


def _is_there(file: Path, text: str) -> bool:
    return file.is_file() and file.read_bytes() == text.encode()


def _refuse_those_there(folder: Path, texts: Mapping[str, str]) -> None:
    there = [file for file in texts if (folder / file).exists()]
    if there:
        raise DataError(
            f"{len(there)} of the {len(texts)} files to write are in {folder} already, the first of them "
            f"{', '.join(there[:3])}; they are not overwritten: choose another directory, or draw less."
        )


def _write_all(folder: Path, texts: Mapping[str, str]) -> None:
    written: list[Path] = []
    try:
        for file, text in texts.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(path)
                stream.write(text)
    except BaseException:  # an interruption too must not leave half of the lists
        for path in written:
            path.unlink()
        raise
