"""One vision layer: attend, select seeds, summarize, feed forward (Fig. 4, Eqs. 6 and 9-11)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import EncoderLayer
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import LayerOutput
from tc_clip_pl.modules.recomputation import keep_choice
from tc_clip_pl.modules.tc_attention import TCAttention
from tc_clip_pl.ops.aggregation import AGGREGATORS, Grouping, Seeds
from tc_clip_pl.ops.deep_prompts import append_prompts
from tc_clip_pl.ops.frame_attention import FrameAttention
from tc_clip_pl.ops.precision import without_autocast
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS
from tc_clip_pl.ops.tokens import gather_tokens, source_masks


class TCEncoderLayer(EncoderLayer):
    """The backbone's vision layer with Temporal Contextualization; its parameters keep their names.

    Args:
        config: Configuration of the whole model.
        layer: Number of the layer, counted from 1.

    Attributes:
        deep_prompts: (n, D), learned vectors among the keys of all frames, or None.
        match_tokens: A kernel for bipartite matching (`use_kernels`), or None.
    """

    def __init__(self, config: TCCLIPConfig, layer: int) -> None:
        super().__init__(config.vision_config)
        self.self_attn = TCAttention(config, layer)
        self.deep_prompts = None
        if config.num_deep_prompts:
            self.deep_prompts = nn.Parameter(torch.randn(config.num_deep_prompts, self.embed_dim) * 0.02)
        self.makes_context = config.makes_context(layer)
        self.num_seeds = config.num_seeds
        self.num_context_tokens = config.num_context_tokens
        self.merges_per_round = config.merges_per_round
        self.select_seeds = SEED_SELECTORS[config.seed_selection]
        self.aggregate = AGGREGATORS[config.aggregation]
        self.match_tokens: Callable[[Tensor, int, int], Tensor] | None = None

    def forward(
        self,
        hidden_states: Tensor,
        context_tokens: Tensor | None,
        cls_only: bool = False,
        return_sources: bool = False,
        return_attentions: bool = False,
    ) -> LayerOutput:
        """Run the layer.

        Args:
            hidden_states: (B, T, N, D) tokens of every frame, [CLS] first.
            context_tokens: (B, K, D) of the previous layer, or None.
            cls_only: Feed only the [CLS] tokens forward, which is all that the last layer needs. Of the patches, only
                seeds attend then: they become context tokens, and all others are keys and values alone.
            return_sources: Also return the positions merged into each context token.
            return_attentions: Also return the attention weights; slower, and the output stays the same.
        """
        shared = self._shared_tokens(context_tokens, hidden_states.shape[0])
        normed_shared = None if shared is None else self.layer_norm1(shared)
        attention = self.self_attn.project(self.layer_norm1(hidden_states), normed_shared, cls_only)
        indices = self._select_seeds(attention) if self.makes_context else None  # (B, T, S)
        if cls_only:  # no other patch is read from here on: keys and values are all that it adds
            hidden_states = _cls_and_seeds(hidden_states, indices)
            attended = self.self_attn(attention, self.layer_norm1(hidden_states))
        else:
            attended = self.self_attn(attention)
        interim = hidden_states + attended  # z-hat of Eq. 9
        hidden_states = self.feed_forward(interim[:, :, :1] if cls_only else interim)  # Eq. 10
        context_tokens = sources = attentions = None
        if indices is not None:
            # Seeds are taken from z-hat, before the MLP, and the merged tokens then pass through the same MLP.
            seeds = interim[:, :, 1:] if cls_only else gather_tokens(interim, 1 + indices)  # past [CLS]
            seeds = seeds.flatten(1, 2)  # (B, T * S, D), frame by frame, best seed first: matching uses the order
            grouping = self._group_seeds(seeds, indices, attention)
            context_tokens = self.feed_forward(grouping.average(seeds))  # Eqs. 6 and 11
            if return_sources:
                sources = source_masks(grouping.groups, indices, grouping.count, attention.num_tokens - 1)
        if return_attentions:
            weights = attention.weights()
            attentions = weights if self.deep_prompts is None else weights[..., : -len(self.deep_prompts)]
        return LayerOutput(hidden_states, context_tokens, sources, attentions)

    def _shared_tokens(self, context_tokens: Tensor | None, num_videos: int) -> Tensor | None:
        """Return what all frames attend to, (B, K + n, D): context tokens, if this layer reads them, and prompts."""
        context = context_tokens if self.self_attn.attends_to_others else None
        if self.deep_prompts is None:
            return context
        if context is None:
            return self.deep_prompts.expand(num_videos, -1, -1)
        return append_prompts(context, self.deep_prompts)

    # Choices have no gradient, and under autocast rounding would decide them: only the seeds themselves carry gradient.

    def _select_seeds(self, attention: FrameAttention) -> Tensor:
        """Select the seeds of every frame, (B, T, S) patch indices."""
        with torch.no_grad(), without_autocast(attention.cls_query):
            return keep_choice(lambda: self.select_seeds(attention, self.num_seeds, self.training))

    def _group_seeds(self, tokens: Tensor, indices: Tensor, attention: FrameAttention) -> Grouping:
        """Find the context token of each of the (B, T * S, D) seeds."""
        match = None if tokens.dtype == torch.float64 else self.match_tokens  # the kernel has the accuracy of float32
        seeds = Seeds(tokens, indices, attention, match)
        with torch.no_grad(), without_autocast(tokens):
            return keep_choice(lambda: self.aggregate(seeds, self.num_context_tokens, self.merges_per_round))


def _cls_and_seeds(hidden_states: Tensor, indices: Tensor | None) -> Tensor:
    """Leave [CLS] and the seeds, if there are any, of every frame: (B, T, 1 + S, D)."""
    cls_tokens = hidden_states[:, :, :1]
    return cls_tokens if indices is None else torch.cat((cls_tokens, gather_tokens(hidden_states, 1 + indices)), dim=2)
