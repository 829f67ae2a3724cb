"""A folder is written by one process at a time, and only if it is a copy made in the same way."""

import multiprocessing

import pytest

from datamodules.errors import DataError
from datamodules.shards.manifest import CopiedFile
from datamodules.transcode.journal import open_journal

FACTS = {"source": "/data", "crf": 20}
FILE = CopiedFile("a.mp4", "a.avi", 1, 2, 3, 4)


def begin(folder, facts=FACTS):
    with open_journal(folder, "m.jsonl", facts) as journal:
        journal.restart(journal.files)
        return journal


def test_notes_each_file_at_once(tmp_path):
    journal = begin(tmp_path / "new")
    journal.add(FILE)
    assert begin(tmp_path / "new").files == {"a.mp4": FILE}
    journal.finish()
    assert '"complete": true' in (tmp_path / "new" / "m.jsonl").read_text()
    begin(tmp_path / "new")
    assert '"complete": false' in (tmp_path / "new" / "m.jsonl").read_text()


def test_an_unfinished_line_does_not_spoil_the_next(tmp_path):
    begin(tmp_path).add(FILE)
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"name": "b.m')
    journal = begin(tmp_path)
    other = CopiedFile("c.mp4", "c.avi", 1, 2, 3, 4)
    journal.add(other)
    assert begin(tmp_path).files == {"a.mp4": FILE, "c.mp4": other}


def test_raises_on_a_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DataError, match=r"has thesis\.tex, but no m\.jsonl of such a copy: name a new or an empty"):
        begin(tmp_path)
    with pytest.raises(DataError, match=r"thesis\.tex is a file: name a new"):
        begin(tmp_path / "thesis.tex")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("changed", [{"crf": 21}, {"source": "/other"}])
def test_raises_on_a_copy_made_in_another_way(tmp_path, changed):
    begin(tmp_path)
    (key, value), old = next(iter(changed.items())), FACTS[next(iter(changed))]
    with pytest.raises(DataError, match=f"is a copy with {key} {old}, not {value}: name another folder"):
        begin(tmp_path, FACTS | changed)


def _hold(folder, held, end):
    with open_journal(folder, "m.jsonl", FACTS) as journal:
        journal.restart({})
        held.set()
        end.wait(30)


def test_raises_while_another_process_writes(tmp_path):
    context = multiprocessing.get_context("fork")
    held, end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, end))
    process.start()
    try:
        assert held.wait(30)
        with pytest.raises(DataError, match=r"^Another process is writing .*; wait until it has finished"):
            begin(tmp_path)
    finally:
        end.set()
        process.join()
    begin(tmp_path)
