"""The phrases about actions: as many for each, of the order of the film, and in files that OST reads."""

from datamodules.synthetic.actions import SEEN, UNSEEN
from datamodules.synthetic.descriptors import describe
from datamodules.synthetic.layout import SPATIAL, TEMPORAL
from datamodules.synthetic.list_files import descriptor_texts
from tc_clip_pl.baselines.ost.descriptors import class_texts
from tc_clip_pl.modules.loading import load_tokenizer
from tc_clip_pl.modules.tokenizer import tokenize_texts

ACTIONS = (*SEEN, *UNSEEN)
BY_NAME = {action.name: action for action in ACTIONS}
BUDGET = 32  # tokens of the CLIP that comes with the package


def test_a_reversed_film_has_the_same_steps_in_the_other_order():
    assert describe(BY_NAME["a star moving left"]) == (["a star", "a thing"], ["on the right", "on the left"])
    assert describe(BY_NAME["a star moving right"])[1] == ["on the left", "on the right"]
    assert describe(BY_NAME["a lamp turning from blue to red"])[1] == ["blue", "red"]


def test_the_actions_of_a_family_differ_in_their_steps_alone():
    for family in {action.family for action in ACTIONS}:
        described = [describe(action) for action in ACTIONS if action.family == family]
        assert len({tuple(spatial) for spatial, _ in described}) == 1
        assert len({tuple(temporal) for _, temporal in described}) == len(described)


def test_files_describe_every_class_in_few_tokens(tmp_path):
    for file, text in descriptor_texts(ACTIONS).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    files = [str(tmp_path / file) for file in (SPATIAL, TEMPORAL)]
    texts = class_texts([*BY_NAME], *files, "a photo of a {phrase}", "a photo of a {name}, {phrase}")
    assert [len(of_kind) for of_class in texts for of_kind in of_class] == [2, 2] * len(ACTIONS)
    tokenize_texts(load_tokenizer("world"), [text for of_class in texts for of in of_class for text in of], BUDGET)
