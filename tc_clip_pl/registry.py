"""Named choices: the value of a configuration option selects a function or class in the code.

A value is a registered name, or the import path of a function of one's own: ``my_package.my_module.my_function``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


class Registry(Generic[Function]):
    """Functions by name, and the configuration options that each of them reads.

    Args:
        option: The configuration option that selects a function, for error messages.
    """

    def __init__(self, option: str) -> None:
        self.option = option
        self._functions: dict[str, Function] = {}
        self._reads: dict[str, frozenset[str]] = {}

    def register(self, name: str, reads: tuple[str, ...] = ()) -> Callable[[Function], Function]:
        """Return a decorator that adds a function.

        Args:
            name: Its value in a configuration; without a dot, which marks an import path.
            reads: Options that have no effect unless a selected function reads them. Setting one that is not read is
                an error (`TCCLIPConfig`).

        Raises:
            KeyError: If the name is taken.
            ValueError: If the name has a dot.
        """
        if name in self._functions:
            raise KeyError(f"{self.option} {name!r} is registered twice.")
        if "." in name:
            raise ValueError(f"{self.option} {name!r} cannot be registered: a name with a dot is an import path.")

        def add(function: Function) -> Function:
            self._functions[name], self._reads[name] = function, frozenset(reads)
            return function

        return add

    def __getitem__(self, name: str) -> Function:
        """Return the function of a registered name or an import path.

        Raises:
            ValueError: If the name is not registered, or the path does not lead to something callable.
        """
        if name in self._functions:
            return self._functions[name]
        if isinstance(name, str) and "." in name:
            return self._import(name)
        raise ValueError(
            f"{self.option} is {name!r}: choose one of {', '.join(self._functions)}, "
            "or give the import path of your own (package.module.name)."
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def reads(self, name: str) -> frozenset[str]:
        """Return the options that a choice reads.

        An imported function reads what it is registered with. If it is not registered, it may read any option that a
        choice of this registry reads, so that none of them is refused.

        Raises:
            ValueError: As for a look-up.
        """
        if name in self._reads:
            return self._reads[name]
        function = self[name]
        registered = (self._reads[key] for key, value in self._functions.items() if value is function)
        return next(registered, frozenset().union(*self._reads.values()))

    def _import(self, path: str) -> Function:
        module_name, _, attribute = path.rpartition(".")
        problem = f"{self.option} is {path!r}, but"
        if not all(part.isidentifier() for part in path.split(".")):
            raise ValueError(f"{problem} an import path has the form package.module.name.")
        try:
            module = import_module(module_name)
        except ImportError as error:
            raise ValueError(
                f"{problem} {module_name} cannot be imported ({error}): install it or add its folder to PYTHONPATH."
            ) from error
        if not hasattr(module, attribute):
            raise ValueError(f"{problem} the module {module_name} has no {attribute!r}: correct the name.")
        function = getattr(module, attribute)
        if not callable(function):
            raise ValueError(f"{problem} that is not callable: give the path of a function or a class.")
        return function


def find_read_options(
    registries: Mapping[str, Registry], values: Mapping[str, str], always_read: Iterable[str]
) -> set[str]:
    """Find the options that have an effect, by following which choice reads which option.

    Args:
        registries: By the option that selects from them.
        values: The selected name of each of these options.
        always_read: Options to start from.
    """
    read, waiting = set(), list(always_read)
    while waiting:
        option = waiting.pop()
        read.add(option)
        if option in registries:  # the choice itself may read further choices
            waiting += registries[option].reads(values[option]) - read
    return read


def describe_readers(registries: Mapping[str, Registry], option: str) -> str:
    """List the registered choices that read an option, for an error message."""
    readers = {
        kind: [name for name in registry if option in registry.reads(name)] for kind, registry in registries.items()
    }
    return "; or with ".join(f"{kind} {', '.join(names)}" for kind, names in readers.items() if names)
