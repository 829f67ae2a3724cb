"""CLIP's vision encoder around its layers."""

import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers import CLIPVisionModel
from transformers.models.clip.modeling_clip import CLIPVisionEmbeddings


class VisionEmbeddings(CLIPVisionEmbeddings):
    """Patch projection, [CLS] and position table (`position_embedding`, `num_positions` rows per frame)."""

    def embed_frames(self, frames: Tensor) -> Tensor:
        """(X, 3, H, W) normalized pixels to (X, N, D) tokens, [CLS] first, without positions."""
        # The stride equals the kernel size, so the convolution is one matrix product over the pixels of each patch.
        weight, size = self.patch_embedding.weight, self.patch_size
        pixels = frames.to(weight.dtype).unfold(2, size, size).unfold(3, size, size)  # (X, 3, h, w, p, p)
        patches = linear(pixels.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2), weight.flatten(1))
        return torch.cat((self.class_embedding.expand(frames.shape[0], 1, -1), patches), dim=1)


class VisionModel(CLIPVisionModel):
    """Embeddings, layers, and the layer norms before and after them."""

    def normalize_input(self, tokens: Tensor) -> Tensor:
        """Apply CLIP's layer norm before the first layer."""
        return self.pre_layrnorm(tokens)

    def normalize_output(self, tokens: Tensor) -> Tensor:
        """Apply CLIP's layer norm before the projection into the joint space."""
        return self.post_layernorm(tokens)
