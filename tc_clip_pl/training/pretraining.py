"""Contrastive pre-training of a CLIP on pictures and captions (Radford et al., 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from tc_clip_pl.evaluation.metrics import PADDING_LABEL
from tc_clip_pl.modules.backbone.interface import BackboneModel
from tc_clip_pl.training.distributed import gather_with_gradient

MAX_LOGIT_SCALE = math.log(100)  # as in CLIP: a sharper softmax makes training unstable


class ContrastivePretraining(LightningModule):
    """Train a CLIP to match pictures with their captions, and ask it questions about held-out pictures.

    A batch has `pixels` (B, 3, H, W), normalized; for training `tokens`, the (B, L) token ids of the captions; for
    validation `answers`, the (B, Q) positions of the right candidates, -1 where a question does not fit a picture.
    `val/QUESTION` is the share of pictures whose nearest candidate is the right one, in [0, 1].

    Args:
        clip: The model, trained as a whole.
        questions: Name of each of Q questions -> (Y, L) token ids of its candidates.
        lr: Peak learning rate.
        weight_decay: Of matrices; vectors are not decayed.
        warmup_steps: Steps of linear warm-up, before a cosine down to 0.

    Raises:
        ValueError: As `training_step`: the loss is not finite.
    """

    def __init__(
        self,
        clip: BackboneModel,
        questions: Mapping[str, Tensor] | None = None,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        warmup_steps: int = 100,
    ) -> None:
        super().__init__()
        self.clip, self.questions = clip, dict(questions or {})
        self.lr, self.weight_decay, self.warmup_steps = lr, weight_decay, warmup_steps
        self.accuracies = nn.ModuleList(
            MulticlassAccuracy(len(tokens), average="micro", ignore_index=PADDING_LABEL)
            for tokens in self.questions.values()
        )

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the symmetric cross-entropy over the pairs of all processes."""
        # No mask: attention is causal, and the text is read at EOS, before the padding.
        output = self.clip(input_ids=batch.tokens, pixel_values=batch.pixels)
        # With gradient: each process also trains on its own pairs as the others' negatives.
        images, texts = (gather_with_gradient(rows) for rows in (output.image_embeds, output.text_embeds))
        loss = contrastive_loss(images, texts, self.clip.logit_scale)
        if not torch.isfinite(loss):  # it is the same in all processes, so all end here
            raise ValueError(f"The loss is not finite in step {self.global_step + 1}: lower the learning rate.")
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def on_train_batch_end(self, *args: Any) -> None:
        """Keep the temperature within CLIP's bounds."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(0, MAX_LOGIT_SCALE)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Ask the questions about a batch of held-out pictures."""
        images = self.clip.get_image_features(batch.pixels).pooler_output
        for (name, tokens), accuracy, answer in zip(
            self.questions.items(), self.accuracies, batch.answers.T, strict=True
        ):
            texts = F.normalize(self.clip.get_text_features(tokens.to(self.device)).pooler_output, dim=-1)
            accuracy(images @ texts.T, answer)
            self.log(f"val/{name}", accuracy, on_epoch=True)

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
        return min((step + 1) / self.warmup_steps, 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))))


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
