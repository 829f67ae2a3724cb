"""One of two processes: the gradients of its share of a batch, averaged, against those of the whole batch."""

from types import SimpleNamespace

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tc_clip_pl.checkpoints.tiny_clip import build_random_clip, make_tiny_tokenizer, tiny_clip_config
from tc_clip_pl.training.pretraining import ContrastivePretraining, contrastive_loss

TEXTS = ["a red disc", "a blue square moving left", "two discs", "a star"]


class Step(torch.nn.Module):
    """Runs `training_step` as Lightning's DDP strategy does."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, batch):
        return self.module.training_step(batch, 0)


def main(join):
    torch.manual_seed(0)
    pixels = torch.randn(4, 3, 16, 16)
    tokenizer = make_tiny_tokenizer(TEXTS)
    tokens = tokenizer(TEXTS, return_tensors="pt", padding=True)["input_ids"]
    whole, shared = (build_random_clip(tiny_clip_config(tokenizer, image_size=16, width=32)).double() for _ in range(2))
    output = whole(tokens, pixels.double())
    loss = contrastive_loss(output.image_embeds, output.text_embeds, whole.logit_scale)
    loss.backward()

    join()
    mine = slice(2 * distributed.get_rank(), 2 * distributed.get_rank() + 2)
    step = DistributedDataParallel(Step(ContrastivePretraining(shared)))
    loss_of_both = step(SimpleNamespace(pixels=pixels[mine].double(), tokens=tokens[mine]))
    loss_of_both.backward()
    torch.testing.assert_close(loss_of_both, loss)
    for (name, expected), parameter in zip(whole.named_parameters(), shared.parameters(), strict=True):
        assert expected.grad is not None, name
        torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-9, atol=1e-12, msg=name)
