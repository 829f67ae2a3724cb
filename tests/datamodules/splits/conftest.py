"""What several tests of this folder share."""

from pathlib import Path

import pytest

from datamodules.splits.split import Entry, Split


@pytest.fixture
def split_of():
    """Builds a split of (name, label) pairs."""
    return lambda entries: Split([Entry(*entry) for entry in entries], (Path("list.txt"),))
