"""The options of the command line follow the fields of the model's configuration."""

import contextlib
import inspect
import io
import re

from jsonargparse import ArgumentParser

from tc_clip_pl import TCCLIPConfig
from tc_clip_pl.modules.config import NAMED_CHOICES
from tc_clip_pl.training.build import (
    READ_FROM_PRETRAINED,
    ModelOptions,
    build_module,
    derive_options,
    read_image_size,
)


class _Config:
    """A configuration.

    Args:
        new_number: What the new number does.
        named_type: Whose type is given by name.
    """

    new_number: int = 3
    named_type: "float" = 0.5


def _help(options):
    parser = ArgumentParser()
    parser.add_class_arguments(options, "config")
    with contextlib.redirect_stdout(io.StringIO()) as text:
        parser.print_help()
    return " ".join(text.getvalue().split())


def test_every_choice_is_an_option_with_type_and_help():
    text, options = _help(ModelOptions), inspect.get_annotations(TCCLIPConfig).keys() - set(READ_FROM_PRETRAINED)
    assert len(options) >= 17
    for name in options:
        found = re.search(rf"--config\.{name}\+? (?:{name.upper()}|{{\S+}}) ([^(]+.*?)\(type: [^)]*null", text)
        assert found and len(found[1]) > 3, name
    assert not any(f"--config.{name}" in text for name in READ_FROM_PRETRAINED)


def test_new_field_becomes_an_option():
    options = derive_options(_Config)
    assert options().new_number is None
    assert "What the new number does. (type: int | null, default: null)" in _help(options)
    assert "given by name. (type: float | null, default: null)" in _help(options)


def test_help_lists_every_choice():
    text = _help(ModelOptions)
    for registry in NAMED_CHOICES.values():
        assert f": {', '.join(registry)}" in text


def test_image_size_of_a_folder_and_of_a_checkpoint(tiny_clip, make_module, make_data, make_trainer, tmp_path):
    trainer = make_trainer(limit_val_batches=0)
    trainer.fit(make_module(), datamodule=make_data())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert read_image_size(str(tiny_clip)) == read_image_size(str(tmp_path / "last.ckpt")) == 32


def test_options_left_open_keep_those_of_the_pretrained_model(tiny_clip, tmp_path):
    few = ModelOptions(num_frames=4, num_context_tokens=4, merges_per_round=4, seed_ratio=0.5)
    build_module(str(tiny_clip), few).model.save_pretrained(tmp_path)
    module = build_module(str(tmp_path), ModelOptions(merges_per_round=2))
    assert (module.model.config.seed_ratio, module.model.config.merges_per_round) == (0.5, 2)
