"""Cost of a configuration: parameters and multiply-adds (Tables 6 and 14)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.text_encoder import encode_text
from tc_clip_pl.ops.prompting_tokens import PROMPTING_TOKENS


@dataclass
class Cost:
    """Cost of one view of ``num_frames`` frames and one class text of full length.

    Attributes:
        parameters: Number of parameters without the token embedding table, as in Table 6.
        vision: Multiply-adds of the vision encoder, with all tokens in all layers.
        text: Multiply-adds of one pass of the text encoder.
        prompting: Multiply-adds of the prompting block.
        executed: Multiply-adds of `TCCLIP.forward`, which skips tokens that nothing reads.
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


def class_tokens(config: TCCLIPConfig, num_classes: int, length: int | None = None) -> Tensor:
    """Return (Y, L) token ids of class texts of a given length.

    Args:
        config: Configuration of the model.
        num_classes: Y.
        length: Tokens of a text, prompt vectors included; the longest possible by default.
    """
    text = config.text_config
    # Prompt vectors beyond those that replace template tokens lengthen the text inside the model.
    added = config.num_prompt_vectors - len(config.prompt_token_ids) if config.has_prompt_vectors else 0
    input_ids = torch.zeros(num_classes, (length or text.max_position_embeddings) - added, dtype=torch.int64)
    # An eos_token_id of 2 is an old mistake in CLIP's configurations: EOS is then found as the highest token id.
    input_ids[:, -1] = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    return input_ids


def count_cost(config: TCCLIPConfig) -> Cost:
    """Count parameters and multiply-adds on a meta device, which allocates no weights.

    Args:
        config: Configuration of the model.

    Returns:
        The counts.
    """
    with torch.device("meta"):
        model = TCCLIP(config).eval()
    model.set_class_tokens(class_tokens(config, 1))
    text, size = config.text_config, config.vision_config.image_size
    video = torch.empty(1, config.num_frames, 3, size, size, device="meta")
    embeds = torch.empty(1, text.max_position_embeddings, text.hidden_size, device="meta")
    return Cost(
        parameters=count_parameters(model),
        vision=count_multiply_adds(lambda: encode_video(model, video)),
        text=count_multiply_adds(lambda: model.text_projection(encode_text(model.text_model, embeds, model.class_eos))),
        prompting=count_prompting(model, embeds[0]),
        executed=count_multiply_adds(lambda: model(video)),
    )


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


def count_parameters(model: TCCLIP) -> int:
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
