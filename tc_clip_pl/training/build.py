"""The whole module from plain values, as a configuration file gives them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tc_clip_pl.training.checkpoint import load_weights
from tc_clip_pl.training.module import TCCLIPModule


@dataclass(frozen=True)
class ModelOverrides:
    """Choices and numbers of `TCCLIPConfig` to change; None keeps those of the pretrained model, or the paper's.

    Args:
        num_frames: T; follows `data.num_frames`.
        positional_embedding: "space" shares CLIP's table over the frames, "joint" has one for each (Table 9a).
        reference_tokens: What a frame attends to beside itself: context, none, cls, adjacent or all (Table 1).
        tc_layers: Vision layers, from 2, that attend to it; by default all but the first (Table 6).
        local_global_bias: Whether the attention bias between frame and reference tokens is learnt (Table 9a).
        seed_selection: averaged_cls_attention, head_wise_cls_attention, averaged_key_norm, head_wise_key_norm,
            patch_saliency, ats or none (Table 8a).
        seed_ratio: Share of each frame's patches that become seeds, in (0, 1] (Table 9b; paper: 0.3).
        aggregation: bipartite, bipartite_attention, bipartite_saliency, kmeans, dpc_knn, random or none (Table 8b).
        num_context_tokens: K, context tokens of a video (Table 9c; paper: 96).
        merges_per_round: Merges in one round of bipartite matching (paper: 100).
        prompting: video_conditional, learnable, template or late_fusion (Table 10).
        prompting_tokens: What the prompting reads: context, cls or pooled (Table 13b).
        prompting_text_layer: Text layer, from 1, before which it runs; by default the last (Table 13c).
        prompting_vision_layer: Vision layer, from 1, that it reads; by default the last (Table 13c).
        prompting_init: "clip" copies CLIP's last text layer, "random" draws anew (Table 13d).
        num_prompt_vectors: M, learnable prompt vectors (Table 13a; paper: 4).
        prompt_init: "template" starts them from "a photo of a", "random" draws them (Table 13d).
        frame_pooling: How frames become one score per class: mean_embedding, mean_cosine or attention.
    """

    num_frames: int | None = None
    positional_embedding: str | None = None
    reference_tokens: str | None = None
    tc_layers: list[int] | None = None
    local_global_bias: bool | None = None
    seed_selection: str | None = None
    seed_ratio: float | None = None
    aggregation: str | None = None
    num_context_tokens: int | None = None
    merges_per_round: int | None = None
    prompting: str | None = None
    prompting_tokens: str | None = None
    prompting_text_layer: int | None = None
    prompting_vision_layer: int | None = None
    prompting_init: str | None = None
    num_prompt_vectors: int | None = None
    prompt_init: str | None = None
    frame_pooling: str | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_image_size(pretrained: str) -> int:
    """The side, in pixels, of the square frames that a pretrained model takes.

    Raises:
        OSError: If there is no such model, or the hub cannot be reached.
        ValueError: If it is not a CLIP.
    """
    from transformers import CLIPConfig

    from tc_clip_pl.modules.loading import read_config

    return CLIPConfig.from_dict({**read_config(pretrained), "model_type": "clip"}).vision_config.image_size


AS_PRETRAINED = ModelOverrides()


def build_module(
    pretrained: str,
    config: ModelOverrides = AS_PRETRAINED,
    init_from: str | None = None,
    freeze: Sequence[str] = (),
    **recipe: Any,
) -> TCCLIPModule:
    """Load a model and make the module that trains it.

    Args:
        pretrained: A folder with a CLIP or a saved TC-CLIP in Hugging Face's format, or a name on its hub.
        config: Choices and numbers of the model to change.
        init_from: A checkpoint of `tcclip fit` whose weights training starts from (Appendix A); the weight ensembling
            still goes back to the CLIP of `pretrained`.
        freeze: Encoders whose own weights are not trained: vision, text or both.
        **recipe: Further arguments of `TCCLIPModule`.

    Raises:
        OSError: If there is no such model or checkpoint, or the hub cannot be reached.
        ValueError: If its weights do not fit.
    """
    from tc_clip_pl import TCCLIP  # transformers takes seconds to import, and the command's help needs none of it

    model = TCCLIP.from_pretrained(pretrained, **config.given())
    if init_from is not None:
        load_weights(model, init_from)
    model.freeze(freeze)
    return TCCLIPModule(model, **recipe)
