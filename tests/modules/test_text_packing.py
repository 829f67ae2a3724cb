"""Several texts in one row of the text encoder against one row for each text."""

import pytest
import torch

from tc_clip_pl.modules.backbone.interface import call_layer, run_layers
from tc_clip_pl.modules.text_packing import ROW_LENGTH, run_layers_packed


def states_of(model, num_texts, num_shared, own_length):
    width = model.config.text_config.hidden_size
    shared = torch.randn(num_shared, width, dtype=torch.float64)
    own = torch.randn(num_texts, own_length, width, dtype=torch.float64)
    return torch.cat((shared.expand(num_texts, -1, -1), own), dim=1).requires_grad_()


@pytest.mark.parametrize("num_texts, num_shared, own_length", [(40, 5, 7), (17, 3, 10), (1, 5, 7), (2, 2, 63)])
def test_equals_one_row_for_each_text(tiny_model, num_texts, num_shared, own_length):
    text_model, stop = tiny_model.text_model, len(tiny_model.text_model.encoder.layers) - 1
    states = states_of(tiny_model, num_texts, num_shared, own_length)
    weights = torch.randn_like(states)
    plain = run_layers(text_model, states, 0, stop)
    packed = run_layers_packed(text_model, states, num_shared, stop)
    torch.testing.assert_close(packed, plain, rtol=1e-10, atol=1e-10)
    # What texts share is read from one of them, so that only the sum of their gradients is the same.
    gradients = [torch.autograd.grad((result * weights).sum(), states)[0] for result in (plain, packed)]
    shared = [gradient[:, :num_shared].sum(0) for gradient in gradients]
    torch.testing.assert_close(shared[1], shared[0], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(gradients[1][:, num_shared:], gradients[0][:, num_shared:], rtol=1e-9, atol=1e-10)


def test_rows_hold_several_texts_and_are_not_too_long(tiny_model):
    seen = []

    def run_layer(layer, states, mask):
        seen.append(states.shape[:2])
        return call_layer(layer, states, mask)

    run_layers_packed(tiny_model.text_model, states_of(tiny_model, 40, 5, 7), 5, 1, run_layer)
    assert seen == [(3, 124)] and ROW_LENGTH - 7 < 124 <= ROW_LENGTH
