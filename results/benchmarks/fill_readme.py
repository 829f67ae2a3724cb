"""Writes the tables of the files in this folder into the README and into that of this folder."""

from pathlib import Path

from tc_clip_pl.cli.benchmark.tables import fill_tables

ROOT = Path(__file__).parents[2]
for readme in (ROOT / "README.md", Path(__file__).with_name("README.md")):
    readme.write_text(fill_tables(readme.read_text(encoding="utf-8"), ROOT), encoding="utf-8")
