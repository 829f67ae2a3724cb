"""The developer guide is true: its map is complete, its paths and names exist, its example runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tc_clip_pl.cli import SUBCOMMANDS
from tc_clip_pl.cli.configs import find_config

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
TOP_LEVEL = ("tc_clip_pl", "datamodules", "configs", "tests", "notebooks", "results")
EXTENSIONS = (".py", ".yaml", ".md", ".cfg", ".toml", ".ipynb")
CODE = re.compile(r"`([^`\n]+)`")


def section(title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S)[1]


def table_rows(text):
    """The cells of every table row but the headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ") or line.startswith("|---")]
    headings = {index - 1 for index, line in enumerate(lines) if line.startswith("|---")}
    rows = [line for i, line in enumerate(lines) if i not in headings and not line.startswith("|---")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def is_path(code):
    return re.fullmatch(r"[\w./-]+", code) and (code.partition("/")[0] in TOP_LEVEL or code.endswith(EXTENSIONS))


def paths_in(text):
    """Paths in backticks, and those on command lines."""
    return [code for code in CODE.findall(text) if is_path(code)] + re.findall(r"(?<=pytest )[\w/.]+", text)


def names_in(text):
    """Identifiers in backticks that look like names of the code: CONSTANT, ClassName, snake_case."""
    codes = [code for code in CODE.findall(text) if re.fullmatch(r"[A-Za-z_]\w+", code) and code not in TOP_LEVEL]
    return [code for code in codes if "_" in code or code != code.lower()]


def source_of(path):
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return "\n".join(file.read_text() for file in files)


ROWS = [
    cells
    for title in ("Map", "From a file to results.json", "How to add ...", "Tests")
    for cells in table_rows(section(title))
]


def test_map_names_every_package_and_folder():
    packages = {file.parent for top in ("tc_clip_pl", "datamodules") for file in (ROOT / top).rglob("__init__.py")}
    folders = {ROOT / top for top in TOP_LEVEL} | {path for path in (ROOT / "configs").iterdir() if path.is_dir()}
    named = [CODE.fullmatch(cells[0])[1] for cells in table_rows(section("Map"))]
    assert len(named) == len(set(named))
    missing = {str(path.relative_to(ROOT)) for path in packages | folders} - set(named)
    assert not missing


def test_map_names_every_module_beside_the_packages():
    modules = {path.relative_to(ROOT) for top in ("tc_clip_pl", "datamodules") for path in (ROOT / top).glob("*.py")}
    named = paths_in(section("Map"))
    assert not {str(path) for path in modules if not path.name.startswith("__")} - set(named)


@pytest.mark.parametrize("path", sorted(set(paths_in(GUIDE))))
def test_path_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("cells", [cells for cells in ROWS if paths_in(" ".join(cells)) and names_in(" ".join(cells))])
def test_names_are_in_the_files_given_with_them(cells):
    row = " ".join(cells)
    source = "\n".join(source_of(ROOT / path) for path in paths_in(row))
    assert not [name for name in names_in(row) if not re.search(rf"\b{name}\b", source)]


def test_the_way_of_a_clip_has_ten_steps():
    numbers = [cells[0] for cells in table_rows(section("From a file to results.json")) if cells[0].isdigit()]
    assert numbers == [str(number) for number in range(1, 11)]


def test_glossary_terms_are_unique():
    terms = [cells[0].lower() for cells in table_rows(section("Glossary"))]
    assert len(terms) >= 10
    assert len(terms) == len(set(terms))


def test_example_registers_a_choice():
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    check = "\nassert SEED_SELECTORS['value_norm'] is value_norm and 'seed_ratio' in SEED_SELECTORS.reads('value_norm')"
    subprocess.run([sys.executable, "-c", example + check], check=True)  # its own process: registries are global


@pytest.mark.parametrize("command", re.findall(r"^tcclip .+$", GUIDE, re.M))
def test_commands_name_subcommands_and_configurations(command):
    argv = command.split()
    assert argv[1] in SUBCOMMANDS
    assert find_config(argv[argv.index("--config") + 1]).is_file()


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", GUIDE, re.M)
    assert {"demo", "test", "slow"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_guide_is_short():
    assert len(GUIDE.splitlines()) < 250
