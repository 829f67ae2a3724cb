"""Every number and choice of the paper, next to those of the backbone, and which of them go together."""

import re
from typing import Literal, get_args, get_origin

import tc_clip_pl.modules.prompt_ensembles  # noqa: F401, registers its choices
from tc_clip_pl.modules.backbone.interface import TEMPLATE_TOKEN_IDS
from tc_clip_pl.modules.text_prompting import PROMPTINGS
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig
from tc_clip_pl.ops.aggregation import AGGREGATORS
from tc_clip_pl.ops.frame_pooling import FRAME_POOLINGS
from tc_clip_pl.ops.prompting_tokens import PATCH_FREE, PROMPTING_TOKENS
from tc_clip_pl.ops.reference_tokens import REFERENCE_TOKENS
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS, count_seeds
from tc_clip_pl.registry import Registry, describe_readers, find_read_options

# Option -> the registry that its value is looked up in; import paths are valid too.
NAMED_CHOICES: dict[str, Registry] = {
    registry.option: registry
    for registry in (REFERENCE_TOKENS, SEED_SELECTORS, AGGREGATORS, PROMPTINGS, PROMPTING_TOKENS, FRAME_POOLINGS)
}
ALWAYS_READ = ("reference_tokens", "prompting", "frame_pooling")


