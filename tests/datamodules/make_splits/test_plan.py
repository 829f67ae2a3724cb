"""The lists of a plan: what is in them, and that they are the same everywhere."""

import hashlib
import random
from dataclasses import replace

import pytest

from datamodules.errors import DataError
from datamodules.make_splits.plan import SplitPlan, draw_lists
from datamodules.make_splits.write import list_text
from datamodules.splits.split import Entry

LISTS, HALVES = "datasets_splits/hmdb_splits", "datasets_splits/base2novel_splits/hmdb_splits"


def test_smaller_shots_are_contained_in_larger_ones(source, plan):
    lists = draw_lists(source, plan)
    two, four = (lists[f"{LISTS}/train1_few_shot_{shots}.txt"].entries for shots in (2, 4))
    assert set(two) < set(four) < set(source.train.entries)
    assert [entry.label for entry in two] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(four) == 20


def test_halves_partition_the_classes_with_labels_from_0(source, names, plan):
    lists = draw_lists(source, plan)
    base, novel = lists[f"{HALVES}/base_val.txt"], lists[f"{HALVES}/novel_val.txt"]
    assert (len(base.class_names), len(novel.class_names)) == (3, 2)
    assert sorted(base.class_names + novel.class_names) == names
    for half in (base, novel):
        named = {
            (entry.name.partition("/")[0].replace("_", " "), half.class_names[entry.label]) for entry in half.entries
        }
        assert named == {(name, name) for name in half.class_names}
    assert len(base.entries) + len(novel.entries) == len(source.test.entries)


def test_base_lists_have_only_base_classes_and_differ(source, plan):
    lists = draw_lists(source, plan)
    whole = set(lists[f"{HALVES}/base_train.txt"].entries)
    first, second = (lists[f"{HALVES}/fs_base_s{number}_train.txt"].entries for number in (1, 2))
    assert set(first) < whole and set(second) < whole and set(first) != set(second)
    assert [entry.label for entry in first] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_draw_depends_on_the_seed_and_not_on_the_order_of_the_clips(source, plan):
    drawn = draw_lists(source, plan)
    random.Random(0).shuffle(source.train.entries)
    random.Random(1).shuffle(source.test.entries)
    assert draw_lists(source, plan) == drawn
    assert draw_lists(source, replace(plan, seed=8)) != drawn


def test_draw_golden(source, plan):
    text = "".join(file + list_text(found.entries) for file, found in draw_lists(source, plan).items())
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "b5acd5c76f28360ccc4e1f0ec57a0e34ed7cb0895798b0f0ad54873a3f0fd820"
    )


@pytest.mark.parametrize(
    "plan, sentence",
    [
        (SplitPlan(shots=(7,)), r"'brush hair' has 6 training clips, fewer than the 7 .* set --shots to 6"),
        (SplitPlan(shots=(), base_shots=9), "has 6 training clips, fewer than the 9 .* set --base_shots to 6"),
    ],
)
def test_raises_on_too_few_clips(source, plan, sentence):
    with pytest.raises(DataError, match=sentence):
        draw_lists(source, plan)


@pytest.mark.parametrize("name", ["two\nlines.avi", " space.avi", "space.avi ", "odd\u2028line.avi"])
def test_raises_on_a_name_that_does_not_fit_in_a_list_file(source, name, plan):
    source.test.entries.append(Entry(name, 0))
    with pytest.raises(DataError, match="rename it"):
        draw_lists(source, plan)


def test_raises_on_lists_that_the_dataset_does_not_have(source, plan):
    with pytest.raises(DataError, match="--base_novel"):
        draw_lists(replace(source, halves={}), plan)
    without = replace(source, published=replace(source.published, few_shot=None))
    with pytest.raises(DataError, match="--shots"):
        draw_lists(without, plan)
