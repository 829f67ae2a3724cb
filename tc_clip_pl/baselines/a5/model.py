"""A5: prompt vectors around the class name and attention over frame embeddings, around a frozen CLIP."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tc_clip_pl.baselines.a5.config import A5Config
from tc_clip_pl.baselines.a5.prompt_table import surround_names
from tc_clip_pl.baselines.a5.temporal import TemporalTransformer
from tc_clip_pl.baselines.frozen import freeze_all_but
from tc_clip_pl.baselines.pooled_clip import PooledCLIP
from tc_clip_pl.modules.backbone.interface import token_embedding
from tc_clip_pl.modules.text_encoder import encode_text
from tc_clip_pl.ops.cosine_logits import cosine_logits


class A5(PooledCLIP):
    """The full model of "Prompting Visual-Language Models for Efficient Video Understanding" (ECCV 2022).

    Args:
        config: CLIP's configuration with the numbers of A5.

    Attributes:
        prompt_table: (R, D), one learned vector for each position of the text encoder.
        temporal: The transformer over the frames, or None.

    Example:
        >>> model = A5.from_pretrained("openai/clip-vit-base-patch16", num_frames=16)  # doctest: +SKIP
        >>> model.set_class_names(["brush hair", "cartwheel"])  # doctest: +SKIP
        >>> model(video).logits  # doctest: +SKIP
    """

    title = "A5"
    can_ensemble = False
    class_text = "{}"
    config: A5Config
    config_class = A5Config

    def __init__(self, config: A5Config) -> None:
        super().__init__(config)
        text = config.text_config
        table = torch.empty(text.max_position_embeddings, text.hidden_size)
        self.prompt_table = nn.Parameter(nn.init.normal_(table, std=0.01))
        self.temporal = self._new_temporal() if config.num_temporal_layers else None
        self.post_init()
        self.freeze_fixed()

    @torch.no_grad()
    def _embed_frames(self, video: Tensor) -> Tensor:
        return super()._embed_frames(video)

    def _pool_frames(self, frame_embeds: Tensor) -> Tensor:
        if self.temporal is None:
            return super()._pool_frames(frame_embeds)
        return normalize(self.temporal(frame_embeds), dim=-1)

    def _encode_classes(self) -> Tensor:
        config, embeds = self.config, token_embedding(self.text_model)(self.class_input_ids)
        name_end = self.class_eos - self.num_added_tokens
        vectors = (config.num_prefix_vectors, config.num_postfix_vectors)
        prompts = surround_names(self.prompt_table, embeds, name_end, *vectors)
        return self.text_projection(encode_text(self.text_model, prompts, self.class_eos))

    def _score(self, video_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        cosines = cosine_logits(video_embeds, text_embeds, self.logit_scale.new_zeros(()))
        return cosines / self.config.temperature

    def _new_temporal(self) -> TemporalTransformer:
        config = self.config
        return TemporalTransformer(config.num_frames, config.projection_dim, config.num_temporal_layers)

    # What `VideoCLIP` asks of a system

    @property
    def num_added_tokens(self) -> int:
        """By how many tokens the vectors make a text longer than the bare class name."""
        return self.config.num_prompt_vectors

    def new_parameter_names(self) -> set[str]:
        """Return the names of the parameters that CLIP does not have: the only ones that are trained."""
        return {name for name, _ in self.named_parameters() if name.startswith(("prompt_table", "temporal."))}

    def start_new_parameters(self) -> None:
        """Start from N(0, 0.01) in the tables and PyTorch's defaults in the layers, over those of transformers."""
        if self.temporal is not None:
            self.temporal.load_state_dict(self._new_temporal().state_dict())

    def freeze_fixed(self) -> None:
        """Freeze CLIP, its temperature included."""
        freeze_all_but(self, self.new_parameter_names())
