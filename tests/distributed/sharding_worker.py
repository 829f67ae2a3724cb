"""One of two processes: sharding, the gradient norm and weight-space ensembling against a whole copy."""

from copy import deepcopy
from types import SimpleNamespace

import torch
from torch import distributed
from torch._dynamo.utils import counters

from tc_clip_pl import TCCLIP
from tc_clip_pl.modules.fast_encoder import FastEncoder
from tc_clip_pl.modules.fast_text import FastText
from tc_clip_pl.ops.interpolation import interpolate_state_dicts
from tc_clip_pl.training import WeightSpaceEnsemble
from tc_clip_pl.training.distributed import gather_lists, gradient_norm, is_sharded, local_shard, shard


def main(join, clip_folder):
    join()
    whole, sharded = build_pair(clip_folder)
    check_gradients(whole, sharded)
    check_tracing(whole, sharded)
    check_ensembling(whole, sharded)
    check_dropped_steps(sharded)
    assert gather_lists([distributed.get_rank()]) == [0, 1]


def build_pair(clip_folder):
    """A model whose every parameter has moved away from CLIP, and the same one sharded."""
    torch.manual_seed(0)
    # 3 prompt vectors leave the two processes unequal shards
    model = TCCLIP.from_pretrained(clip_folder, num_frames=4, num_context_tokens=6, num_prompt_vectors=3)
    model.set_class_names(["brush hair", "cartwheel", "ride bike"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    whole, sharded = model.eval(), deepcopy(model)
    shard(sharded, torch.device("cpu"))
    assert is_sharded(sharded) and not is_sharded(whole)
    return whole, sharded


def check_gradients(whole, sharded):
    videos = torch.randn(2, 4, 3, 32, 32)
    whole(videos).logits.square().mean().backward()
    sharded(videos[distributed.get_rank()][None]).logits.square().mean().backward()
    torch.testing.assert_close(gradient_norm(sharded), gradient_norm(whole), rtol=1e-4, atol=0)
    torch.testing.assert_close(sharded.logit_scale.grad, whole.logit_scale.grad, rtol=1e-4, atol=0)


def check_tracing(whole, sharded):
    """The layers of a sharded model are compiled as those of a whole one; without a compiler, which takes minutes."""
    sharded.fast_encoder = FastEncoder(sharded.vision_model, weights_move=True, backend="eager")
    sharded.fast_text = FastText(weights_move=True, backend="eager")
    for model in (whole, sharded):
        model.zero_grad()
        model.train()
    for _ in range(2):
        check_gradients(whole, sharded)
    assert counters["stats"]["unique_graphs"] == 5 and not counters["graph_break"]
    sharded.fast_encoder = sharded.fast_text = None
    for model in (whole, sharded):
        model.eval()


def check_dropped_steps(sharded):
    """A sharded optimizer skips a step whose loss is not finite, as `FiniteLoss` has it do on a GPU."""
    optimizer = torch.optim.AdamW(sharded.parameters(), lr=0.1, fused=True)
    for found, changes in ((1.0, False), (0.0, True)):
        before = [local_shard(parameter).clone() for parameter in sharded.parameters()]
        optimizer.found_inf = torch.tensor(found)
        optimizer.step()
        pairs = zip(before, sharded.parameters(), strict=True)
        assert any(not torch.equal(old, local_shard(new)) for old, new in pairs) == changes


def check_ensembling(whole, sharded):
    fine_tuned, clip = whole.state_dict(), whole.clip_state_dict()
    shared = {name: tensor for name, tensor in clip.items() if name not in whole.new_parameter_names()}
    expected = interpolate_state_dicts(shared, {name: fine_tuned[name] for name in shared}, 0.7)
    ensemble, module = WeightSpaceEnsemble(0.7), SimpleNamespace(model=sharded, weight_sets={})
    for end in (ensemble.on_test_end, fail_inside_forward):
        ensemble.on_test_start(None, module)
        assert_weights(sharded, {**fine_tuned, **expected})
        if end is fail_inside_forward:
            end(sharded)
            ensemble.on_exception(None, module, RuntimeError())
        else:
            end(None, module)
        assert_weights(sharded, fine_tuned)


def fail_inside_forward(model):
    """Leave the model as an error between the gathering of its parameters and their release does."""
    handle = model.vision_model.register_forward_pre_hook(lambda *_: 1 / 0)
    try:
        model(torch.randn(1, 4, 3, 32, 32))
    except ZeroDivisionError:
        handle.remove()


def assert_weights(model, expected):
    for name, value in model.state_dict().items():
        value = value.full_tensor() if hasattr(value, "full_tensor") else value
        assert torch.equal(value, expected[name]), name
