"""Which choices of `TCCLIPConfig` go together. An option that no choice reads must not be set: it would be ignored."""

from typing import TYPE_CHECKING

from tc_clip_pl.modules.text_prompting import PROMPTING_TOKENS, PROMPTINGS
from tc_clip_pl.ops.aggregation import AGGREGATORS
from tc_clip_pl.ops.reference_tokens import REFERENCE_TOKENS
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS
from tc_clip_pl.registry import Registry

if TYPE_CHECKING:
    from tc_clip_pl.modules.config import TCCLIPConfig

NAMED_CHOICES: dict[str, Registry] = {
    registry.option: registry
    for registry in (REFERENCE_TOKENS, SEED_SELECTORS, AGGREGATORS, PROMPTINGS, PROMPTING_TOKENS)
}
WORDS = {
    "positional_embedding": ("space", "joint"),
    "prompting_init": ("clip", "random"),
    "prompt_init": ("template", "random"),
}
ALWAYS_READ = ("reference_tokens", "prompting")


def check_design(config: "TCCLIPConfig") -> None:
    """Raises ValueError, in one sentence, for a configuration that means nothing."""
    _check_words(config)
    _check_numbers(config)
    _check_combinations(config)
    _check_unread(config)


def read_options(config: "TCCLIPConfig") -> set[str]:
    """The options that act, found by following which choice reads which option."""
    read, waiting = set(), list(ALWAYS_READ)
    while waiting:
        option = waiting.pop()
        read.add(option)
        if option in NAMED_CHOICES:
            waiting += NAMED_CHOICES[option].reads(getattr(config, option)) - read
    return read


def _check_words(config: "TCCLIPConfig") -> None:
    for option, registry in NAMED_CHOICES.items():
        registry[getattr(config, option)]
    for option, words in WORDS.items():
        if getattr(config, option) not in words:
            raise ValueError(f"{option} is {getattr(config, option)!r}: choose {' or '.join(words)}.")


def _check_numbers(config: "TCCLIPConfig") -> None:
    if not 0 < config.seed_ratio <= 1:
        raise ValueError(f"seed_ratio is {config.seed_ratio}: give a share of the patches above 0 and up to 1.")
    for option in ("num_frames", "num_context_tokens", "merges_per_round", "num_prompt_vectors"):
        if getattr(config, option) < 1:
            raise ValueError(f"{option} is {getattr(config, option)}: give a whole number from 1.")
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


def _check_combinations(config: "TCCLIPConfig") -> None:
    if "prompting_tokens" in read_options(config) and config.prompting_tokens == "context" != config.reference_tokens:
        raise ValueError(
            f"prompting {config.prompting!r} reads context tokens, and with reference_tokens "
            f"{config.reference_tokens!r} no layer makes any: set prompting_tokens to cls or pooled."
        )


def _check_unread(config: "TCCLIPConfig") -> None:
    conditional = set().union(*(registry.reads(name) for registry in NAMED_CHOICES.values() for name in registry))
    for option in sorted(conditional - read_options(config)):
        value, default = getattr(config, option), getattr(type(config), option)
        if value != default:
            readers = [
                f"{kind} {', '.join(name for name in registry if option in registry.reads(name))}"
                for kind, registry in NAMED_CHOICES.items()
                if any(option in registry.reads(name) for name in registry)
            ]
            raise ValueError(
                f"{option}={value!r} would be ignored: it acts only with {'; or with '.join(readers)}, where that acts."
            )
