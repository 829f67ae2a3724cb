"""Means, spreads and harmonic means, held against figures worked out by hand."""

import pytest

from tc_clip_pl.evaluation.aggregate import mean_and_std, summarize
from tc_clip_pl.evaluation.metrics import ClassificationFigures


def figures(top1, top5=1.0):
    return ClassificationFigures(10, top1, top5, [], [])


def test_standard_deviation_is_that_of_the_population():
    mean, std = mean_and_std([0.50, 0.53, 0.56])
    assert mean == pytest.approx(0.53)
    assert std == pytest.approx(0.024494897)  # sqrt((0.03^2 + 0 + 0.03^2) / 3)


def test_zero_shot():
    sets = {f"hmdb51/split{n}": figures(top1, 0.8) for n, top1 in enumerate((0.5, 0.6, 0.7), 1)}
    sets |= {f"ucf101/split{n}": figures(0.8, 0.9 + n / 100) for n in (1, 2, 3)}
    summary = summarize(sets)
    assert summary["hmdb51/top1_mean"] == pytest.approx(0.6)
    assert summary["hmdb51/top1_std"] == pytest.approx(0.081649658)
    assert summary["ucf101/top5_mean"] == pytest.approx(0.92)
    assert summary["ucf101/top1_std"] == 0
    assert summary["all/top1_mean"] == pytest.approx(0.7)


def test_base_to_novel():
    summary = summarize({"hmdb51/base": figures(0.75), "hmdb51/novel": figures(0.5)})
    assert summary == {"hmdb51/base_top1": 0.75, "hmdb51/novel_top1": 0.5, "hmdb51/harmonic_mean": pytest.approx(0.6)}


def test_harmonic_mean_with_nothing_right():
    assert summarize({"a/base": figures(0.75), "a/novel": figures(0.0)})["a/harmonic_mean"] == 0


@pytest.mark.parametrize("name", ["hmdb51/split1", "kinetics400/validation", "data"])
def test_single_test_set_comes_to_nothing_more(name):
    assert summarize({name: figures(0.5)}) == {}
