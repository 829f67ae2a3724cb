"""Writes drawn splits: list files, label files and a manifest. Nothing is overwritten."""

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
    """Write lists and label files in the published layout, and a manifest that documents their origin.

    The same arguments give the same bytes on any machine. If writing fails, the files written so far are removed.

    Args:
        folder: Output directory, created if missing. Data modules read it as `splits_dir`.
        source: What the lists were drawn from.
        plan: How they were drawn.
        lists: Path below the folder -> list, from `draw_lists`.

    Returns:
        The manifest.

    Raises:
        DataError: A file exists. Only label files with the same content are accepted.
        OSError: The folder cannot be written to.
    """
    texts = {file: list_text(found.entries) for file, found in lists.items()}
    named = {found.label_file: found.class_names for found in lists.values()}
    labels = {file: label_text(names) for file, names in named.items()}
    manifest = f"manifest_{source.name}_split{source.split}.json"
    outputs = {file: _describe(found, texts[file]) for file, found in lists.items()}
    outputs |= {file: {"sha256": _sha256(text)} for file, text in labels.items()}
    # Splits 1, 2 and 3 written to one directory share their label file.
    texts |= {file: text for file, text in labels.items() if not _has_content(folder / file, text)}
    texts[manifest] = manifest_text(source, plan, outputs)  # last, so that a manifest implies complete lists
    _check_none_exists(folder, texts)
    _write_all(folder, texts)
    return folder / manifest


def manifest_text(source: DataSource, plan: SplitPlan, outputs: Mapping[str, object]) -> str:
    """Return the manifest as JSON: what was read, how it was drawn, and what was written.

    Args:
        source: What the lists were drawn from; its files are recorded with their SHA-256.
        plan: How they were drawn.
        outputs: Path of each written file -> its description.
    """
    inputs = sorted({*source.train.files, *source.test.files}, key=lambda file: file.name)
    content = {
        "dataset": source.name,
        "split": source.split,
        "num_classes": len(source.class_names),
        "num_clips": {"train": len(source.train.entries), "test": len(source.test.entries)},
        "drawn": asdict(plan) | {"base_list_seeds": plan.base_seeds() if plan.base_novel else []},
        "inputs": [_describe_input(file, source) for file in inputs],
        "outputs": dict(outputs),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def list_text(entries: Iterable[Entry]) -> str:
    """Return the text of a list file: one `path label` per line."""
    return "".join(f"{entry.name} {entry.label}\n" for entry in entries)


def label_text(class_names: Sequence[str]) -> str:
    """Return the text of a label file: the header `id,name`, then one class per line."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")  # the csv module's default differs from the list files'
    writer.writerow(["id", "name"])
    writer.writerows(enumerate(class_names))
    return stream.getvalue()


def _describe(found: DrawnList, text: str) -> dict[str, object]:
    return {"num_clips": len(found.entries), "num_classes": len(found.class_names), "sha256": _sha256(text)}


def _sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _describe_input(file: Path, source: DataSource) -> dict[str, str]:
    """Name and hash an annotation file; if class folders are the annotation, hash the names of the clips instead."""
    if file.is_dir():
        names = sorted(entry.name for entry in (*source.train.entries, *source.test.entries))
        return {"file": "names of the clips", "sha256": _sha256("\n".join(names))}
    return {"file": file.name, "sha256": _sha256(file.read_bytes())}


def _has_content(file: Path, text: str) -> bool:
    return file.is_file() and file.read_bytes() == text.encode()


def _check_none_exists(folder: Path, texts: Mapping[str, str]) -> None:
    existing = [file for file in texts if (folder / file).exists()]
    if existing:
        raise DataError(
            f"{len(existing)} of the {len(texts)} files to write exist in {folder} ({', '.join(existing[:3])}"
            f"{', ...' if len(existing) > 3 else ''}) and are not overwritten; choose another directory, or draw less."
        )


def _write_all(folder: Path, texts: Mapping[str, str]) -> None:
    written: list[Path] = []
    try:
        for file, text in texts.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": never overwrite, even if another process created the file after the check.
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(path)
                stream.write(text)
    except BaseException:  # Ctrl-C too must not leave half of the lists behind
        for path in written:
            path.unlink()
        raise
