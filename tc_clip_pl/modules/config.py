"""Every number and choice of the paper, beside CLIP's own."""

from typing import Literal

from transformers import CLIPConfig

from tc_clip_pl.modules.design_space import check_design
from tc_clip_pl.modules.text_prompting import PROMPTINGS
from tc_clip_pl.ops.aggregation import AGGREGATORS
from tc_clip_pl.ops.reference_tokens import REFERENCE_TOKENS
from tc_clip_pl.ops.seed_selection import count_seeds


class TCCLIPConfig(CLIPConfig):
    """A `CLIPConfig` with the choices of TC-CLIP; the defaults are the paper's.

    Args:
        num_frames: T. Fixes the size of the joint positional embedding; otherwise any number runs.
        positional_embedding: "space" shares CLIP's table over frames, "joint" has one table per frame (Table 9a).
        reference_tokens: what a frame attends to beside itself, a name of `REFERENCE_TOKENS` (Table 1).
        tc_layers: the vision layers, counted from 1, that attend to reference tokens; None means all but the first,
            which has no layer before it. TC-CLIP§ of Table 6 is (4, 8, 12).
        local_global_bias: whether the bias of Eq. 8 is learnt (Table 9a).
        seed_selection: which patches become seeds, a name of `SEED_SELECTORS` (Table 8a).
        seed_ratio: alpha, the share of a frame's patches that become seeds (Table 9b).
        aggregation: how seeds become context tokens, a name of `AGGREGATORS` (Tables 1 and 8b).
        num_context_tokens: k (Table 9c).
        merges_per_round: r of the bipartite matching (Appendix G.2).
        prompting: how class names become text embeddings, a name of `PROMPTINGS` (Table 10).
        prompting_tokens: which vision tokens the prompting reads, a name of `PROMPTING_TOKENS` (Table 13b).
        prompting_text_layer: the text layer, counted from 1, before which the prompting runs; None is the last
            (Table 13c).
        prompting_vision_layer: the vision layer, counted from 1, whose tokens it reads; None is the last (Table 13c).
        prompting_init: "clip" copies the last text layer, "random" draws anew (Table 13d).
        num_prompt_vectors: M (Table 13a).
        prompt_init: "template" starts the prompt vectors from "a photo of a", "random" from N(0, 0.02) (Table 13d).
        prompt_token_ids: token ids of the prompt template that the vectors replace and start from: "a photo of a" in
            CLIP's vocabulary. `TCCLIP.from_pretrained` fills in those of the model's tokenizer.
        clip_name_or_path: the CLIP that the model was made from, which weight-space ensembling goes back to.

    Raises:
        ValueError: where a name is unknown, a number out of range, two choices do not go together, or an option is set
            that no choice reads.
    """

    model_type = "tc_clip"

    num_frames: int = 16
    positional_embedding: Literal["space", "joint"] = "space"
    reference_tokens: str = "context"
    tc_layers: list[int] | tuple[int, ...] | None = None
    local_global_bias: bool = True
    seed_selection: str = "averaged_cls_attention"
    seed_ratio: float = 0.3
    aggregation: str = "bipartite"
    num_context_tokens: int = 96
    merges_per_round: int = 100
    prompting: str = "video_conditional"
    prompting_tokens: str = "context"
    prompting_text_layer: int | None = None
    prompting_vision_layer: int | None = None
    prompting_init: Literal["clip", "random"] = "clip"
    num_prompt_vectors: int = 4
    prompt_init: Literal["template", "random"] = "template"
    prompt_token_ids: list[int] | tuple[int, ...] = (320, 1125, 539, 320)
    clip_name_or_path: str | None = None

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        check_design(self)
        self.check_num_frames(self.num_frames)

    # The video

    @property
    def num_patches(self) -> int:
        """P, patches of one frame."""
        return (self.vision_config.image_size // self.vision_config.patch_size) ** 2

    @property
    def num_seeds(self) -> int:
        """S, seeds of one frame."""
        return self.num_patches if self.seed_selection == "none" else count_seeds(self.num_patches, self.seed_ratio)

    def attends_to_others(self, layer: int) -> bool:
        """Whether a vision layer, counted from 1, has reference tokens among its keys (Eq. 9)."""
        if self.reference_tokens == "none":
            return False
        return layer > 1 if self.tc_layers is None else layer in self.tc_layers

    def makes_context(self, layer: int) -> bool:
        """Whether a vision layer, counted from 1, makes context tokens: for the next layer, or for the prompting."""
        for_next = layer < self.vision_config.num_hidden_layers and self.attends_to_others(layer + 1)
        for_prompting = self.reads_vision and self.prompting_tokens == "context" and layer == self.vision_layer
        return self.reference_tokens == "context" and (for_next or for_prompting)

    def context_count(self, num_frames: int) -> int:
        """K of a video of that many frames: all seeds where the aggregation keeps them."""
        reads_count = "num_context_tokens" in AGGREGATORS.reads(self.aggregation)
        return self.num_context_tokens if reads_count else num_frames * self.num_seeds

    def check_num_frames(self, num_frames: int) -> None:
        """Raises ValueError where videos of that many frames cannot be encoded."""
        REFERENCE_TOKENS[self.reference_tokens](num_frames, self.num_patches + 1)
        if self.reference_tokens == "context" and num_frames * self.num_seeds < self.context_count(num_frames):
            raise ValueError(
                f"{num_frames} frames x {self.num_seeds} seeds (seed_ratio {self.seed_ratio} of {self.num_patches} "
                f"patches) are fewer than num_context_tokens={self.num_context_tokens}: lower that or raise seed_ratio."
            )

    # The text

    @property
    def has_prompt_vectors(self) -> bool:
        """Whether the prompt template is learnt."""
        return "num_prompt_vectors" in PROMPTINGS.reads(self.prompting)

    @property
    def reads_vision(self) -> bool:
        """Whether the text side reads vision tokens, by a prompting block."""
        return "prompting_tokens" in PROMPTINGS.reads(self.prompting)

    @property
    def vision_layer(self) -> int:
        """The vision layer, counted from 1, whose tokens the prompting reads."""
        return self.prompting_vision_layer or self.vision_config.num_hidden_layers

    @property
    def text_layer(self) -> int:
        """The text layer, counted from 1, before which the prompting runs."""
        return self.prompting_text_layer or self.text_config.num_hidden_layers
