"""Contrastive pre-training of a CLIP on pictures and captions (Radford et al., 2021)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.distributed.nn.functional import all_gather
from transformers import CLIPModel, PreTrainedTokenizerBase

MAX_LOGIT_SCALE = math.log(100)  # as in CLIP: a sharper softmax makes training unstable


class ContrastivePretraining(LightningModule):
    """Train a CLIP to match pictures with their captions.

    A batch has `pixels` (B, 3, H, W), normalized, and `captions`, B texts.

    Args:
        clip: The model, trained as a whole.
        tokenizer: Its tokenizer.
        lr: Peak learning rate.
        weight_decay: Of matrices; vectors are not decayed.
        warmup_steps: Steps of linear warm-up, before a cosine down to 0.
    """

    def __init__(
        self,
        clip: CLIPModel,
        tokenizer: PreTrainedTokenizerBase,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        warmup_steps: int = 100,
    ) -> None:
        super().__init__()
        self.clip, self.tokenizer = clip, tokenizer
        self.lr, self.weight_decay, self.warmup_steps = lr, weight_decay, warmup_steps

    def embed(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return the (B, E) unit embeddings of pictures and captions."""
        tokens = self.tokenizer(batch.captions, return_tensors="pt", padding=True).to(self.device)
        # No mask: attention is causal, and the text is read at EOS, before the padding.
        output = self.clip(input_ids=tokens["input_ids"], pixel_values=batch.pixels)
        return output.image_embeds, output.text_embeds

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the symmetric cross-entropy over the pairs of all processes."""
        images, texts = self.embed(batch)
        if self.trainer.world_size > 1:
            # With gradient: each process also trains on its own pairs as the others' negatives.
            images, texts = torch.cat(all_gather(images)), torch.cat(all_gather(texts))
        loss = contrastive_loss(images, texts, self.clip.logit_scale)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def on_train_batch_end(self, *args: Any) -> None:
        """Keep the temperature within CLIP's bounds."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(0, MAX_LOGIT_SCALE)

    def configure_optimizers(self) -> dict[str, Any]:
        """Build AdamW with a linear warm-up and a cosine."""
        parameters = list(self.clip.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.lr, betas=(0.9, 0.98), eps=1e-6)
        total = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._rate(step, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _rate(self, step: int, total: int) -> float:
        return min(step / self.warmup_steps, 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))))


def contrastive_loss(images: Tensor, texts: Tensor, logit_scale: Tensor) -> Tensor:
    """Return the mean cross-entropy of choosing each picture's caption and each caption's picture.

    Args:
        images: (B, E) unit embeddings.
        texts: (B, E) unit embeddings; row b belongs to picture b.
        logit_scale: Logarithm of the inverse temperature.
    """
    logits = logit_scale.exp() * images @ texts.T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@torch.no_grad()
def zero_shot_accuracy(module: ContrastivePretraining, pixels: Tensor, labels: Tensor, captions: list[str]) -> float:
    """Return the share of pictures whose caption, among those of all classes, is the nearest, in [0, 1].

    Args:
        module: The trained model.
        pixels: (N, 3, H, W), normalized.
        labels: (N,) positions in `captions`.
        captions: One caption per class.
    """
    tokens = module.tokenizer(captions, return_tensors="pt", padding=True).to(module.device)
    output = module.clip(input_ids=tokens["input_ids"], pixel_values=pixels)
    return (output.logits_per_image.argmax(-1) == labels).float().mean().item()
