"""The `tcclip` command. Each subcommand is imported only when it runs: most take seconds to import."""

import os
import select
import sys
import time
from importlib import import_module

from tc_clip_pl.cli.errors import UserError, suggest
from tc_clip_pl.cli.help_pages import TOP_LEVEL_HELP, subcommand_help

HELP_FLAGS = ("-h", "--help")
RUNS = ("fit", "validate", "test", "predict")
SUBCOMMANDS = {
    **dict.fromkeys(RUNS, "tc_clip_pl.cli.experiment:run_experiment"),
    "check": "tc_clip_pl.cli.check:check_data",
    "split": "tc_clip_pl.cli.split:make_splits",
    "profile": "tc_clip_pl.cli.profile:profile",
    "sweep": "tc_clip_pl.cli.sweep.command:sweep",
    "report": "tc_clip_pl.cli.report:report",
    "configs": "tc_clip_pl.cli.configs:list_configs",
    "make-demo": "tc_clip_pl.cli.demo:make_demo",
}
"""Where the function of each subcommand is."""

PIPE_CLOSED = 128 + 13  # what a shell reports for a program that SIGPIPE ended
RANK_VARIABLES = ("RANK", "SLURM_PROCID", "LOCAL_RANK")  # of torchrun, of SLURM, of Lightning's own launcher


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
        print(f"tcclip: there is no subcommand {argv[0]}{suggest(argv[0], SUBCOMMANDS)}", file=sys.stderr)
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
    module, _, name = SUBCOMMANDS[argv[0]].partition(":")
    try:
        function = getattr(import_module(module), name)
        return function(argv if argv[0] in RUNS else argv[1:]) or 0
    except KeyboardInterrupt:
        resume = "; the same command resumes it" if argv[0] == "sweep" else ""
        print(f"\nInterrupted{resume}.", file=sys.stderr)
        return 130
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


def _explain(error: Exception) -> None:
    rank = int(next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0"))
    if rank:
        time.sleep(3)  # the same mistake fails every process: the first one reports it and ends the others meanwhile
    who = f"tcclip (process {rank})" if rank else "tcclip"
    print(f"{who}: {' '.join(str(error).split())}\n(--debug shows the traceback)", file=sys.stderr)
