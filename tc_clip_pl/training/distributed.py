"""Plain Python values between processes."""

from typing import TypeVar

from torch import distributed

Item = TypeVar("Item")


def gather_lists(items: list[Item]) -> list[Item]:
    """The lists of all processes, one behind the other in the order of the processes; every process must call it."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return items
    of_all: list[list[Item]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(of_all, items)
    return [item for of_one in of_all for item in of_one]
