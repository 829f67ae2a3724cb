"""Reads what splits are drawn from: the whole standard split of a dataset."""

from __future__ import annotations

from dataclasses import replace

from datamodules.make_splits.plan import DataSource
from datamodules.splits.build_sources import build_sources
from datamodules.splits.protocols import BASE_TO_NOVEL, STANDARD
from datamodules.splits.request import SplitRequest


def read_source(request: SplitRequest) -> DataSource:
    """Read the whole standard split of a dataset, whatever setting and number of shots the request has.

    Args:
        request: The dataset, its root and the split number.

    Raises:
        DataError: The options or the annotations are wrong.
    """
    # The plan decides what is drawn; the data module of a configuration may ask for few shots or halves.
    request = replace(request, setting=STANDARD, test_splits=None, num_shots=None)
    source = build_sources(request).train
    return DataSource(
        name=request.dataset.name,
        published=request.dataset.published,
        halves=request.dataset.other_settings.get(BASE_TO_NOVEL, {}),
        split=request.split,
        class_names=source.class_names,
        train=source.training_split(None, request.seed),
        test=source.test_split(),
    )
