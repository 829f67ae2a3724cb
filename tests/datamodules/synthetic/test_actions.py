"""The two worlds of actions: their size, their halves, and what each kind of model can tell apart."""

from collections import Counter

import pytest

from datamodules.synthetic.actions import GROUPS, SEEN, UNSEEN, expected_accuracy


@pytest.mark.parametrize("actions", [SEEN, UNSEEN])
def test_twelve_actions_in_each_group(actions):
    assert Counter(action.group for action in actions) == dict.fromkeys(GROUPS, 12)


def test_names_are_unique():
    names = [action.name for action in (*SEEN, *UNSEEN)]
    assert len(set(names)) == len(names)


def test_half_of_each_group_is_novel_and_no_family_is_left_with_one_action():
    assert Counter(action.group for action in SEEN if action.is_novel) == dict.fromkeys(GROUPS, 6)
    halves = Counter((action.family, action.is_novel) for action in SEEN if action.group != "static")
    assert min(halves.values()) >= 2


def test_reversed_actions_have_a_partner_in_the_same_half():
    for action in (*SEEN, *UNSEEN):
        same = [
            other
            for other in (*SEEN, *UNSEEN)
            if (other.family, other.behavior) == (action.family, action.behavior) and other.is_novel == action.is_novel
        ]
        assert len(same) == (2 if action.group == "order" else 1)
        assert action.group != "order" or {other.is_reversed for other in same} == {True, False}


@pytest.mark.parametrize(
    ("group", "frame", "as_set"), [("static", 1, 1), ("relational", 3 / 12, 1), ("order", 6 / 12, 6 / 12)]
)
def test_expected_accuracy_of_a_group(group, frame, as_set):
    actions = [action for action in SEEN if action.group == group]
    assert [expected_accuracy(actions, sees) for sees in ("frame", "set", "order")] == [frame, as_set, 1]


def test_expected_accuracy_depends_on_the_candidates():
    base = [action for action in SEEN if not action.is_novel]
    assert expected_accuracy(base, "frame") == pytest.approx((6 + 2 + 3) / 18)
    assert expected_accuracy(base, "set") == pytest.approx((6 + 6 + 3) / 18)
