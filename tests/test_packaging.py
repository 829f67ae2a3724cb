"""setup.cfg lists every package, and the wheel holds every module and config, and nothing of the tests."""

import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOP_LEVEL = ("tc_clip_pl", "datamodules")


def package_name(folder):
    return ".".join(folder.relative_to(ROOT).parts)


def test_setup_cfg_lists_every_package():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    listed = parser["options"]["packages"].split()
    packages = {package_name(file.parent) for name in TOP_LEVEL for file in (ROOT / name).rglob("__init__.py")}
    # The shipped configurations are no Python package; `package_dir` maps them into tc_clip_pl.
    assert sorted(listed) == sorted(packages | {"tc_clip_pl.configs"})


def test_every_folder_of_modules_is_a_package():
    folders = {file.parent for name in TOP_LEVEL for file in (ROOT / name).rglob("*.py")}
    assert not [package_name(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_wheel_is_complete(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"  # a copy: setuptools writes build folders next to the sources
    for folder in (*TOP_LEVEL, "configs"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        str(path.relative_to(ROOT))
        for folder in TOP_LEVEL
        for suffix in ("py", "yaml", "html")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
    }
    configs = {
        f"tc_clip_pl/configs/{path.relative_to(ROOT / 'configs')}" for path in (ROOT / "configs").rglob("*.yaml")
    }
    world_clip = {str(path.relative_to(ROOT)) for path in (ROOT / "tc_clip_pl/checkpoints/world_clip").iterdir()}
    assert len(world_clip) == 5
    assert modules | configs | world_clip == {name for name in names if ".dist-info/" not in name}
