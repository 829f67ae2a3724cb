"""The wrong settings still have their place in the code: a renamed option would otherwise count as noticed."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRONG_SETTINGS = runpy.run_path(str(Path(__file__).with_name("wrong_settings.py")))["WRONG_SETTINGS"]


@pytest.mark.parametrize("name", WRONG_SETTINGS)
def test_setting_occurs_once(name):
    setting = WRONG_SETTINGS[name]
    assert (ROOT / setting.path).read_text().count(setting.right) == 1
