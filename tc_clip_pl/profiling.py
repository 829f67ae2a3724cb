"""What a configuration costs: parameters, multiply-adds, memory and speed (Tables 6 and 14)."""

from dataclasses import asdict, dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.text_encoder import encode_text


@dataclass
class Cost:
    """Cost of one view of ``num_frames`` frames.

    Attributes:
        parameters: without the token embedding table, as in Table 6.
        vision: multiply-adds of the vision encoder with every token through every layer.
        text: of one pass of the text encoder for one class at full length.
        prompting: of the prompting block for one video.
        executed: of `TCCLIP.forward` for one video and one class of that length: what the shortcuts leave of the sum.
    """

    parameters: int
    vision: int
    text: int
    prompting: int
    executed: int

    @property
    def total(self) -> int:
        """Multiply-adds as the paper counts them."""
        return self.vision + self.text + self.prompting

    def as_dict(self) -> dict[str, int]:
        """All figures by name."""
        return {**asdict(self), "total": self.total}


def build_meta_model(config: TCCLIPConfig) -> TCCLIP:
    """The model without weights, with one class as long as the text encoder allows."""
    with torch.device("meta"):
        model = TCCLIP(config).eval()
    text = config.text_config
    added = config.num_prompt_vectors - len(config.prompt_token_ids) if config.has_prompt_vectors else 0
    input_ids = torch.zeros(1, text.max_position_embeddings - added, dtype=torch.int64)
    input_ids[:, -1] = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    model.set_class_tokens(input_ids)
    return model


def count_cost(config: TCCLIPConfig) -> Cost:
    """Counts parameters and multiply-adds on a meta device: no weights, no memory, no time."""
    model = build_meta_model(config)
    size = config.vision_config.image_size
    video = torch.empty(1, config.num_frames, 3, size, size, device="meta")
    inputs_embeds = torch.empty(
        1, config.text_config.max_position_embeddings, config.text_config.hidden_size, device="meta"
    )
    prompting = 0
    if model.prompt_generation_layer is not None:
        tokens = model.vision_model(video).prompting_tokens
        projected = model.visual_projection(tokens)
        prompts = inputs_embeds[0, : config.num_prompt_vectors]
        prompting = count_multiply_adds(lambda: model.prompt_generation_layer(prompts, projected))
    return Cost(
        parameters=count_parameters(model),
        vision=count_multiply_adds(
            lambda: model.visual_projection(model.vision_model(video, cls_only=False).cls_tokens)
        ),
        text=count_multiply_adds(
            lambda: model.text_projection(encode_text(model.text_model, inputs_embeds, model.class_eos))
        ),
        prompting=prompting,
        executed=count_multiply_adds(lambda: model(video)),
    )


def count_parameters(model: TCCLIP) -> int:
    """Parameters of the model without the token embedding table, which is not trained."""
    return sum(p.numel() for p in model.parameters()) - model.text_model.embeddings.token_embedding.weight.numel()


def count_multiply_adds(run: "torch.types.FunctionType") -> int:
    """Multiply-adds of all matrix products, convolutions and attentions of a call, by torch's flop counter."""
    with FlopCounterMode(display=False) as counter:  # with gradient: nothing is cached
        run()
    return counter.get_total_flops() // 2
