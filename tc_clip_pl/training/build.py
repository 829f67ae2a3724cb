"""The whole module from plain values, as a configuration file gives them."""

from dataclasses import asdict, dataclass
from typing import Any

from tc_clip_pl.training.module import TCCLIPModule


@dataclass(frozen=True)
class ModelOverrides:
    """Numbers of `TCCLIPConfig` to change; None keeps what the pretrained model says, or else the paper's default.

    Args:
        num_frames: T; follows `data.num_frames`.
        seed_ratio: Share of each frame's patches that become seeds, in (0, 1] (paper: 0.3).
        num_context_tokens: K, context tokens of a video (paper: 96).
        merges_per_round: Merges in one round of bipartite matching (paper: 100).
        positional_embedding: "space" shares CLIP's table over the frames, "joint" has one for each.
        local_global_bias: Whether the attention bias between frame and context tokens is learnt.
        tc_layers: Vision layers, from 1, that attend to context tokens; by default all but the first.
        num_prompt_vectors: M, learnable prompt vectors (paper: 4).
    """

    num_frames: int | None = None
    seed_ratio: float | None = None
    num_context_tokens: int | None = None
    merges_per_round: int | None = None
    positional_embedding: str | None = None
    local_global_bias: bool | None = None
    tc_layers: list[int] | None = None
    num_prompt_vectors: int | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_image_size(pretrained: str) -> int:
    """The side, in pixels, of the square frames that a pretrained model takes.

    Raises:
        OSError: If there is no such model, or the hub cannot be reached.
        ValueError: If it is not a CLIP.
    """
    from tc_clip_pl import TCCLIPConfig
    from tc_clip_pl.modules.loading import read_config

    return TCCLIPConfig.from_dict(read_config(pretrained)).vision_config.image_size


AS_PRETRAINED = ModelOverrides()


def build_module(pretrained: str, config: ModelOverrides = AS_PRETRAINED, **recipe: Any) -> TCCLIPModule:
    """Load a model and make the module that trains it.

    Args:
        pretrained: A folder with a CLIP or a saved TC-CLIP in Hugging Face's format, or a name on its hub.
        config: Numbers of the model to change.
        **recipe: Further arguments of `TCCLIPModule`.

    Raises:
        OSError: If there is no such model, or the hub cannot be reached.
        ValueError: If its weights do not fit.
    """
    from tc_clip_pl import TCCLIP  # transformers takes seconds to import, and the command's help needs none of it

    return TCCLIPModule(TCCLIP.from_pretrained(pretrained, **config.given()), **recipe)
