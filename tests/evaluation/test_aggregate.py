"""Means, spreads and harmonic means, compared with values computed by hand."""

import pytest

from tc_clip_pl.evaluation.aggregate import mean_and_std, summarize
from tc_clip_pl.evaluation.metrics import ClassificationMetrics


@pytest.fixture
def summary_of(evaluation_set):
    """Summarizes test sets given as (dataset, part, top-1, top-5)."""

    def summary_of(*rows, num_classes=6):
        sets = [evaluation_set(dataset, part) for dataset, part, *_ in rows]
        metrics = {
            entry.name: ClassificationMetrics(10, top1, top5, [None] * num_classes, [])
            for entry, (_, _, top1, top5) in zip(sets, rows, strict=True)
        }
        return summarize(sets, metrics)

    return summary_of


def test_standard_deviation_is_that_of_the_population():
    mean, std = mean_and_std([0.50, 0.53, 0.56])
    assert mean == pytest.approx(0.53)
    assert std == pytest.approx(0.024494897)  # sqrt((0.03^2 + 0 + 0.03^2) / 3)


def test_zero_shot(summary_of):
    hmdb = [("hmdb51", f"split{n}", top1, 0.8) for n, top1 in enumerate((0.5, 0.6, 0.7), 1)]
    ucf = [("ucf101", f"split{n}", 0.8, 0.9 + n / 100) for n in (1, 2, 3)]
    summary = summary_of(*hmdb, *ucf)
    assert summary["hmdb51/top1_mean"] == pytest.approx(0.6)
    assert summary["hmdb51/top1_std"] == pytest.approx(0.081649658)
    assert summary["ucf101/top5_mean"] == pytest.approx(0.92)
    assert summary["ucf101/top1_std"] == 0
    assert summary["all/top1_mean"] == pytest.approx(0.7)


def test_mean_over_datasets_weighs_each_dataset_once(summary_of):
    three = [("a", f"split{n}", 0.9, 1.0) for n in (1, 2, 3)]
    two = [("b", f"split{n}", 0.5, 1.0) for n in (1, 2)]
    assert summary_of(*three, *two)["all/top1_mean"] == pytest.approx(0.7)


def test_base_to_novel(summary_of):
    summary = summary_of(("hmdb51", "base", 0.75, 1.0), ("hmdb51", "novel", 0.5, 1.0))
    assert summary == {"hmdb51/base_top1": 0.75, "hmdb51/novel_top1": 0.5, "hmdb51/harmonic_mean": pytest.approx(0.6)}


def test_harmonic_mean_with_an_accuracy_of_zero(summary_of):
    assert summary_of(("a", "base", 0.75, 1.0), ("a", "novel", 0.0, 1.0))["a/harmonic_mean"] == 0


def test_base_of_one_dataset_and_novel_of_another_have_no_harmonic_mean(summary_of):
    assert summary_of(("a", "base", 0.75, 1.0), ("b", "novel", 0.5, 1.0)) == {}


def test_names_with_slashes_do_not_matter(summary_of):
    summary = summary_of(("mine/v2", "split1", 0.4, 1.0), ("mine/v2", "split2", 0.6, 1.0))
    assert summary["mine/v2/top1_mean"] == pytest.approx(0.5)
    assert "all/top1_mean" not in summary  # of a single dataset


@pytest.mark.parametrize("part", ["split1", "validation", "base"])
def test_single_test_set_has_no_summary(part, summary_of):
    assert summary_of(("hmdb51", part, 0.5, 1.0)) == {}
