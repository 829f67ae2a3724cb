"""Which tokens of a layer each choice returns."""

import torch

from tc_clip_pl.ops.prompting_tokens import PATCH_FREE, PROMPTING_TOKENS

HIDDEN_STATES, CONTEXT_TOKENS = torch.randn(2, 3, 5, 4), torch.randn(2, 6, 4)  # (B, T, N, D), (B, K, D)


def test_context_tokens_are_returned_as_they_are():
    assert PROMPTING_TOKENS["context"](HIDDEN_STATES, CONTEXT_TOKENS) is CONTEXT_TOKENS


def test_cls_is_the_first_token_of_every_frame():
    tokens = PROMPTING_TOKENS["cls"](HIDDEN_STATES, None)
    assert torch.equal(tokens, torch.stack([frame[0] for video in HIDDEN_STATES for frame in video]).view(2, 3, 4))


def test_pooled_is_the_mean_of_the_patches_of_every_frame():
    tokens = PROMPTING_TOKENS["pooled"](HIDDEN_STATES, None)
    expected = torch.stack([sum(frame[1:]) / 4 for video in HIDDEN_STATES for frame in video]).view(2, 3, 4)
    torch.testing.assert_close(tokens, expected)


def test_patch_free_choices_do_not_need_the_patches():
    cls_alone = HIDDEN_STATES[:, :, :1]
    for choose in PATCH_FREE:
        assert torch.equal(choose(cls_alone, CONTEXT_TOKENS), choose(HIDDEN_STATES, CONTEXT_TOKENS))
