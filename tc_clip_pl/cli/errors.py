"""Turns mistakes in what was typed into one sentence each."""

import difflib
import re
from collections.abc import Callable, Iterable
from importlib import import_module


class UserError(Exception):
    """A mistake that only the user can correct; its text is one sentence for them."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` with the nearest of the known names, or nothing if none is near.

    Example:
        >>> suggest("data.num_shot", ["data.root", "data.num_shots"])
        '; did you mean data.num_shots?'
        >>> suggest("num_shots", ["data.root", "data.num_shots"])
        '; did you mean data.num_shots?'
    """
    known = list(known)
    # The whole key first: a key typed without its prefix still matches by its last part.
    by_last_part = {key.rpartition(".")[2]: key for key in reversed(known)}
    if name in by_last_part:
        return f"; did you mean {by_last_part[name]}?"
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.75):
        return f"; did you mean {near[0]}?"
    if near := difflib.get_close_matches(name.rpartition(".")[2], by_last_part, n=1, cutoff=0.6):
        return f"; did you mean {by_last_part[near[0]]}?"
    return ""


def ended(sentence: str) -> str:
    """Return the sentence with a full stop, unless it is a question."""
    return sentence if sentence.endswith("?") else f"{sentence}."


def explain_parser_error(message: str, known: Iterable[str]) -> str:
    """Turn an error of jsonargparse into one sentence.

    Args:
        message: Text of the error, often many lines.
        known: All configuration keys, dotted.
    """
    for pattern, explain in _EXPLANATIONS:
        if found := re.search(pattern, message, flags=re.DOTALL):
            return explain(found, list(known))
    return " ".join(message.split())


def _unknown_key(found: re.Match, known: list[str]) -> str:
    key = found["key"].strip().lstrip("-").partition("=")[0]
    return ended(f"There is no configuration key {key}{_suggest_key(key, known)}")


def _suggest_key(key: str, known: list[str]) -> str:
    """Return a suggestion for a whole key: the nearest section first, then the nearest key of any section."""
    known = [*known, *(f"data.{name}" for name in _parameters("datamodules.VideoDataModule"))]
    section, dot, rest = key.partition(".")
    sections = {name.partition(".")[0] for name in known}
    last_parts = {name.rpartition(".")[2] for name in known}
    if section.lower() not in sections | last_parts and (
        near := difflib.get_close_matches(section.lower(), sections, n=1, cutoff=0.6)
    ):
        return suggest(f"{near[0]}{dot}{rest.lower()}", known) or f"; did you mean {near[0]}?"
    return suggest(key.lower(), known)


def _stray_argument(found: re.Match, known: list[str]) -> str:
    if found["key"].endswith((".yaml", ".yml")):
        return f"Unexpected argument {found['key']}; did you mean --config {found['key']}?"
    return f"Unexpected argument {found['key']}: options are written --KEY VALUE."


def _without_value(found: re.Match, known: list[str]) -> str:
    # jsonargparse names only the first part of an option of a class, such as --data for --data.root.
    key = "--data.KEY" if found["key"] == "--data" else found["key"]
    return f"The option {key} has no value: write {key} VALUE."


def _not_a_section(found: re.Match, known: list[str]) -> str:
    parts = found.groupdict()
    key = f"{parts['parent']}.{parts['key']}" if "parent" in parts else parts["key"]
    return f"{key} takes keys of its own, such as --{key}.KEY VALUE, not {_shown(found['value'])}."


def _list_for_a_section(found: re.Match, known: list[str]) -> str:
    return f"An option of the data takes keys of its own (KEY: VALUE), not a {found['kind']}."


def _no_dataset(found: re.Match, known: list[str]) -> str:
    return f"No dataset is given for {found['parent']}.{found['key']}: choose one with --data NAME or --config NAME."


def _missing_class_key(found: re.Match, known: list[str]) -> str:
    keys = [f"{found['parent']}.{name.strip()}" for name in found["keys"].split(",")]
    return f"{found['path'].rpartition('.')[2]} needs {' and '.join(keys)}: add --{keys[0]} VALUE."


def _unknown_class(found: re.Match, known: list[str]) -> str:
    names = [name for base in re.findall(r"[\w.]+\.\w+", found["types"]) for name in _subclass_names(base)]
    value, key = found["value"].strip(), found["key"]
    return ended(f"{key} takes the name of a class or its import path, not {_shown(value)}{suggest(value, names)}")


def _unknown_class_of_a_test(found: re.Match, known: list[str]) -> str:
    key = f"{found['parent']}.{found['nested']}"
    return f"{key} takes the name of a class or its import path, not {_shown(found['value'])}."


def _subclass_names(path: str) -> list[str]:
    module, _, name = path.rpartition(".")
    try:
        base = getattr(import_module(module), name)
    except (ImportError, AttributeError):  # such as collections.abc.Callable of a signature
        return []
    pending, names = [base] if isinstance(base, type) and base is not object else [], []
    while pending:
        derived = type.__subclasses__(pending.pop())
        pending += derived
        names += [kind.__name__ for kind in derived if not kind.__name__.startswith("_")]
    return names


def _shown(value: str | None) -> str:
    """Return a value as it was typed: jsonargparse wraps options of classes, and prints nothing for an empty one."""
    value = (value or "").strip()
    if nested := re.search(r"val='(.*)'\)$", value):
        value = nested[1]
    return value or "an empty string"


