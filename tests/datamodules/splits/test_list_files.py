"""List files are read as written, and mistakes in them are named by file and line."""

import pytest

from datamodules.errors import DataError
from datamodules.splits.list_files import read_list, read_list_file


@pytest.fixture
def list_file(tmp_path):
    def write(text, name="list.txt"):
        file = tmp_path / name
        file.write_bytes(text.encode())
        return file

    return write


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_are_split_at_the_last_space(list_file, line_end):
    file = list_file(line_end.join(["a b  c.avi 3", "", "train/x_[1] (2).mp4 0", "tab.avi\t12", ""]))
    assert read_list_file(file).entries == [("a b  c.avi", 3), ("train/x_[1] (2).mp4", 0), ("tab.avi", 12)]


@pytest.mark.parametrize("text", ["\ufeffa.avi 0\n", "\ufeffpath,label\na.avi,0\n"])
def test_byte_order_mark_is_not_part_of_the_path(list_file, text):
    assert read_list(list_file(text, "list.csv" if "," in text else "list.txt")).entries == [("a.avi", 0)]


@pytest.mark.parametrize("line", ["nolabel.avi", "a.avi -1", "a.avi one", "a.avi 1.5", "a.avi ²", "7"])
def test_raises_on_a_malformed_line(list_file, line):
    with pytest.raises(DataError) as error:
        read_list_file(list_file(f"good.avi 0\n{line}\n"))
    assert "list.txt, line 2" in str(error.value) and line in str(error.value)


def test_raises_on_an_empty_missing_or_repeated_list(list_file, tmp_path):
    with pytest.raises(DataError, match="is empty"):
        read_list_file(list_file("\n\n"))
    with pytest.raises(DataError, match=r"gone\.txt"):
        read_list_file(tmp_path / "gone.txt")
    with pytest.raises(DataError, match=r"lists a\.avi twice"):
        read_list_file(list_file("a.avi 0\na.avi 1\n"))


def test_raises_on_a_binary_list(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="Cannot read"):
        read_list_file(tmp_path / "list.txt")


def test_the_suffix_decides_how_a_list_is_read(list_file):
    csv = read_list(list_file('path,label\n"sub, folder/a b.avi",1\nc.avi,0\n', "list.CSV"))
    assert csv.entries == [("sub, folder/a b.avi", 1), ("c.avi", 0)]
    assert read_list(list_file("c.avi 0\n")).entries == [("c.avi", 0)]


CSV_MISTAKES = {
    "path,label\n": "needs a header `path,label`",
    "": "needs a header",
    "a.avi,0\n": "needs a header",
    "path,label\na.avi,zero\n": r"list\.csv, line 2: 'a\.avi,zero'",
    "path,label\na.avi\n": "line 2",
    "path,label\na.avi,0,1\n": "line 2",
    "path,label\n,0\n": "line 2",
    "path,label\na.avi,0\na.avi,1\n": r"lists a\.avi twice",
}


@pytest.mark.parametrize(("text", "sentence"), CSV_MISTAKES.items())
def test_raises_on_a_malformed_csv(list_file, text, sentence):
    with pytest.raises(DataError, match=sentence):
        read_list(list_file(text, "list.csv"))


def test_raises_on_a_missing_csv(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read the list .*gone\.csv"):
        read_list(tmp_path / "gone.csv")
