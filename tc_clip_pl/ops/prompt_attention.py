"""The EOS query of the last text layer over [SOS | prompts of video b | rest of class c], for all (b, c) at once.

Attending for every pair would cost B * Y passes over all L keys. But keys and values of SOS and of the class tokens do
not depend on the video, and those of the prompts do not depend on the class. So `attend_classes` attends over the
class part once per class, and `merge_prompts` adds M scores per pair.

The merge is exact. A softmax over joined keys is the average of the softmaxes over the two parts, weighted by
their sums of exponentials. The class part enters as one more key whose score is the logarithm of its sum.
"""

import torch
from torch import Tensor


def attend_classes(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Attend from each class's EOS query over the keys that no video changes.

    Args:
        query: (Y, H, d), already scaled.
        key: (Y, L, H, d).
        value: (Y, L, H, d).
        visible: (Y, L) bool, False at the prompt positions and after EOS.

    Returns:
        output: (Y, H, d), the attention over the visible keys alone.
        log_sum_exp: (Y, H) of their scores, in float32 or better.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    scores = torch.einsum("yhd,ylhd->yhl", query, key).to(dtype).masked_fill(~visible[:, None], float("-inf"))
    output = torch.einsum("yhl,ylhd->yhd", scores.softmax(-1).to(value.dtype), value)
    return output, scores.logsumexp(-1)


def merge_prompts(
    query: Tensor, class_output: Tensor, class_log_sum_exp: Tensor, prompt_key: Tensor, prompt_value: Tensor
) -> Tensor:
    """Add the prompt keys of every video to the attention of every class.

    Args:
        query: (Y, H, d), already scaled.
        class_output: (Y, H, d) of `attend_classes`.
        class_log_sum_exp: (Y, H) of `attend_classes`.
        prompt_key: (B, M, H, d).
        prompt_value: (B, M, H, d).

    Returns:
        (B, Y, H, d), the attention over all keys.
    """
    prompt_scores = torch.einsum("yhd,bmhd->byhm", query, prompt_key).to(class_log_sum_exp.dtype)
    class_scores = class_log_sum_exp.expand(prompt_key.shape[0], -1, -1).unsqueeze(-1)  # (B, Y, H, 1)
    # Joining the scores before the softmax also keeps it stable: the larger of the two parts sets the maximum.
    weights = torch.cat((class_scores, prompt_scores), dim=-1).softmax(-1).to(prompt_value.dtype)  # (B, Y, H, 1 + M)
    prompt_output = torch.einsum("byhm,bmhd->byhd", weights[..., 1:], prompt_value)
    return weights[..., :1] * class_output + prompt_output
