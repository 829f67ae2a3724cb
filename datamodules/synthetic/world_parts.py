"""Which actions a setting trains on, and which it tests among which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datamodules.errors import DataError
from datamodules.splits.protocols import BASE_TO_NOVEL, Setting
from datamodules.splits.split import EvaluationSet
from datamodules.synthetic.actions import GROUPS, SEEN, UNSEEN, Action, Group

NAME = "synthetic"
UNSEEN_NAME = f"{NAME}_unseen"
# Setting -> its groups, where these are not all.
GROUPS_OF: Mapping[str, Sequence[Group]] = {"temporal": ("relational", "order"), "static": ("static",)}


@dataclass(frozen=True)
class WorldTest:
    """A test set and the actions whose films it has; its class names are the candidates."""

    test_set: EvaluationSet
    actions: list[Action]


def choose_groups(setting: Setting, groups: Sequence[Group]) -> list[Group]:
    """Return those of some groups that a setting has.

    Raises:
        DataError: It has none of them.
    """
    found = [group for group in groups if group in GROUPS_OF.get(setting, GROUPS)]
    if not found:
        raise DataError(
            f"The setting {setting} has none of the --data.groups {', '.join(groups) or '(none given)'}; "
            f"choose from {', '.join(GROUPS_OF.get(setting, GROUPS))}."
        )
    return found


def in_groups(actions: Sequence[Action], groups: Sequence[Group]) -> list[Action]:
    """Return the actions of some groups, in their order."""
    return [action for action in actions if action.group in groups]


def trained_actions(setting: Setting, groups: Sequence[Group]) -> list[Action]:
    """Return the actions that a setting trains on; the position is the label."""
    chosen = in_groups(SEEN, groups)
    return [action for action in chosen if not action.is_novel] if setting == BASE_TO_NOVEL else chosen


def world_tests(setting: Setting, groups: Sequence[Group]) -> list[WorldTest]:
    """Return what a setting tests: base and novel half, or each group among the names of all groups."""
    if setting == BASE_TO_NOVEL:
        base, chosen = trained_actions(setting, groups), in_groups(SEEN, groups)
        halves = {"base": base, "novel": [action for action in chosen if action.is_novel]}
        return [_test(NAME, half, actions, actions) for half, actions in halves.items()]
    worlds = {NAME: SEEN, **({UNSEEN_NAME: UNSEEN} if setting == "zero_shot" else {})}
    return [
        _test(name, group, in_groups(actions, [group]), in_groups(actions, groups))
        for name, actions in worlds.items()
        for group in groups
    ]


def _test(dataset: str, part: str, actions: list[Action], candidates: list[Action]) -> WorldTest:
    return WorldTest(EvaluationSet(dataset, part, [action.name for action in candidates]), actions)
