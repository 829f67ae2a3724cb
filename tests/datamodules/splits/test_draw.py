"""Draws are the same on every machine and in every layout, and contained in larger ones.

The exact draws below must never change: published results depend on them.
"""

import hashlib
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.splits.draw import base_list_seed, draw_shots, halve_classes, hash_rank, hold_out, keep_classes

NAMES = [f"class {label}" for label in range(5)]


def digest(draw):
    return hashlib.sha256(repr(draw).encode()).hexdigest()[:16]


def test_rank_is_a_plain_hash():
    assert hash_rank(5, "v_1.avi") == hashlib.sha256(b"5/v_1.avi").digest()


def test_shots_match_a_plain_loop(split_of):
    split = split_of([(f"class{label}/v_{n}.avi", label) for label in range(3) for n in range(9)])
    drawn = draw_shots(split, 4, seed=5, class_names=["a", "b", "c"]).entries
    expected = []
    for label in range(3):
        names = [entry.name for entry in split.entries if entry.label == label]
        names.sort(key=lambda name: hashlib.sha256(f"5/{name.split('/')[-1]}".encode()).hexdigest())
        expected += [(name, label) for name in names[:4]]
    assert drawn == expected


def test_shots_are_nested_and_ignore_the_layout(split_of):
    flat = split_of([(f"v_{n}.avi", n % 2) for n in range(40)])
    nested = split_of([(f"some/where/v_{n}.avi", n % 2) for n in reversed(range(40))])
    names = {shots: {e.name for e in draw_shots(flat, shots, 0, "ab").entries} for shots in (1, 2, 4, 8, 16)}
    assert names[1] < names[2] < names[4] < names[8] < names[16] and len(names[16]) == 32
    assert {e.name.split("/")[-1] for e in draw_shots(nested, 4, 0, "ab").entries} == names[4]
    assert {e.name for e in draw_shots(flat, 4, 1, "ab").entries} != names[4]


def test_shots_golden(split_of):
    split = split_of([(f"class_{y}/v_{n}.avi", y) for y in range(5) for n in range(9)])
    names = [entry.name for entry in draw_shots(split, 3, 1024, NAMES).entries]
    assert names[:3] == ["class_0/v_0.avi", "class_0/v_2.avi", "class_0/v_7.avi"]
    assert digest(names) == "49a1f3785599ed2a"


def test_raises_on_more_shots_than_clips(split_of):
    split = split_of([("a.avi", 0), ("b.avi", 0), ("c.avi", 1)])
    with pytest.raises(DataError, match=r"'walk' has 1 training clips.*set --data\.num_shots to 1"):
        draw_shots(split, 2, 0, ["run", "walk"])
    with pytest.raises(DataError, match=r"set --shots to 1 or less"):
        draw_shots(split, 2, 0, ["run", "walk"], "--shots")


def test_halves_golden():
    assert halve_classes(NAMES, 1024) == ([2, 3, 4], [0, 1])


def test_halves_ignore_spelling_and_order():
    names = ["brush hair", "cartwheel", "draw sword", "ride bike", "shake hands"]
    base, novel = halve_classes(names, 3)
    respelled = [name.title().replace(" ", "") for name in reversed(names)]
    other_base, other_novel = halve_classes(respelled, 3)
    assert {names[label] for label in base} == {names[4 - label] for label in other_base}
    assert {names[label] for label in novel} == {names[4 - label] for label in other_novel}


def test_raises_on_a_single_class():
    with pytest.raises(DataError, match="fewer than two classes"):
        halve_classes(["alone"], 0)


def test_base_list_seeds_golden():
    assert [base_list_seed(1024, number) for number in (1, 2, 3)] == [889484832, 2845628450, 2797230461]


def test_kept_classes_are_relabeled_in_order(split_of):
    split = split_of([("a.avi", 0), ("b.avi", 1), ("c.avi", 2)])
    assert keep_classes(split, [2, 0]).entries == [("a.avi", 1), ("c.avi", 0)]


CLIPS = [(f"{name}/{n}.mp4", name) for name in "ab" for n in range(6)]


def test_held_out_clips_golden():
    train, test = hold_out(CLIPS, 0.3, 2, Path("x"))
    assert test == [("a/5.mp4", "a"), ("a/4.mp4", "a"), ("b/3.mp4", "b"), ("b/5.mp4", "b")]
    assert digest(train) == "faf8fbb6362384bf"


def test_held_out_clips_ignore_the_order_and_depend_on_the_number():
    train, test = hold_out(CLIPS, 0.3, 2, Path("x"))
    assert set(train) | set(test) == set(CLIPS) and not set(train) & set(test)
    assert hold_out(CLIPS[::-1], 0.3, 2, Path("x")) == (train[4:] + train[:4], test[2:] + test[:2])
    assert hold_out(CLIPS, 0.3, 3, Path("x"))[1] != test


@pytest.mark.parametrize(("share", "num_test"), [(0.01, 1), (0.99, 5)])
def test_one_clip_stays_on_either_side(share, num_test):
    train, test = hold_out(CLIPS, share, 1, Path("x"))
    assert len(test) == 2 * num_test and len(train) == 2 * (6 - num_test)


def test_raises_on_a_bad_share_or_a_single_clip():
    for share in (0, 1, 1.5):
        with pytest.raises(DataError, match=f"test_share is {share}"):
            hold_out(CLIPS, share, 1, Path("x"))
    with pytest.raises(DataError, match="'c' in x has one clip"):
        hold_out([*CLIPS, ("c/0.mp4", "c")], 0.5, 1, Path("x"))


@pytest.mark.parametrize(("num_classes", "num_base"), [(2, 1), (3, 2), (4, 2), (51, 26), (400, 200)])
def test_base_has_half_of_the_classes_or_one_more(num_classes, num_base):
    base, novel = halve_classes([f"class {n}" for n in range(num_classes)], seed=0)
    assert len(base) == num_base
    assert sorted(base + novel) == list(range(num_classes))


def test_two_clips_are_enough_for_a_test_clip():
    train, test = hold_out([("a/1.mp4", "a"), ("a/2.mp4", "a")], 0.5, 1, Path("videos"))
    assert len(train) == len(test) == 1
