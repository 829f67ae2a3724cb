"""Several texts per class: their words, their mean, what training draws, and when a frozen text is encoded."""

import pytest
import torch
from torch.nn.functional import normalize

from tc_clip_pl import TCCLIP
from tc_clip_pl.modules import process_draws
from tc_clip_pl.modules.process_draws import draw_own
from tc_clip_pl.modules.prompt_ensembles import ACTION_TEMPLATES

NAMES = ["brush hair", "cartwheel"]
DESCRIBED = ["Brush hair: somebody brushes", "cartwheel"]


@pytest.fixture
def make(tiny_clip_folder):
    def make(prompting, **options):
        options = {"reference_tokens": "window", "frame_pooling": "mean_cosine", "num_frames": 4, **options}
        return TCCLIP.from_pretrained(tiny_clip_folder, prompting=prompting, **options).double()

    return make


def texts_of(model, texts):
    """The embeddings of texts, one by one."""
    options = {**model.config.to_dict(), "prompting": "class_name", "class_templates": None}
    single = TCCLIP(type(model.config).from_dict(options)).double()
    single.load_state_dict(model.state_dict())
    single.tokenizer = model.tokenizer
    single.set_class_names(texts)
    return single.eval().embed_classes()


def test_templates_are_those_of_the_paper_in_its_order():
    assert len(ACTION_TEMPLATES) == len(set(ACTION_TEMPLATES)) == 28
    assert ACTION_TEMPLATES[:3] == ("a photo of {}.", "a photo of a person {}.", "a photo of a person using {}.")
    assert ACTION_TEMPLATES[14] == "a example of {}."
    assert ACTION_TEMPLATES[-1] == "a demonstration of a person practicing {}."


def test_embedding_is_the_mean_direction_of_all_templates(make):
    model = make("template_ensemble").eval()
    model.set_class_names(NAMES)
    for name, embed in zip(NAMES, model.embed_classes(), strict=True):
        each = texts_of(model, [template.format(name) for template in ACTION_TEMPLATES])
        torch.testing.assert_close(embed, normalize(normalize(each, dim=-1).mean(0), dim=-1))


def test_templates_of_ones_own_take_their_place(make, tmp_path):
    model = make("template_ensemble", class_templates=["{}", "a film of {}"]).eval()
    model.set_class_names(NAMES)
    for name, embed in zip(NAMES, model.embed_classes(), strict=True):
        each = texts_of(model, [name, f"a film of {name}"])
        torch.testing.assert_close(embed, normalize(normalize(each, dim=-1).mean(0), dim=-1))
    model.save_pretrained(tmp_path)
    assert TCCLIP.from_pretrained(tmp_path).class_text == model.class_text == ["{}", "a film of {}"]


def test_descriptions_stand_behind_the_short_name_and_alone(make):
    model = make("described_ensemble").eval()
    model.set_class_names(DESCRIBED)
    embeds = model.embed_classes()
    for embed, short, whole in zip(embeds, ["Brush hair", "cartwheel"], DESCRIBED, strict=True):
        each = texts_of(model, [f"{template.format(short)} {whole}" for template in ACTION_TEMPLATES] + [whole])
        torch.testing.assert_close(embed, normalize(normalize(each, dim=-1).mean(0), dim=-1))


def test_training_draws_one_template_and_keeps_the_description(make):
    model = make("described_ensemble").train()
    model.set_class_names(DESCRIBED)
    drawn = set()
    torch.manual_seed(0)
    for _ in range(60):
        model.encode_classes()
        ids, _ = model.encoded_texts
        assert ids.shape[:2] == (2, 2) and torch.equal(ids[1], model.class_input_ids[28])
        drawn.add(next(i for i in range(28) if torch.equal(ids[0], model.class_input_ids[i])))
    assert len(drawn) > 15
    model.eval().encode_classes()
    assert model.encoded_texts[0] is model.class_input_ids


def test_processes_draw_numbers_of_their_own_from_one_random_state(monkeypatch):
    found = {}
    for rank in range(2):
        monkeypatch.setattr(process_draws.torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(process_draws.torch.distributed, "get_world_size", lambda: 2)
        monkeypatch.setattr(process_draws.torch.distributed, "get_rank", lambda rank=rank: rank)
        torch.manual_seed(3)
        found[rank] = (draw_own(torch.rand), torch.rand(()))
    assert found[0][0] != found[1][0] and found[0][1] == found[1][1]


@pytest.mark.parametrize("prompting", ["template_ensemble", "template"])
def test_frozen_text_is_encoded_once_in_training(make, prompting, tiny_video, monkeypatch):
    model = make(prompting).train()
    model.set_class_names(NAMES)
    calls = []
    encode = model._encode_classes
    monkeypatch.setattr(model, "_encode_classes", lambda: calls.append(0) or encode())
    for frozen, expected in (([], 2), (["text"], 1)):
        model.freeze(frozen)
        calls.clear()
        for _ in range(2):
            model(tiny_video).logits.sum().backward()
        assert len(calls) == expected


def test_frozen_text_of_drawn_templates_is_encoded_anew(make):
    model = make("described_ensemble").train()
    model.set_class_names(DESCRIBED)
    model.freeze(["text"])
    torch.manual_seed(0)
    assert len({model.encode_classes().sum().item() for _ in range(8)}) > 3


def test_token_embeddings_are_trained_where_asked_for(make, tmp_path):
    assert not make("template").text_model.embeddings.token_embedding.weight.requires_grad
    model = make("described_ensemble", train_token_embeddings=True)
    assert model.text_model.embeddings.token_embedding.weight.requires_grad
    model.save_pretrained(tmp_path)
    again = TCCLIP.from_pretrained(tmp_path)
    assert again.config.prompting == "described_ensemble" and again.config.reference_tokens == "window"
    assert again.text_model.embeddings.token_embedding.weight.requires_grad


def test_wrong_texts_are_one_sentence(make):
    model = make("described_ensemble")
    with pytest.raises(ValueError, match=r"^The text 'a .* x\. x: y .*' needs 78 tokens, .* takes 77: shorten it\.$"):
        model.set_class_names(["x: " + "y " * 40])
    with pytest.raises(ValueError, match=r"Class tokens are \(Y, L\).*not \(2, 3, 4\)"):
        make("template").set_class_tokens(torch.ones(2, 3, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="The token ids of class 1 have no EOS"):
        ids = model.tokenizer(["a"] * 2, return_tensors="pt")["input_ids"].expand(3, 2, -1).clone()
        ids[2, 1] = ids[0, 0, 0]
        model.set_class_tokens(ids)
