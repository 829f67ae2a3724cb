"""Cost of a configuration: parameters and multiply-adds (Tables 6 and 14)."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.systems import find_system
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.text_encoder import encode_text
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig
from tc_clip_pl.ops.prompting_tokens import PROMPTING_TOKENS


@dataclass
class Cost:
    """Cost of one view of ``num_frames`` frames and one class text of full length.

    Attributes:
        parameters: Number of parameters without the token embedding table, as in Table 6.
        vision: Multiply-adds of the vision encoder, in TC-CLIP with all tokens in all layers; of another system, of all
            but its text encoder.
        text: Multiply-adds of one pass of the text encoder.
        prompting: Multiply-adds of TC-CLIP's prompting block.
        executed: Multiply-adds of the forward pass, which in TC-CLIP skips tokens that nothing reads.
    """

    parameters: int
    vision: int
    text: int
    prompting: int
    executed: int

    @property
    def total(self) -> int:
        """Multiply-adds as the paper counts them, without the savings of `executed`."""
        return self.vision + self.text + self.prompting

    def as_dict(self) -> dict[str, int]:
        """Return all counts by name."""
        return {**asdict(self), "total": self.total}


def count_cost(config: VideoCLIPConfig, system: type[VideoCLIP] | None = None) -> Cost:
    """Count parameters and multiply-adds on a meta device, which allocates no weights.

    Args:
        config: Configuration of the model.
        system: Its class; by default the one of `SYSTEMS` that the configuration belongs to.

    Raises:
        ValueError: If the forward pass of the system depends on values, which a meta device does not have.
    """
    model, video = _without_weights(config, system)
    with _needs_no_values(model):
        executed = count_multiply_adds(lambda: model(video))
        parts = _count_parts(model, video) if isinstance(model, TCCLIP) else _count_sides(model, executed)
    return Cost(count_parameters(model), **parts, executed=executed)


def count_total(config: VideoCLIPConfig, system: type[VideoCLIP] | None = None) -> int:
    """Count `Cost.total` alone, in half the time for a TC-CLIP: what it executes is left out.

    Args:
        config: As in `count_cost`.
        system: As in `count_cost`.

    Raises:
        ValueError: As `count_cost`.
    """
    model, video = _without_weights(config, system)
    with _needs_no_values(model):
        if isinstance(model, TCCLIP):
            return sum(_count_parts(model, video).values())
        return sum(_count_sides(model, count_multiply_adds(lambda: model(video))).values())


def _without_weights(config: VideoCLIPConfig, system: type[VideoCLIP] | None) -> tuple[VideoCLIP, Tensor]:
    """Return the model, with one class, and a video for it, both on the meta device."""
    with torch.device("meta"):  # a copy, as some systems note their classes in their configuration
        model = (system or find_system(config.model_type))(copy.deepcopy(config)).eval()
    model.set_blank_classes(1)
    size = config.vision_config.image_size
    return model, torch.empty(1, config.num_frames, 3, size, size, device="meta")


@contextmanager
def _needs_no_values(model: VideoCLIP) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ValueError(f"{model.title} cannot be counted without values: {error}.") from error


def _count_parts(model: TCCLIP, video: Tensor) -> dict[str, int]:
    config, project, eos = model.config.text_config, model.text_projection, model.class_eos.flatten()[:1]
    embeds = torch.empty(1, config.max_position_embeddings, config.hidden_size, device="meta")
    return {
        "vision": count_multiply_adds(lambda: encode_video(model, video)),
        "text": count_multiply_adds(lambda: project(encode_text(model.text_model, embeds, eos))),
        "prompting": count_prompting(model, embeds[0]),
    }


def _count_sides(model: VideoCLIP, executed: int) -> dict[str, int]:
    """Split what any system executes: the encoding of its texts, and all else."""
    of_class = count_multiply_adds(model.encode_classes)
    # Of several texts of a class, one is counted, as in Table 6.
    num_texts = model.class_input_ids.shape[:-1].numel()
    return {"vision": executed - of_class, "text": of_class // num_texts, "prompting": 0}


def encode_video(model: TCCLIP, video: Tensor) -> Tensor:
    """Encode a video the way the paper counts it: the last layer feeds all its tokens forward.

    Args:
        model: The model.
        video: (B, T, 3, H, W).

    Returns:
        (B, T, E) frame embeddings.
    """
    return model.visual_projection(model.vision_model(video, cls_only=False).cls_tokens)


def count_prompting(model: TCCLIP, prompts: Tensor) -> int:
    """Count the multiply-adds of the prompting block for one video.

    Args:
        model: The model.
        prompts: (L, d) of which the first M are taken as prompt vectors; on the model's device.

    Returns:
        The count; 0 if the model has no prompting block.
    """
    config = model.config
    if not config.reads_vision:
        return 0
    tokens = prompts.new_empty(1, _count_prompting_tokens(config), prompts.shape[-1])
    return count_multiply_adds(lambda: model.prompt_generation_layer(prompts[: config.num_prompt_vectors], tokens))


def _count_prompting_tokens(config: TCCLIPConfig) -> int:
    """Return how many tokens the prompting block reads of a video, from the choice itself, which may be imported."""
    vision = config.vision_config
    num_patches = (vision.image_size // vision.patch_size) ** 2
    states = torch.empty(1, config.num_frames, 1 + num_patches, vision.hidden_size, device="meta")
    context = torch.empty(1, config.context_count(config.num_frames), vision.hidden_size, device="meta")
    return PROMPTING_TOKENS[config.prompting_tokens](states, context).shape[1]


def count_parameters(model: VideoCLIP) -> int:
    """Count the parameters without the token embedding table, which is not trained."""
    return sum(p.numel() for p in model.parameters()) - model.text_model.embeddings.token_embedding.weight.numel()


def count_multiply_adds(run: Callable[[], object]) -> int:
    """Count the multiply-adds of all matrix products, convolutions and attentions in a call.

    Args:
        run: The call. Gradients stay enabled, so that the model does not take its classes from the cache.

    Returns:
        Half of what torch's counter reports: it counts multiplication and addition separately.
    """
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2
