"""Weight-space interpolation."""

import pytest
import torch

from tc_clip_pl.ops.interpolation import interpolate_state_dicts


def _state_dict(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(3, 4, generator=generator), "b": torch.randn((), generator=generator)}


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
def test_matches_formula(weight):
    clip, fine_tuned = _state_dict(0), _state_dict(1)
    for name, value in interpolate_state_dicts(clip, fine_tuned, weight).items():
        expected = (1 - weight) * clip[name].double() + weight * fine_tuned[name].double()
        torch.testing.assert_close(value.double(), expected, rtol=0, atol=1e-6)


def test_exact_at_both_ends_and_where_weights_agree():
    clip, fine_tuned = _state_dict(0), _state_dict(1)
    fine_tuned["b"] = clip["b"].clone()
    assert all(torch.equal(v, clip[k]) for k, v in interpolate_state_dicts(clip, fine_tuned, 0.0).items())
    assert all(torch.equal(v, fine_tuned[k]) for k, v in interpolate_state_dicts(clip, fine_tuned, 1.0).items())
    assert torch.equal(interpolate_state_dicts(clip, fine_tuned, 0.7)["b"], clip["b"])


def test_keeps_dtype_and_leaves_inputs_alone():
    clip = _state_dict(0)
    fine_tuned = {name: value.to(torch.bfloat16) for name, value in _state_dict(1).items()}
    before = {name: value.clone() for name, value in fine_tuned.items()}
    mixed = interpolate_state_dicts(clip, fine_tuned, 0.5)
    assert all(value.dtype == torch.bfloat16 for value in mixed.values())
    mixed["a"].zero_()
    assert all(torch.equal(fine_tuned[name], before[name]) for name in before)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_raises_on_weight_outside_unit_interval(weight):
    with pytest.raises(ValueError, match="between 0"):
        interpolate_state_dicts(_state_dict(0), _state_dict(1), weight)


def test_raises_on_different_names_or_shapes():
    clip, fine_tuned = _state_dict(0), _state_dict(1)
    with pytest.raises(ValueError, match="extra"):
        interpolate_state_dicts(clip, {**fine_tuned, "extra": torch.zeros(1)}, 0.5)
    more = {f"extra{n}": torch.zeros(1) for n in range(6)}
    with pytest.raises(ValueError, match=r"6 weights .*extra3, extra4\)"):
        interpolate_state_dicts(clip, {**fine_tuned, **more}, 0.5)
    with pytest.raises(ValueError, match=r"a is \(3, 4\) in CLIP but \(2, 2\)"):
        interpolate_state_dicts(clip, {**fine_tuned, "a": torch.zeros(2, 2)}, 0.5)