def _unknown_class_key(found: re.Match, known: list[str]) -> str:
    parameters = [f"{found['parent']}.{name}" for name in _parameters(found["path"])]
    key = f"{found['parent']}.{found['key']}"
    return ended(f"{found['path'].rpartition('.')[2]} has no key {key}{suggest(key, parameters)}")


def _required(found: re.Match, known: list[str]) -> str:
    keys = re.sub(r"\b(fit|validate|test|predict)\.", "", found["keys"])
    return f"Not given: {keys}; start from a configuration (--config NAME, `tcclip configs` lists them)."


def _unusable_class(found: re.Match, known: list[str]) -> str:
    return f"{found['parent']} cannot be {found['path']}: {found['reason'].strip()}."


def _wrong_type(found: re.Match, known: list[str]) -> str:
    parts, reason = found.groupdict(), found["reason"]
    key = f"{parts['parent']}.{parts['key']}" if "parent" in parts else parts["key"]
    literals = re.findall(r"Literal\[([^\]]+)\]", reason)
    choices = dict.fromkeys(choice.strip(" '\"") for literal in literals for choice in literal.split(","))
    kinds = dict.fromkeys(re.findall(r"Expected an? <class '(?:[\w.]+\.)?(\w+)'>", reason))
    if any(choice.isdigit() for choice in choices):
        kinds.pop("int", None)  # it stands for the numbers among the choices
    accepted = " or ".join([*choices, *(PLAIN_NAMES.get(kind, kind) for kind in kinds)])
    # jsonargparse appends the value of the whole class to that of its argument.
    value = re.search(r"(?:Got value|Given value):(.*?)(?:\. Got value: .*)?$", reason, flags=re.MULTILINE)
    return f"{key} takes {accepted}, not {_shown(value[1]) if value else 'this'}."


PLAIN_NAMES = {"NoneType": "null", "Sequence": "list", "Mapping": "keys and values"}
_PARENT = r"Parser key \"(?P<parent>[\w.]+)\":.*"
_CALLABLE = r"expects a function or a callable class: "
_REASON = r"(?P<reason>.*?Expected a.*?)(?=\n    - |\Z)"  # up to the next type of a union
_EXPLANATIONS: tuple[tuple[str, Callable[[re.Match, list[str]], str]], ...] = (
    # The most particular first: later patterns match the messages of earlier ones too.
    (r"^unrecognized arguments: (?P<key>[^-\s]\S*|--?(?=\s|$))", _stray_argument),
    (r"^argument (?:\S*/)?(?P<key>--[\w.+]+): expected one argument", _without_value),
    (r"^Parser key \"(?P<key>[\w.]+)\":\s+Unable to load config '(?P<value>[^\n]*)'", _not_a_section),
    (
        _PARENT + r"class_path '[^']+':\s+Parser key \"(?P<key>\w+)\":\s+Unable to load config '(?P<value>[^\n]*)'",
        _not_a_section,
    ),
    (r"argument after \*\* must be a mapping, not (?P<kind>\w+)", _list_for_a_section),
    (_PARENT + r"class_path '[\w.]*LightningDataModule':\s+Option '(?P<key>[^']+)' is not accepted", _no_dataset),
    (
        _PARENT + r"class_path '(?P<path>[^']+)':\s+the following arguments are required: (?P<keys>[^\n]+)",
        _missing_class_key,
    ),
    (_PARENT + r"class_path '(?P<path>[^']+)':\s+unrecognized arguments: --(?P<key>[^=\s]+)", _unknown_class_key),
    (r"^unrecognized arguments: (?P<key>\S+)", _unknown_key),
    (r"^Subcommand '\w+' does not accept option '(?P<key>[^']+)'", _unknown_key),
    (_PARENT + r"class_path '(?P<path>[^']+)':\s+Option '(?P<key>[^']+)' is not accepted", _unknown_class_key),
    (
        _PARENT + _CALLABLE + r"Option '(?P<key>[^']+)' is not accepted.*?class_path='(?P<path>[^']+)'",
        _unknown_class_key,
    ),
    (r"^the following arguments are required: (?P<keys>.+)", _required),
    (
        _PARENT + r"Expected a dot import path string: (?P<value>[^\n]*).*NestedArg\(key='(?P<nested>tests\.\w+)'",
        _unknown_class_of_a_test,
    ),
    (_PARENT + r"Problem with given class_path '[^']+':\s+Parser key \"(?P<key>\w+)\":" + _REASON, _wrong_type),
    (_PARENT + _CALLABLE + r"Parser key \"(?P<key>\w+)\":" + _REASON, _wrong_type),
    (_PARENT + r"class_path '(?P<path>[^']+)':\s+(?P<reason>[^\n]+)", _unusable_class),
    (_PARENT + _CALLABLE + r"(?P<reason>[^\n]+).*Given value: (?P<path>\S+)", _unusable_class),
    (
        _PARENT + r"Import path (?P<reason>does not correspond to a subclass of \w+).*Given value: (?P<path>\S+)",
        _unusable_class,
    ),
    (
        r"^Parser key \"(?P<key>[\w.]+)\":.*Subtypes: \[(?P<types>[^\n]*)\].*Expected a dot import path string"
        r".*Given value: (?P<value>[^\n]*)",
        _unknown_class,
    ),
    (r"Parser key \"(?P<key>[\w.]+)\":(?P<reason>.*?Expected a .*)", _wrong_type),
)


def _parameters(class_path: str) -> list[str]:
    from jsonargparse import ArgumentParser  # it follows **kwargs, which a signature does not name

    module, _, name = class_path.rpartition(".")
    return ArgumentParser().add_class_arguments(getattr(import_module(module), name), fail_untyped=False)
