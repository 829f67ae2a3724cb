"""The shipped CLIP of the generated world: made by the code as it is, and as good as its model card says."""

import pytest
import torch

from datamodules import SyntheticDataModule
from datamodules.synthetic.captions import vocabulary_texts
from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.tiny_clip import make_tiny_tokenizer, world_clip_config
from tc_clip_pl.modules.loading import load_tokenizer, read_config
from tc_clip_pl.modules.names import SHIPPED


def test_tokenizer_is_the_one_that_the_command_builds():
    assert load_tokenizer("world").get_vocab() == make_tiny_tokenizer(vocabulary_texts()).get_vocab()


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
def test_sizes_are_those_that_the_command_builds(part):
    built = getattr(world_clip_config(load_tokenizer("world")), part).to_dict()
    stored = read_config("world")[part]
    assert len(stored) > 10
    assert {name: built[name] for name in stored} == stored


def test_model_card_has_license_command_and_limits():
    card = (SHIPPED["world"] / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "tcclip pretrain" in card and "## Limits" in card


@torch.no_grad()
def test_frame_wise_accuracy_is_that_of_the_model_card():
    data = SyntheticDataModule(setting="zero_shot", test_films=4, num_frames=8, image_size=64, num_temporal_views=1)
    data.setup("test")
    model = TCCLIP.from_pretrained("world", num_frames=8, reference_tokens="none", prompting="template")
    top1 = {}
    for test_set, loader in zip(data.test_sets, data.test_dataloader(), strict=True):
        model.set_class_names(test_set.class_names)
        batches = [data.on_after_batch_transfer(batch, 0) for batch in loader]
        right = [model(batch.video.squeeze(1)).logits.argmax(-1) == batch.label for batch in batches]
        top1[test_set.name] = torch.cat(right).float().mean().item()
    # 48 films a test: chance of 0.25 or 0.5 has a standard deviation of 0.06 or 0.07, and the bounds are three of them.
    assert top1["synthetic/static"] > 0.9 and top1["synthetic_unseen/static"] > 0.75
    for dataset in ("synthetic", "synthetic_unseen"):
        assert 0.06 < top1[f"{dataset}/relational"] < 0.44
        assert 0.28 < top1[f"{dataset}/order"] < 0.72
