"""Writes the tables of the files in this folder into README.md: `python results/benchmarks/fill_readme.py`."""

from pathlib import Path

from tc_clip_pl.cli.benchmark.tables import fill_tables

ROOT = Path(__file__).parents[2]
readme = ROOT / "README.md"
readme.write_text(fill_tables(readme.read_text(encoding="utf-8"), ROOT), encoding="utf-8")