class TCCLIPConfig(VideoCLIPConfig):
    """The backbone's configuration with the choices of TC-CLIP; the defaults are the paper's.

    Every named choice also takes the import path of a function of your own, such as ``my_package.my_module.my_choice``.

    Args:
        num_frames: T, frames of a view. It sets the size of a joint positional embedding; otherwise the model takes any
            number.
        positional_embedding: "space" shares CLIP's table over frames, "joint" has one table per frame (Table 9a).
        reference_tokens: What a frame attends to besides itself, a name in `REFERENCE_TOKENS` (Table 1).
        tc_layers: The vision layers, counted from 1, that attend to reference tokens; None means all but the first,
            which has no layer before it. TC-CLIP§ of Table 6 has (4, 8, 12). The reference tokens `window` are those of
            all layers.
        local_global_bias: Whether the bias of Eq. 8 is learned (Table 9a).
        seed_selection: Which patches become seeds, a name in `SEED_SELECTORS` (Table 8a).
        seed_ratio: alpha, the share of a frame's patches that become seeds, in (0, 1] (Table 9b).
        aggregation: How seeds become context tokens, a name in `AGGREGATORS` (Tables 1 and 8b).
        num_context_tokens: K, context tokens of a video (Table 9c).
        merges_per_round: r, merges in one round of the bipartite matching (Appendix G.2).
        num_deep_prompts: n, learned vectors that every vision layer attends to besides, each layer to its own, as in
            ViFi-CLIP; they are neither seeds nor context tokens, and the bias counts them as reference tokens.
        prompting: How class names become text embeddings, a name in `PROMPTINGS` (Table 10).
        class_templates: The texts of `template_ensemble`, with {} in place of the class name; None is Open-VCLIP's 28.
        prompting_tokens: Which vision tokens the prompting reads, a name in `PROMPTING_TOKENS` (Table 13b).
        prompting_text_layer: The text layer, counted from 1, before which the prompting runs; None is the last
            (Table 13c).
        prompting_vision_layer: The vision layer, counted from 1, whose tokens it reads; None is the last (Table 13c).
        prompting_init: "clip" copies the last text layer, "random" starts from random weights (Table 13d).
        num_prompt_vectors: M, learnable vectors in place of the template (Table 13a).
        prompt_init: "template" starts the prompt vectors from "a photo of a", "random" from N(0, 0.02) (Table 13d).
        frame_pooling: How frame embeddings and text embeddings become logits, a name in `FRAME_POOLINGS`.
        train_token_embeddings: Whether the token embedding table is trained, which TC-CLIP leaves as it is.
        prompt_token_ids: Token ids of the prompt template, which the vectors replace and start from. The default is "a
            photo of a" in CLIP's vocabulary; `TCCLIP.from_pretrained` asks the model's tokenizer.

    Raises:
        ValueError: If a name is unknown, a number out of range, two choices contradict each other, or an option is set
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
    num_deep_prompts: int = 0
    prompting: str = "video_conditional"
    class_templates: list[str] | tuple[str, ...] | None = None
    prompting_tokens: str = "context"
    prompting_text_layer: int | None = None
    prompting_vision_layer: int | None = None
    prompting_init: Literal["clip", "random"] = "clip"
    num_prompt_vectors: int = 4
    prompt_init: Literal["template", "random"] = "template"
    frame_pooling: str = "mean_embedding"
    train_token_embeddings: bool = False
    prompt_token_ids: list[int] | tuple[int, ...] = TEMPLATE_TOKEN_IDS

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        _check_choices(self)
        _check_numbers(self)
        _check_combinations(self)
        _check_unread(self)
        self.check_num_frames(self.num_frames)

    # The video

    @property
    def num_patches(self) -> int:
        """P, patches of one frame."""
        return (self.vision_config.image_size // self.vision_config.patch_size) ** 2

    @property
    def num_seeds(self) -> int:
        """S, seeds of one frame: all patches if the selection reads no ratio."""
        reads_ratio = "seed_ratio" in SEED_SELECTORS.reads(self.seed_selection)
        return count_seeds(self.num_patches, self.seed_ratio) if reads_ratio else self.num_patches

    @property
    def num_position_tables(self) -> int:
        """How often the positional embedding holds CLIP's table: once, or once per frame."""
        return self.num_frames if self.positional_embedding == "joint" else 1

    def attends_to_others(self, layer: int) -> bool:
        """Return whether a vision layer, counted from 1, has reference tokens among its keys (Eq. 9)."""
        if "tc_layers" not in REFERENCE_TOKENS.reads(self.reference_tokens):
            return self.reference_tokens != "none"
        return layer > 1 if self.tc_layers is None else layer in self.tc_layers

    def learns_bias(self, layer: int) -> bool:
        """Return whether a vision layer, counted from 1, has the bias of Eq. 8."""
        reads_bias = "local_global_bias" in REFERENCE_TOKENS.reads(self.reference_tokens)
        return self.local_global_bias and reads_bias and self.attends_to_others(layer)

    def makes_context(self, layer: int) -> bool:
        """Return whether the next vision layer or the prompting reads context tokens of a layer, counted from 1."""
        for_next = layer < self.vision_config.num_hidden_layers and self.attends_to_others(layer + 1)
        reads_context = self.reads_vision and "aggregation" in PROMPTING_TOKENS.reads(self.prompting_tokens)
        return self.reference_tokens == "context" and (for_next or (reads_context and layer == self.vision_layer))

    def context_count(self, num_frames: int) -> int:
        """Return K for a video of ``num_frames`` frames: the number of seeds if the aggregation keeps them all."""
        reads_count = "num_context_tokens" in AGGREGATORS.reads(self.aggregation)
        return self.num_context_tokens if reads_count else num_frames * self.num_seeds

    def check_num_frames(self, num_frames: int) -> None:
        """Raise a ValueError if videos of ``num_frames`` frames cannot be encoded."""
        REFERENCE_TOKENS[self.reference_tokens](num_frames, self.num_patches + 1)
        if self.reference_tokens == "context" and num_frames * self.num_seeds < self.context_count(num_frames):
            raise ValueError(
                f"{num_frames} frames x {self.num_seeds} seeds (seed_ratio {self.seed_ratio} of {self.num_patches} "
                f"patches) are fewer than num_context_tokens={self.num_context_tokens}: lower that or raise seed_ratio."
            )

    # The text

    @property
    def has_prompt_vectors(self) -> bool:
        """Whether the prompt template is learned."""
        return "num_prompt_vectors" in PROMPTINGS.reads(self.prompting)

    @property
    def num_added_tokens(self) -> int:
        """By how many tokens the prompt vectors make a text longer than the template does; may be negative."""
        return self.num_prompt_vectors - len(self.prompt_token_ids) if self.has_prompt_vectors else 0

    @property
    def reads_vision(self) -> bool:
        """Whether the text side reads vision tokens, through a prompting block."""
        return "prompting_tokens" in PROMPTINGS.reads(self.prompting)

    @property
    def vision_layer(self) -> int:
        """The vision layer, counted from 1, whose tokens the prompting reads."""
        return self.prompting_vision_layer or self.vision_config.num_hidden_layers

    @property
    def reads_last_patches(self) -> bool:
        """Whether anything reads the patches that leave the last vision layer: only the prompting can."""
        is_last = self.vision_layer == self.vision_config.num_hidden_layers
        return self.reads_vision and is_last and PROMPTING_TOKENS[self.prompting_tokens] not in PATCH_FREE

    @property
    def text_layer(self) -> int:
        """The text layer, counted from 1, before which the prompting runs."""
        return self.prompting_text_layer or self.text_config.num_hidden_layers


