"""The `tcclip` command. What takes seconds to import is imported only by the subcommand that needs it."""

import os
import sys
import time
from collections.abc import Callable

from tc_clip_pl.cli.configs import list_configs
from tc_clip_pl.cli.errors import UserError, suggest
from tc_clip_pl.cli.help_pages import TOP_LEVEL_HELP, subcommand_help

HELP_FLAGS = ("-h", "--help")
RANK_VARIABLES = ("RANK", "SLURM_PROCID", "LOCAL_RANK")  # of torchrun, of SLURM, of Lightning's own launcher


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after `tcclip`; those of the process by default.

    Returns:
        The exit code: 0, 1 for a mistake in data, model or configuration, 2 for an unknown subcommand.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("TCCLIP_DEBUG"))
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in HELP_FLAGS:
        print(TOP_LEVEL_HELP)
        return 0
    if words[0] not in SUBCOMMANDS:
        print(f"tcclip: there is no subcommand {words[0]}{suggest(words[0], SUBCOMMANDS)}", file=sys.stderr)
        return 2
    if any(flag in words for flag in HELP_FLAGS):
        print(subcommand_help(words[0]))
        return 0
    return _run(SUBCOMMANDS[words[0]], words, debug)


def _run(subcommand: Callable[[list[str]], int | None], words: list[str], debug: bool) -> int:
    try:
        return subcommand(words) or 0
    except (UserError, ValueError, OSError) as error:
        if debug:
            raise
        _explain(error)
        return 1
    except RuntimeError as error:
        if debug or not any(library in str(error) for library in ("gloo", "NCCL")):
            raise
        _explain(RuntimeError("The connection to another process broke off; what that one says is the reason."))
        return 1


def _explain(error: Exception) -> None:
    rank = int(next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0"))
    if rank:  # the first process says what goes wrong in all of them, and ends the others meanwhile
        time.sleep(3)
    who = f"tcclip (process {rank})" if rank else "tcclip"
    print(f"{who}: {' '.join(str(error).split())}\n(--debug shows where this came from)", file=sys.stderr)


def _train(words: list[str]) -> None:
    from tc_clip_pl.cli.experiment import run_experiment

    run_experiment(words)


def _profile(words: list[str]) -> None:
    from tc_clip_pl.cli.profile import profile

    profile(words[1:])


def _configs(words: list[str]) -> None:
    list_configs(words[1:])


def _split(words: list[str]) -> None:
    from tc_clip_pl.cli.split import make_splits

    make_splits(words[1:])


def _check(words: list[str]) -> int:
    from tc_clip_pl.cli.check import check_data

    return check_data(words[1:])


def _sweep(words: list[str]) -> int:
    from tc_clip_pl.cli.sweep.command import sweep

    try:
        return sweep(words[1:])
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def _report(words: list[str]) -> None:
    from tc_clip_pl.cli.report import report

    report(words[1:])


def _make_demo(words: list[str]) -> None:
    from tc_clip_pl.cli.demo import make_demo

    make_demo(words[1:])


SUBCOMMANDS: dict[str, Callable[[list[str]], int | None]] = {
    "fit": _train,
    "validate": _train,
    "test": _train,
    "predict": _train,
    "check": _check,
    "split": _split,
    "profile": _profile,
    "sweep": _sweep,
    "report": _report,
    "configs": _configs,
    "make-demo": _make_demo,
}
