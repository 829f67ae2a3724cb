"""Named choices: a name in a config is a function in the code."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


class Registry(Generic[Function]):
    """Functions by name, and which options of the configuration each of them reads.

    Args:
        option: the configuration's option that names a choice, for error messages.
    """

    def __init__(self, option: str) -> None:
        self.option = option
        self._functions: dict[str, Function] = {}
        self._reads: dict[str, frozenset[str]] = {}

    def register(self, name: str, reads: tuple[str, ...] = ()) -> Callable[[Function], Function]:
        """Decorator that adds a function.

        Args:
            name: the word for it in a config.
            reads: options that act only where a choice reads them; setting one that no choice reads is an error.

        Raises:
            KeyError: where the name is taken.
        """
        if name in self._functions:
            raise KeyError(f"{self.option} {name!r} is registered twice.")

        def add(function: Function) -> Function:
            self._functions[name], self._reads[name] = function, frozenset(reads)
            return function

        return add

    def __getitem__(self, name: str) -> Function:
        """The function of that name.

        Raises:
            ValueError: where there is none; the message lists those there are.
        """
        if name not in self._functions:
            raise ValueError(f"{self.option} is {name!r}: choose one of {', '.join(self._functions)}.")
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def reads(self, name: str) -> frozenset[str]:
        """The options that a choice reads."""
        self[name]
        return self._reads[name]