def _check_choices(config: TCCLIPConfig) -> None:
    for option, registry in NAMED_CHOICES.items():
        registry[getattr(config, option)]
    fixed = {
        option: get_args(kind) for option, kind in type(config).__annotations__.items() if get_origin(kind) is Literal
    }
    for option, values in fixed.items():
        if getattr(config, option) not in values:
            raise ValueError(f"{option} is {getattr(config, option)!r}: choose {' or '.join(values)}.")


def _check_numbers(config: TCCLIPConfig) -> None:
    if not 0 < config.seed_ratio <= 1:
        raise ValueError(f"seed_ratio is {config.seed_ratio}: give a share of the patches, above 0 and at most 1.")
    for option in ("num_frames", "num_context_tokens", "merges_per_round", "num_prompt_vectors"):
        if getattr(config, option) < 1:
            raise ValueError(f"{option} is {getattr(config, option)}: give a positive whole number.")
    if config.num_deep_prompts < 0:
        raise ValueError(f"num_deep_prompts is {config.num_deep_prompts}: give 0 or a positive whole number.")
    last_vision, last_text = (c.num_hidden_layers for c in (config.vision_config, config.text_config))
    for option, last in (("prompting_vision_layer", last_vision), ("prompting_text_layer", last_text)):
        value = getattr(config, option)
        if value is not None and not 1 <= value <= last:
            raise ValueError(f"{option} is {value}: this CLIP has layers 1 to {last}.")
    wrong = [layer for layer in config.tc_layers or () if not 2 <= layer <= last_vision]
    if wrong or config.tc_layers == []:
        raise ValueError(
            f"tc_layers is {list(config.tc_layers)}: name vision layers from 2, the first that has one before it, "
            f"to {last_vision}."
        )


def _read_options(config: TCCLIPConfig) -> set[str]:
    return find_read_options(NAMED_CHOICES, {name: getattr(config, name) for name in NAMED_CHOICES}, ALWAYS_READ)


def _check_combinations(config: TCCLIPConfig) -> None:
    if "prompting_tokens" in _read_options(config) and config.prompting_tokens == "context" != config.reference_tokens:
        raise ValueError(
            f"prompting {config.prompting!r} reads context tokens, and with reference_tokens "
            f"{config.reference_tokens!r} no layer makes any: set prompting_tokens to cls or pooled."
        )
    if config.num_deep_prompts and REFERENCE_TOKENS[config.reference_tokens](config.num_frames, 2) is not None:
        raise ValueError(
            f"num_deep_prompts={config.num_deep_prompts} are keys that all frames share, and reference_tokens "
            f"{config.reference_tokens!r} gives each frame its own: set it to context or none."
        )
    templates = config.class_templates
    if templates is not None and not (templates and all(re.fullmatch(r"[^{}]*{}[^{}]*", text) for text in templates)):
        raise ValueError(f"class_templates is {list(templates)}: give texts with {{}} in place of the class name.")


def _check_unread(config: TCCLIPConfig) -> None:
    # An option that no choice reads would be ignored without a word, and the run would not be what its author believes.
    conditional = set().union(*(registry.reads(name) for registry in NAMED_CHOICES.values() for name in registry))
    for option in sorted(conditional - _read_options(config)):
        value = getattr(config, option)
        if value != getattr(type(config), option):
            raise ValueError(
                f"{option}={value!r} would be ignored: it has an effect only with "
                f"{describe_readers(NAMED_CHOICES, option)}, and only if that choice is used."
            )
