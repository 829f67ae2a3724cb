"""What the tests of several datasets share."""

import pytest


@pytest.fixture
def ready():
    """Builds a data module of some class and sets it up."""

    def build(kind, root, stage=None, **settings):
        data = kind(str(root), **settings)
        data.setup(stage)
        return data

    return build


@pytest.fixture
def clips():
    """Lists the (base name, label) pairs of a dataset."""
    return lambda dataset: [(record.video_id.rpartition("/")[2], record.label) for record in dataset.records]


@pytest.fixture
def replace():
    """Replaces the first occurrence of a text in a file."""

    def replace(root, file, old, new):
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new, 1))

    return replace


@pytest.fixture
def video_ids():
    """Collects the paths of a dataset's clips."""
    return lambda dataset: {record.video_id for record in dataset.records}
