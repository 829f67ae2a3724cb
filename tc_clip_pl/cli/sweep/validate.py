"""Parses every run of a sweep before the first one starts, so that a mistyped key does not wait for its turn."""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import ArgumentParser

from tc_clip_pl.cli.config_args import configs_first, import_plugins
from tc_clip_pl.cli.experiment_arguments import ExperimentArguments
from tc_clip_pl.cli.sweep.plan import SweepRun


def check_runs(runs: Sequence[SweepRun]) -> None:
    """Parse the configuration of every run, without building the model or reading data.

    Raises:
        UserError: If one does not parse; the sentence names the key and the nearest one that exists.
    """
    arguments = []
    for run in runs:
        options, configs = configs_first(run.argv)
        import_plugins(options, configs)
        arguments.append(["fit", *options])
    try:
        _Parser(arguments)
    except _AllParsed:
        return


class _AllParsed(Exception):
    """Ends LightningCLI after parsing; it would go on to build the model."""


class _Parser(ExperimentArguments):
    """Parses several command lines with one parser: building it takes longer than parsing."""

    def __init__(self, arguments: Sequence[list[str]]) -> None:
        self._arguments = arguments
        super().__init__("sweep", ["fit"])

    def parse_arguments(self, parser: ArgumentParser, args: object) -> None:
        for argv in self._arguments:
            super().parse_arguments(parser, argv)
        raise _AllParsed
