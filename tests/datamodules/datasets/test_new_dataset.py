"""The example in the docstring of `datamodules.datasets` is all that a new dataset takes."""

import textwrap

import datamodules.datasets


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
