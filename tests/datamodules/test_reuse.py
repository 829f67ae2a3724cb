"""The example in the package's docstring, with another model than ours, as it stands there."""

import shutil
import subprocess
import sys
import textwrap

import datamodules

CLASSES = ("red_circle_moving_left", "green_square_growing")
# The same code on small pictures and for one batch only.
SMALLER = {
    "num_frames=16, image_size=112": "num_frames=4, image_size=32, num_workers=0",
    "max_epochs=10": "max_steps=1",
}


def example():
    code = textwrap.dedent(datamodules.__doc__.partition("::\n")[2])
    for old, new in SMALLER.items():
        assert code.count(old) == 1
        code = code.replace(old, new)
    return code


def test_a_video_resnet_trains_on_class_folders_without_our_package(synthetic_root, tmp_path):
    for name in CLASSES:
        shutil.copytree(synthetic_root / name, tmp_path / "my_videos" / name)
    quiet = 'L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, '
    ends = "\nimport sys\nprint(sorted({name.split('.')[0] for name in sys.modules} & {'tc_clip_pl', 'datamodules'}))"
    code = example().replace("L.Trainer(", "trainer = " + quiet).replace(").fit", ")\ntrainer.fit")
    ends += "\nprint(trainer.global_step, data.class_names, len(data.datasets['train']), len(data.test_datasets[0]))"
    out = subprocess.run([sys.executable, "-c", code + ends], cwd=tmp_path, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    *_, others, figures = out.stdout.strip().splitlines()
    assert figures == "1 ['green square growing', 'red circle moving left'] 10 2" and others == "['datamodules']"
