"""Learnable prompt vectors in place of "a photo of a" (Sec. 2.4, Appendix B)."""

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.config import TCCLIPConfig


class PromptLearner(nn.Module):
    """Turns "{prompt template} {class name}." into [SOS | M prompt vectors | class name | "." | EOS]."""

    def __init__(self, config: TCCLIPConfig) -> None:
        super().__init__()
        self.template_length = len(config.prompt_token_ids)
        vectors = torch.empty(config.num_prompt_vectors, config.text_config.hidden_size)
        self.prompt_vectors = nn.Parameter(nn.init.normal_(vectors, std=0.02))

    @torch.no_grad()
    def initialize_from_template(self, template_embeds: Tensor) -> None:
        """Copy the template's token embeddings, (M', D), into the first vectors; any further ones stay random."""
        count = min(len(self.prompt_vectors), len(template_embeds))
        self.prompt_vectors[:count] = template_embeds[:count]

    def forward(self, token_embeds: Tensor) -> Tensor:
        """Swap the template for the prompt vectors.

        Args:
            token_embeds: (Y, L, D), of "{template} {class name}.".

        Returns:
            (Y, L - M' + M, D), where M' is the length of the template.
        """
        prompts = self.prompt_vectors.expand(token_embeds.shape[0], -1, -1)
        return torch.cat((token_embeds[:, :1], prompts, token_embeds[:, 1 + self.template_length :]), dim=1)
