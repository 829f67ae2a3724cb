"""The `tcclip` command. Each subcommand is imported only when it runs: most take seconds to import."""

import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module

from tc_clip_pl.cli.errors import UserError, ended, suggest
from tc_clip_pl.cli.help_pages import TOP_LEVEL_HELP, subcommand_help
from tc_clip_pl.cli.startup import announced, process_rank
from tc_clip_pl.cli.subcommands import RUNS, SLOW_IMPORTS, SUBCOMMANDS

HELP_FLAGS = ("-h", "--help")
PIPE_CLOSED = 128 + 13  # what a shell reports for a program that SIGPIPE ended


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments after `tcclip`; those of the process by default.

    Returns:
        The exit code: 0, 1 for a mistake in data, model or configuration, 2 for an unknown subcommand, 130 for an
        interruption, 141 where the reader of a pipe has left.
    """
    try:
        code = _main(argv)
        sys.stdout.flush()  # here rather than at exit, where Python would print the error
    except BrokenPipeError:
        # As after `| head -1`. What is still buffered goes nowhere: flushing it at exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


def _main(argv: list[str] | None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv or bool(os.environ.get("TCCLIP_DEBUG"))
    argv = [argument for argument in argv if argument != "--debug"]
    if not argv or argv[0] in HELP_FLAGS:
        print(TOP_LEVEL_HELP)
        return 0
    if argv[0] not in SUBCOMMANDS:
        known = f" (known: {', '.join(SUBCOMMANDS)})" if not argv[0].strip() else suggest(argv[0], SUBCOMMANDS)
        print(ended(f"tcclip: There is no subcommand {argv[0]!r}{known}"), file=sys.stderr)
        return 2
    if any(flag in argv for flag in HELP_FLAGS):
        print(subcommand_help(argv[0]))
        return 0
    # Plugins and class paths may lie in the current directory, which an installed command does not search. Last, so
    # that nothing there hides an installed package.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return _run(argv, debug)


def _run(argv: list[str], debug: bool) -> int:
    try:
        return _load(argv[0])(argv if argv[0] in RUNS else argv[1:]) or 0
    except KeyboardInterrupt:
        resume = "; the same command resumes it" if argv[0] in ("sweep", "tour", "index", "transcode") else ""
        print(f"\nInterrupted{resume}.", file=sys.stderr)
        return 130
    except SystemExit as stop:
        # Lightning ends an interrupted run by exit(1), after RunFolderNotes has said how to resume it.
        if isinstance(stop.__context__, KeyboardInterrupt):
            if argv[0] == "tour":
                print("Or go on with the tour by the same command.", file=sys.stderr)
            return 130
        raise
    except (UserError, ValueError, OSError) as error:
        if debug or (isinstance(error, BrokenPipeError) and _has_lost_reader()):
            raise
        _explain(error)
    except RuntimeError as error:
        # Where another process has failed, this one only sees a broken connection.
        if debug or not any(library in str(error) for library in ("gloo", "NCCL")):
            raise
        _explain(RuntimeError("Lost the connection to another process; the error of that process is the cause."))
    return 1


def _has_lost_reader() -> bool:
    """Return whether stdout is a pipe that nobody reads any more; a broken pipe may also be that to a worker."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors only, which are always reported
        return bool(poll.poll(0))
    except (OSError, ValueError):  # no file behind stdout
        return False


def _load(subcommand: str) -> Callable[[list[str]], int | None]:
    module, _, name = SUBCOMMANDS[subcommand].partition(":")
    with announced("Loading PyTorch and Lightning ...") if subcommand in SLOW_IMPORTS else nullcontext():
        return getattr(import_module(module), name)


def _explain(error: Exception) -> None:
    if rank := process_rank():
        time.sleep(3)  # the same mistake fails every process: the first one reports it and ends the others meanwhile
    who = f"tcclip (process {rank})" if rank else "tcclip"
    print(f"{who}: {' '.join(str(error).split())}\n(--debug shows the traceback)", file=sys.stderr)
