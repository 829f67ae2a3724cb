"""The modules that X-CLIP adds to CLIP, as transformers has them, and the values that they start from."""

import copy

from torch import nn
from transformers import XCLIPConfig as LibraryConfig
from transformers.models.x_clip.modeling_x_clip import (
    XCLIPAttention,
    XCLIPMultiframeIntegrationTransformer,
    XCLIPPromptGenerator,
    XCLIPVisionEncoderLayer,
)

from tc_clip_pl.baselines.xclip.config import XCLIPConfig

FIRST_ALPHA = 0.1
STD = 0.02


def library_config(config: XCLIPConfig) -> LibraryConfig:
    """Describe the model to transformers, whose defaults are those of the base model alone."""
    width, heads = config.projection_dim, config.num_heads
    shared = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "layer_norm_eps")
    vision = {name: getattr(config.vision_config, name) for name in (*shared, "hidden_act")}
    vision |= {"num_frames": config.num_frames, "mit_hidden_size": width, "mit_intermediate_size": 4 * width}
    made = LibraryConfig(
        vision_config={**vision, "mit_num_attention_heads": heads},
        text_config={"layer_norm_eps": config.text_config.layer_norm_eps},
        projection_dim=width,
        prompt_num_attention_heads=heads,
        prompt_alpha=FIRST_ALPHA,
    )
    made._attn_implementation = made.vision_config._attn_implementation = config._attn_implementation
    return made


def build_message_layers(config: LibraryConfig) -> nn.ModuleList:
    """Build vision layers that add to each frame a message from the other frames, for its attention alone."""
    vision = config.vision_config
    return nn.ModuleList(XCLIPVisionEncoderLayer(vision) for _ in range(vision.num_hidden_layers))


def build_integration(config: LibraryConfig) -> XCLIPMultiframeIntegrationTransformer:
    """Build the multi-frame integration transformer: (B, T, E) frame embeddings to (B, E) video embeddings."""
    vision = copy.copy(config.vision_config)
    vision.hidden_size, vision.intermediate_size = vision.mit_hidden_size, vision.mit_intermediate_size
    vision.num_hidden_layers, vision.num_attention_heads = (
        vision.mit_num_hidden_layers,
        vision.mit_num_attention_heads,
    )
    return XCLIPMultiframeIntegrationTransformer(vision)


def build_prompting(config: LibraryConfig) -> XCLIPPromptGenerator:
    """Build the video-specific prompting: texts (B, Y, E) read (B, P, E) patches and give what is added to them."""
    return XCLIPPromptGenerator(config)


# Start values. Those of transformers are others: unit variance in the prompting and the positions.


def start_messages(layer: XCLIPVisionEncoderLayer) -> None:
    """Start the messages of a layer as PyTorch starts a linear layer and a multi-head attention."""
    layer.message_fc.reset_parameters()
    layer.message_ln.reset_parameters()
    _start_input_projections(layer.message_attn)
    layer.message_attn.out_proj.reset_parameters()
    nn.init.zeros_(layer.message_attn.out_proj.bias)


def start_integration(integration: XCLIPMultiframeIntegrationTransformer) -> None:
    """Start positions and linear layers from a truncated N(0, 0.02), but query, key and value as PyTorch does."""
    nn.init.trunc_normal_(integration.position_embedding, std=STD)
    _start_transformer(integration)
    for layer in integration.encoder.layers:
        _start_input_projections(layer.self_attn)


def start_prompting(prompting: XCLIPPromptGenerator) -> None:
    """Start the linear layers from a truncated N(0, 0.02) and the share of the prompts from 0.1."""
    _start_transformer(prompting)
    nn.init.constant_(prompting.alpha, FIRST_ALPHA)


def _start_transformer(module: nn.Module) -> None:
    for child in module.modules():
        if isinstance(child, nn.Linear):
            nn.init.trunc_normal_(child.weight, std=STD)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.LayerNorm):
            child.reset_parameters()


def _start_input_projections(attention: XCLIPAttention) -> None:
    """Start query, key and value as `nn.MultiheadAttention` does, which draws them as one matrix of 3 D rows."""
    for linear in (attention.q_proj, attention.k_proj, attention.v_proj):
        # Xavier's bound is sqrt(6 / (rows + columns)), here of 3 D rows; the gain makes it so for D rows.
        nn.init.xavier_uniform_(linear.weight, gain=0.5**0.5)
        nn.init.zeros_(linear.bias)
