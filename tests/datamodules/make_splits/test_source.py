"""The source of drawn splits is the whole standard split, whatever a data module asks for."""

import pytest

from datamodules.datasets.hmdb51 import HMDB51DataModule
from datamodules.errors import DataError
from datamodules.make_splits.source import read_source


def test_setting_and_shots_are_ignored_and_the_request_stays(hmdb_root, names):
    data = HMDB51DataModule(str(hmdb_root), num_shots=1, setting="base_to_novel", split=1)
    source = read_source(data.request)
    assert source == read_source(HMDB51DataModule(str(hmdb_root)).request)
    assert (source.name, source.split, source.class_names) == ("hmdb51", 1, names)
    assert (len(source.train.entries), len(source.test.entries)) == (15, 10)
    assert list(source.halves) == ["base", "novel"]
    data.setup()  # as it was asked for
    assert len(data.datasets["train"]) == 3 and len(data.test_sets) == 2


def test_raises_on_missing_annotations(hmdb_root):
    with pytest.raises(DataError, match=r"no files <class>_test_split2\.txt"):
        read_source(HMDB51DataModule(str(hmdb_root), split=2).request)
