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
    return ended(f"There is no configuration key {key}{suggest(key, known)}")


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
    kinds = dict.fromkeys(re.findall(r"Expected an? <class '(\w+)'>", reason))
    choices = dict.fromkeys(re.findall(r"'(\w+)'", "".join(re.findall(r"Literal(\[.+?\])", reason))))
    accepted = " or ".join([*choices, *(kind.replace("NoneType", "null") for kind in kinds)])
    # jsonargparse appends the value of the whole class to that of its argument.
    value = re.search(r"(?:Got value|Given value): (.+?)(?:\. Got value: .*)?$", reason, flags=re.MULTILINE)
    return f"{key} takes {accepted}, not {value[1].strip() if value else 'this'}."


_PARENT = r"Parser key \"(?P<parent>[\w.]+)\":.*"
_CALLABLE = r"expects a function or a callable class: "
_REASON = r"(?P<reason>.*?Expected a.*?)(?=\n    - |\Z)"  # up to the next type of a union
_EXPLANATIONS: tuple[tuple[str, Callable[[re.Match, list[str]], str]], ...] = (
    # The most particular first: later patterns match the messages of earlier ones too.
    (r"^unrecognized arguments: (?P<key>\S+)", _unknown_key),
    (r"^Subcommand '\w+' does not accept option '(?P<key>[^']+)'", _unknown_key),
    (_PARENT + r"class_path '(?P<path>[^']+)':\s+Option '(?P<key>[^']+)' is not accepted", _unknown_class_key),
    (
        _PARENT + _CALLABLE + r"Option '(?P<key>[^']+)' is not accepted.*?class_path='(?P<path>[^']+)'",
        _unknown_class_key,
    ),
    (r"^the following arguments are required: (?P<keys>.+)", _required),
    (_PARENT + r"Problem with given class_path '[^']+':\s+Parser key \"(?P<key>\w+)\":" + _REASON, _wrong_type),
    (_PARENT + _CALLABLE + r"Parser key \"(?P<key>\w+)\":" + _REASON, _wrong_type),
    (_PARENT + r"class_path '(?P<path>[^']+)':\s+(?P<reason>[^\n]+)", _unusable_class),
    (_PARENT + _CALLABLE + r"(?P<reason>[^\n]+).*Given value: (?P<path>\S+)", _unusable_class),
    (
        _PARENT + r"Import path (?P<reason>does not correspond to a subclass of \w+).*Given value: (?P<path>\S+)",
        _unusable_class,
    ),
    (r"Parser key \"(?P<key>[\w.]+)\":(?P<reason>.*?Expected a .*)", _wrong_type),
)


def _parameters(class_path: str) -> list[str]:
    from jsonargparse import ArgumentParser  # it follows **kwargs, which a signature does not name

    module, _, name = class_path.rpartition(".")
    return ArgumentParser().add_class_arguments(getattr(import_module(module), name), fail_untyped=False)
