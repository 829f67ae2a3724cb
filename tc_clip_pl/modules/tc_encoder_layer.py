"""One vision layer: attend, pick seeds, summarize, feed forward (Fig. 4, Eqs. 6 and 9-11)."""

from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import LayerOutput
from tc_clip_pl.modules.tc_attention import TCAttention
from tc_clip_pl.ops.aggregation.bipartite import bipartite_soft_matching
from tc_clip_pl.ops.seed_selection import select_seeds
from tc_clip_pl.ops.tokens import gather_tokens, source_masks


class TCEncoderLayer(CLIPEncoderLayer):
    """CLIP's vision layer with Temporal Contextualization; CLIP's parameters keep their names.

    Args:
        config: of the whole model.
        layer: its number, counted from 1.
    """

    def __init__(self, config: TCCLIPConfig, layer: int) -> None:
        super().__init__(config.vision_config)
        self.attends_to_context = config.attends_to_context(layer)
        self.makes_context = config.makes_context(layer)
        self.self_attn = TCAttention(config.vision_config, config.local_global_bias and self.attends_to_context)
        self.num_seeds = config.num_seeds
        self.num_context_tokens = config.num_context_tokens
        self.merges_per_round = config.merges_per_round

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
            return_attentions: also return the attention weights.
        """
        if not self.attends_to_context:
            context_tokens = None
        normed_context = None if context_tokens is None else self.layer_norm1(context_tokens)
        attended, cls_attention, attentions = self.self_attn(
            self.layer_norm1(hidden_states), normed_context, return_attentions
        )
        interim = hidden_states + attended  # z-hat of Eq. 9
        context, sources = (
            self._summarize(interim, cls_attention, return_sources) if self.makes_context else (None, None)
        )
        return LayerOutput(
            hidden_states=self._feed_forward(interim[:, :, :1] if cls_only else interim),  # Eq. 10
            context_tokens=None if context is None else self._feed_forward(context),  # Eq. 11
            sources=sources,
            attentions=attentions,
        )

    def _summarize(self, interim: Tensor, cls_attention: Tensor, return_sources: bool) -> tuple[Tensor, Tensor | None]:
        """s-hat of Eq. 6, (B, K, D), and where asked for its sources, (B, K, T * P)."""
        seed_indices = select_seeds(cls_attention, self.num_seeds)  # (B, T, S)
        seeds = gather_tokens(interim[:, :, 1:], seed_indices).flatten(1, 2)  # (B, T * S, D)
        context, groups = bipartite_soft_matching(seeds, self.num_context_tokens, self.merges_per_round)
        if not return_sources:
            return context, None
        return context, source_masks(groups, seed_indices, context.shape[1], interim.shape[2] - 1)

    def _feed_forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.mlp(self.layer_norm2(tokens))
