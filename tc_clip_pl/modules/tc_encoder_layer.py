"""One vision layer: attend, pick seeds, summarize, feed forward (Fig. 4, Eqs. 6 and 9-11)."""

import torch
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import LayerOutput
from tc_clip_pl.modules.tc_attention import TCAttention
from tc_clip_pl.ops.aggregation import AGGREGATORS, Grouping, Seeds
from tc_clip_pl.ops.frame_attention import FrameAttention
from tc_clip_pl.ops.precision import without_autocast
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS
from tc_clip_pl.ops.tokens import gather_tokens, source_masks


class TCEncoderLayer(CLIPEncoderLayer):
    """CLIP's vision layer with Temporal Contextualization; CLIP's parameters keep their names.

    Args:
        config: of the whole model.
        layer: its number, counted from 1.
    """

    def __init__(self, config: TCCLIPConfig, layer: int) -> None:
        super().__init__(config.vision_config)
        self.self_attn = TCAttention(config, layer)
        self.makes_context = config.makes_context(layer)
        self.num_seeds = config.num_seeds
        self.num_context_tokens = config.num_context_tokens
        self.merges_per_round = config.merges_per_round
        self.select_seeds = SEED_SELECTORS[config.seed_selection]
        self.aggregate = AGGREGATORS[config.aggregation]

    def forward(
        self,
        hidden_states: Tensor,
        context_tokens: Tensor | None,
        cls_only: bool = False,
        return_sources: bool = False,
        return_attentions: bool = False,
    ) -> LayerOutput:
        """Runs the layer.

        Args:
            hidden_states: (B, T, N, D) tokens of every frame, [CLS] first.
            context_tokens: (B, K, D) of the layer before, or None.
            cls_only: feed only the [CLS] tokens forward, which is all that the last layer needs.
            return_sources: also return the positions merged into each context token.
            return_attentions: also return the attention weights; slower, and the output stays the same.
        """
        normed_context = None if context_tokens is None else self.layer_norm1(context_tokens)
        attended, attention = self.self_attn(self.layer_norm1(hidden_states), normed_context)
        interim = hidden_states + attended  # z-hat of Eq. 9
        output = LayerOutput(self._feed_forward(interim[:, :, :1] if cls_only else interim))  # Eq. 10
        if self.makes_context:
            seeds, grouping = self._group_seeds(interim, attention)
            output.context_tokens = self._feed_forward(grouping.average(seeds.tokens))  # Eqs. 6 and 11
            if return_sources:
                num_patches = interim.shape[2] - 1
                output.sources = source_masks(grouping.groups, seeds.indices, grouping.count, num_patches)
        if return_attentions:
            output.attentions = attention.weights()
        return output

    def _group_seeds(self, interim: Tensor, attention: FrameAttention) -> tuple[Seeds, Grouping]:
        """The seeds of z-hat, and the context token of each; the choice has no gradient."""
        with torch.no_grad(), without_autocast(interim):
            indices = self.select_seeds(attention, self.num_seeds, self.training)  # (B, T, S)
        tokens = gather_tokens(interim[:, :, 1:], indices).flatten(1, 2)  # (B, T * S, D)
        seeds = Seeds(tokens, indices, attention)
        with torch.no_grad(), without_autocast(interim):
            return seeds, self.aggregate(seeds, self.num_context_tokens, self.merges_per_round)

    def _feed_forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.mlp(self.layer_norm2(tokens))
