"""The subcommands of `tcclip`. A new one is a file here, an entry below, and a help page in `help_pages.py`."""

RUNS = ("fit", "validate", "test", "predict")
SUBCOMMANDS = {
    **dict.fromkeys(RUNS, "tc_clip_pl.cli.experiment:run_experiment"),
    "recognize": "tc_clip_pl.cli.recognize:recognize",
    "visualize": "tc_clip_pl.cli.visualize:visualize",
    "index": "tc_clip_pl.cli.index:index",
    "search": "tc_clip_pl.cli.search:search",
    "demo": "tc_clip_pl.cli.page.command:demo",
    "check": "tc_clip_pl.cli.check:check_data",
    "transcode": "tc_clip_pl.cli.transcode:transcode",
    "split": "tc_clip_pl.cli.split:make_splits",
    "ensemble": "tc_clip_pl.cli.ensemble:ensemble",
    "convert": "tc_clip_pl.cli.convert:convert",
    "export": "tc_clip_pl.cli.export:export",
    "pretrain": "tc_clip_pl.cli.pretrain:pretrain",
    "profile": "tc_clip_pl.cli.profile:profile",
    "benchmark": "tc_clip_pl.cli.benchmark.command:benchmark",
    "sweep": "tc_clip_pl.cli.sweep.command:sweep",
    "report": "tc_clip_pl.cli.report:report",
    "configs": "tc_clip_pl.cli.configs:list_configs",
    "tour": "tc_clip_pl.cli.tour.command:tour",
}
"""Where the function of each subcommand is."""
SLOW_IMPORTS = (*RUNS, "ensemble", "profile")
"""Those that import PyTorch at once; the others import it later, if at all."""
