"""The example in the package's docstring, with another model than ours, as it stands there."""

import shutil
import textwrap

import pytest

import datamodules

CLASSES = ("a_star_moving_left", "showing_a_red_disc")
# The same code with small pictures, for one step and without files left behind.
SMALLER = {
    "num_frames=16, image_size=112": "num_frames=4, image_size=32, num_workers=0",
    "max_epochs=10": "max_steps=1, accelerator='cpu', logger=False, enable_checkpointing=False",
    "L.Trainer(": "trainer = L.Trainer(",
    ").fit(": ");trainer.fit(",
}


@pytest.mark.filterwarnings("ignore")
def test_a_video_resnet_trains_on_class_folders(synthetic_root, tmp_path, monkeypatch):
    code = textwrap.dedent(datamodules.__doc__.partition("::\n")[2])
    statements = [line for line in code.splitlines() if line.strip() and "import" not in line]
    assert len(statements) == 10 and "tc_clip" not in code
    for old, new in SMALLER.items():
        assert code.count(old) == 1
        code = code.replace(old, new)
    for name in CLASSES:
        shutil.copytree(synthetic_root / "videos" / name, tmp_path / "my_videos" / name)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    data = names["data"]
    assert names["trainer"].global_step == 1 and data.class_names == ["a star moving left", "showing a red disc"]
    assert len(data.datasets["train"]) == 10 and len(data.test_datasets[0]) == 2
