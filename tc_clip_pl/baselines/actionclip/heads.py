"""The post-network prompts: heads that make a video embedding of (B, T, E) frame embeddings (Sec. 3.3)."""

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import EncoderLayer, TextConfig

NUM_LAYERS = 6
MOST_FRAMES = 77
STD = 0.02


class MeanP(nn.Module):
    """The mean over frames."""

    def __init__(self, width: int, num_heads: int, num_frames: int) -> None:
        super().__init__()

    def forward(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) to (B, E)."""
        return frame_embeds.mean(1)

    def start(self) -> None:
        """There is nothing to start."""


class Transf(nn.Module):
    """A transformer over frames with positions, and a residual around it; takes up to 77 frames."""

    def __init__(self, width: int, num_heads: int, num_frames: int) -> None:
        super().__init__()
        self.position_embedding = nn.Embedding(MOST_FRAMES, width)
        layer = TextConfig(
            hidden_size=width, intermediate_size=4 * width, num_attention_heads=num_heads, layer_norm_eps=1e-12
        )
        layer._attn_implementation = "sdpa"
        self.layers = nn.ModuleList(EncoderLayer(layer) for _ in range(NUM_LAYERS))

    def forward(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) to (B, E)."""
        states = frame_embeds + self.position_embedding.weight[: frame_embeds.shape[1]]
        for layer in self.layers:
            states = layer(states, None)
        return (states + frame_embeds).mean(1)

    def start(self) -> None:
        """Draw all but query, key and value from N(0, 0.02), these as `nn.MultiheadAttention` does."""
        nn.init.normal_(self.position_embedding.weight, std=STD)
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=STD)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        for layer in self.layers:
            for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
                # Xavier's bound counts 3 E rows there, of one stacked matrix: hence the gain.
                nn.init.xavier_uniform_(linear.weight, gain=0.5**0.5)


class LSTMHead(nn.Module):
    """An LSTM over frames, with a residual around it."""

    def __init__(self, width: int, num_heads: int, num_frames: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)

    def forward(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) to (B, E)."""
        return (self.lstm(frame_embeds)[0] + frame_embeds).mean(1)

    def start(self) -> None:
        """Start as PyTorch does."""
        self.lstm.reset_parameters()


class Conv1D(nn.Module):
    """A convolution of each channel, with a residual around it, that starts as a shift between frames.

    The published code reads the memory of a (T, E) matrix as (E, T) without transposing it, and so does this: what the
    convolution runs over are T consecutive channels of a frame rather than a channel of T frames.
    """

    def __init__(self, width: int, num_heads: int, num_frames: int) -> None:
        super().__init__()
        self.shift = nn.Conv1d(width, width, kernel_size=3, padding=1, groups=width, bias=False)

    def forward(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) to (B, E)."""
        length, width = frame_embeds.shape[1:]
        convolved = self.shift(frame_embeds.reshape(-1, width, length)).transpose(1, 2)
        return (convolved + frame_embeds).mean(1)

    @torch.no_grad()
    def start(self) -> None:
        """Take a quarter of the channels from the left, half from where they are, a quarter from the right."""
        quarter = len(self.shift.weight) // 4
        self.shift.weight.zero_()
        for rows, tap in ((slice(quarter), 0), (slice(quarter, -quarter), 1), (slice(-quarter, None), 2)):
            self.shift.weight[rows, 0, tap] = 1.0


class TransfCls(nn.Module):
    """PyTorch's post-norm transformer over a learned [CLS] and the frames; it takes one number of frames."""

    def __init__(self, width: int, num_heads: int, num_frames: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.position_embedding = nn.Parameter(torch.empty(1, num_frames + 1, width))
        layer = nn.TransformerEncoderLayer(width, nhead=8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, NUM_LAYERS, norm=nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) to (B, E)."""
        cls = self.cls_token.expand(len(frame_embeds), -1, -1)
        return self.encoder(torch.cat((cls, frame_embeds), dim=1) + self.position_embedding)[:, 0]

    @torch.no_grad()
    def start(self) -> None:
        """Draw [CLS], positions and linear layers from N(0, 1) folded into (-2, 2), times 0.02; the rest as PyTorch."""
        drawn = [self.cls_token, self.position_embedding]
        for module in self.encoder.modules():
            if isinstance(module, nn.MultiheadAttention):
                module._reset_parameters()
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                drawn.append(module.weight)
                nn.init.zeros_(module.bias)
        for weight in drawn:
            weight.copy_(torch.randn_like(weight).fmod(2) * STD)


HEADS: dict[str, type[nn.Module]] = {
    "Transf": Transf,
    "meanP": MeanP,
    "LSTM": LSTMHead,
    "Conv_1D": Conv1D,
    "Transf_cls": TransfCls,
}
"""Heads by their name in the paper's code."""
