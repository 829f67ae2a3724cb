"""Every number of the paper, beside CLIP's own."""

from transformers import CLIPConfig

from tc_clip_pl.ops.seed_selection import count_seeds

POSITIONAL_EMBEDDINGS = ("space", "joint")


class TCCLIPConfig(CLIPConfig):
    """A `CLIPConfig` with the choices of TC-CLIP; the defaults are the paper's.

    Args:
        num_frames: T. Fixes the size of the joint positional embedding; otherwise any number runs.
        seed_ratio: alpha, the share of a frame's patches that become seeds (Table 9b).
        num_context_tokens: k (Table 9c).
        merges_per_round: r of the bipartite matching (Appendix G.2).
        positional_embedding: "space" shares CLIP's table over frames, "joint" has one table per frame (Table 9a).
        local_global_bias: whether the bias of Eq. 8 is learnt (Table 9a).
        tc_layers: the vision layers, counted from 1, that attend to context tokens; None means all but the first,
            which has no layer before it. TC-CLIP§ of Table 6 is (4, 8, 12).
        num_prompt_vectors: M (Table 13a).
        prompt_token_ids: token ids of the prompt template that the vectors replace and start from: "a photo of a" in
            CLIP's vocabulary. `TCCLIP.from_pretrained` fills in those of the model's tokenizer.
        clip_name_or_path: the CLIP that the model was made from, which weight-space ensembling goes back to.

    Raises:
        ValueError: where a number is out of range or too few seeds are left for the context tokens.
    """

    model_type = "tc_clip"

    num_frames: int = 16
    seed_ratio: float = 0.3
    num_context_tokens: int = 96
    merges_per_round: int = 100
    positional_embedding: str = "space"
    local_global_bias: bool = True
    tc_layers: list[int] | tuple[int, ...] | None = None
    num_prompt_vectors: int = 4
    prompt_token_ids: list[int] | tuple[int, ...] = (320, 1125, 539, 320)
    clip_name_or_path: str | None = None

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        self._check_ranges()
        self._check_layers()
        self.check_num_frames(self.num_frames)

    @property
    def num_patches(self) -> int:
        """P, patches of one frame."""
        return (self.vision_config.image_size // self.vision_config.patch_size) ** 2

    @property
    def num_seeds(self) -> int:
        """S, seeds of one frame."""
        return count_seeds(self.num_patches, self.seed_ratio)

    def attends_to_context(self, layer: int) -> bool:
        """Whether a vision layer, counted from 1, has context tokens among its keys (Eq. 9)."""
        return layer > 1 if self.tc_layers is None else layer in self.tc_layers

    def makes_context(self, layer: int) -> bool:
        """Whether a vision layer, counted from 1, makes context tokens: for the next layer, or for the prompts."""
        return layer == self.vision_config.num_hidden_layers or self.attends_to_context(layer + 1)

    def check_num_frames(self, num_frames: int) -> None:
        """Raises ValueError where a video of that many frames leaves fewer seeds than context tokens."""
        if num_frames * self.num_seeds < self.num_context_tokens:
            raise ValueError(
                f"{num_frames} frames x {self.num_seeds} seeds (seed_ratio {self.seed_ratio} of {self.num_patches} "
                f"patches) are fewer than num_context_tokens={self.num_context_tokens}: lower that or raise seed_ratio."
            )

    def _check_ranges(self) -> None:
        if self.positional_embedding not in POSITIONAL_EMBEDDINGS:
            raise ValueError(
                f"positional_embedding is {self.positional_embedding!r}: choose {' or '.join(POSITIONAL_EMBEDDINGS)}."
            )
        if not 0 < self.seed_ratio <= 1:
            raise ValueError(f"seed_ratio is {self.seed_ratio}: give a share of the patches above 0 and up to 1.")
        for name in ("num_frames", "num_context_tokens", "merges_per_round", "num_prompt_vectors"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a whole number from 1.")

    def _check_layers(self) -> None:
        last = self.vision_config.num_hidden_layers
        wrong = [layer for layer in self.tc_layers or () if not 2 <= layer <= last]
        if wrong:
            raise ValueError(
                f"tc_layers holds {wrong}: name vision layers from 2 (the first that has one before it) to {last}."
            )
