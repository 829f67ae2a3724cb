"""The numbers of ViFi-CLIP's prompts, next to those of the backbone."""

from tc_clip_pl.modules.backbone.interface import TEMPLATE_TOKEN_IDS
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig


class ViFiPromptConfig(VideoCLIPConfig):
    """The backbone's configuration with the numbers of the prompts; the defaults are those of few-shot training.

    Args:
        num_frames: T, frames of a view; the model takes any number.
        num_prompts: n, learned vectors in each encoder: 10 few-shot, 16 base-to-novel.
        vision_depth: How many vision layers, from the first, have vectors of their own; None is all of them.
        text_depth: Likewise for text layers.
        prompt_token_ids: Token ids of "a photo of a", which up to four text vectors start from;
            `ViFiPrompt.from_pretrained` asks the model's tokenizer.

    Raises:
        ValueError: If a number is out of range, or the vectors leave no room for a class name.
    """

    model_type = "vifi_prompt"

    num_frames: int = 16
    num_prompts: int = 10
    vision_depth: int | None = None
    text_depth: int | None = None
    prompt_token_ids: list[int] | tuple[int, ...] = TEMPLATE_TOKEN_IDS

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        for option in ("num_frames", "num_prompts"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} is {getattr(self, option)}: give a positive whole number.")
        for option, encoder in (("vision_depth", self.vision_config), ("text_depth", self.text_config)):
            depth, layers = getattr(self, option), encoder.num_hidden_layers
            if depth is not None and not 1 <= depth <= layers:
                raise ValueError(f"{option} is {depth}: this CLIP has {layers} layers, of which 1 to all have prompts.")
        room = self.text_config.max_position_embeddings
        if (left := room - 2 - self.num_prompts) < 1:
            raise ValueError(
                f"num_prompts={self.num_prompts} leaves {left} of the text encoder's {room} tokens for a class name: "
                "use fewer."
            )

    @property
    def vision_layers(self) -> int:
        """The number of vision layers with vectors of their own."""
        return self.vision_depth or self.vision_config.num_hidden_layers

    @property
    def text_layers(self) -> int:
        """The number of text layers with vectors of their own."""
        return self.text_depth or self.text_config.num_hidden_layers
