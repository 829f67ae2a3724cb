"""Every trainable parameter gets a gradient in every design, so that DDP needs no `find_unused_parameters`."""

from types import SimpleNamespace

import pytest
import torch

from tc_clip_pl import TCCLIP
from tc_clip_pl.training import TCCLIPModule

CONTEXT = {"num_context_tokens": 6, "merges_per_round": 4}
CLUSTERS = {"num_context_tokens": 6}
DESIGNS = {
    "paper": CONTEXT,
    "without bias": {**CONTEXT, "local_global_bias": False},
    "joint positions": {**CONTEXT, "positional_embedding": "joint"},
    "one layer": {**CONTEXT, "tc_layers": [2]},
    "frame-wise": {"reference_tokens": "none", "prompting": "template"},
    "learnable": {**CONTEXT, "prompting": "learnable"},
    "template": {**CONTEXT, "prompting": "template"},
    "late fusion": {**CONTEXT, "prompting": "late_fusion"},
    "late fusion of cls": {"prompting": "late_fusion", "prompting_tokens": "cls", "reference_tokens": "none"},
    "cls tokens": {**CONTEXT, "prompting_tokens": "cls"},
    "pooled tokens": {**CONTEXT, "prompting_tokens": "pooled"},
    "early text layer": {**CONTEXT, "prompting_text_layer": 2},
    "first text layer": {**CONTEXT, "prompting_text_layer": 1},
    "early vision layer": {**CONTEXT, "prompting_vision_layer": 2},
    "first vision layer": {**CONTEXT, "prompting_vision_layer": 1},
    "neighbors": {"reference_tokens": "adjacent", "prompting_tokens": "cls"},
    "all frames": {"reference_tokens": "all", "prompting_tokens": "cls"},
    "k-means": {**CLUSTERS, "aggregation": "kmeans"},
    "seeds as they are": {"aggregation": "none"},
}


@pytest.mark.parametrize("design", DESIGNS)
def test_no_trainable_parameter_is_unused(tiny_clip_folder, design):
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, **DESIGNS[design])
    model.set_class_names(["brush hair", "cartwheel", "ride bike"])
    module = TCCLIPModule(model.train())
    module.train_metrics = torch.nn.ModuleDict()
    module._trainer = SimpleNamespace(train_dataloader=None)
    batch = SimpleNamespace(video=torch.randn(2, 1, 4, 3, 32, 32), label=torch.tensor([0, 2]))
    module.training_step(batch, 0).backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
