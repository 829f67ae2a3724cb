"""The wheel holds every module and config, and nothing of the tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_is_complete(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        tmp_path,
    ]
    source = tmp_path / "source"  # setuptools writes beside what it builds
    for folder in ("tc_clip_pl", "datamodules", "configs"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*command, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        str(path.relative_to(ROOT))
        for folder in ("tc_clip_pl", "datamodules")
        for suffix in ("py", "yaml")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
    }
    configs = {
        f"tc_clip_pl/configs/{path.relative_to(ROOT / 'configs')}" for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert modules | configs == {name for name in names if ".dist-info/" not in name}
