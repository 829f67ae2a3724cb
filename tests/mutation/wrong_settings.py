"""Change one setting of the recipe at a time, in a copy of the repository, and name the first test that notices.

    python tests/mutation/wrong_settings.py [NAME ...]

`run.py` changes one operator or number in the code; these are mistakes in configurations and in what is wired to what.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/cli/test_predictions.py", "tests/test_recipe.py")
COPIED = ("configs", "datamodules", "tc_clip_pl", "tests", "setup.cfg")


class WrongSetting(NamedTuple):
    """A text that occurs once in a file, and a wrong one in its place."""

    path: str
    right: str
    wrong: str


LOADING, AUGMENTATION = "datamodules/loading.py", "datamodules/transforms/augmentation.py"
DEFAULTS = "configs/defaults.yaml"
WRONG_SETTINGS = {
    "center frames in training": WrongSetting(LOADING, '_build_sampler("random",', '_build_sampler("center",'),
    "center crop in training": WrongSetting(
        LOADING, "build_training_crop(options.image_size)", "build_evaluation_crop(options.image_size, 1)"
    ),
    "jitter 0": WrongSetting(AUGMENTATION, "color_jitter: float = 0.4", "color_jitter: float = 0.0"),
    "grayscale 0.9": WrongSetting(
        AUGMENTATION, "grayscale_probability: float = 0.2", "grayscale_probability: float = 0.9"
    ),
    "flip 0.1": WrongSetting(AUGMENTATION, "flip_probability: float = 0.5", "flip_probability: float = 0.1"),
    "MixUp alpha 8": WrongSetting(AUGMENTATION, "mixup_alpha: float = 0.8", "mixup_alpha: float = 8.0"),
    "warm-up in steps": WrongSetting(
        "tc_clip_pl/training/schedule.py", "round(warmup_epochs * steps_per_epoch)", "round(warmup_epochs)"
    ),
    "prompting factor 1": WrongSetting(DEFAULTS, "prompting_lr_factor: 10", "prompting_lr_factor: 1"),
    "weight decay 0": WrongSetting(DEFAULTS, "weight_decay: 1.0e-3", "weight_decay: 0.0"),
    "best checkpoint by the lowest accuracy": WrongSetting(DEFAULTS, "mode: max", "mode: min"),
    "reversed class names in predictions.csv": WrongSetting(
        "tc_clip_pl/cli/write_outputs.py", "(class_names[c], ", "(class_names[::-1][c], "
    ),
}


def main(names: list[str]) -> int:
    """Try the settings and return 1 if no test notices one of them."""
    if failed := first_failure():
        raise SystemExit(f"{failed} fails without any change; repair it first.")
    survivors = 0
    for name in names or WRONG_SETTINGS:
        noticed = first_failure(WRONG_SETTINGS[name])
        print(f"{name:40} {noticed or 'no test fails'}", flush=True)
        survivors += noticed is None
    return int(survivors > 0)


def first_failure(setting: WrongSetting | None = None) -> str | None:
    """Return the first test that fails with a wrong setting (None: with all of them right), or None."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(folder, name))
        if setting:
            changed = Path(folder, setting.path)
            changed.write_text(changed.read_text().replace(setting.right, setting.wrong))
        pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS]
        environment = {**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
        output = subprocess.run(pytest, cwd=folder, env=environment, capture_output=True, text=True).stdout
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return failed and failed[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
