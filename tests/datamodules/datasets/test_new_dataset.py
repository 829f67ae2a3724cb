"""The example in the docstring of `datamodules.datasets` and a line in `DATASETS` are all that a new dataset takes."""

import textwrap
from importlib import import_module
from pathlib import Path

import datamodules
from datamodules import VideoDataModule
from datamodules.datasets import DATASETS


def test_the_example_reads_a_dataset(made, tmp_path):
    code = textwrap.dedent(datamodules.datasets.__doc__.partition("::\n")[2].partition("\nand add one line")[0])
    names = {}
    exec(code, names)
    made.touch(tmp_path, *(f"{name}/{clip}.mp4" for name in ("run", "walk_dog") for clip in ("a", "b", "test_c")))
    data = names["MyDataModule"](str(tmp_path), num_frames=4)
    data.setup()
    assert data.class_names == ["run", "walk dog"] and data.test_sets[0].name == "my_dataset/split1"
    assert (len(data.datasets["train"]), len(data.test_datasets[0])) == (4, 2)
    assert "MyDataModule" in datamodules.datasets.__doc__.partition("and add one line")[2]


def test_table_names_every_data_module_of_the_package():
    found = {}
    for file in Path(datamodules.datasets.__file__).parent.glob("[!_]*.py"):
        module = import_module(f"datamodules.datasets.{file.stem}")
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        of_datasets = [kind for kind in classes if issubclass(kind, VideoDataModule) and "published" in vars(kind)]
        found |= {kind.__name__: file.stem for kind in of_datasets if kind.__module__ == module.__name__}
    assert found == DATASETS


def test_datasets_are_public():
    for name, file in DATASETS.items():
        assert getattr(datamodules, name).__module__ == f"datamodules.datasets.{file}"
        assert name in datamodules.__all__
