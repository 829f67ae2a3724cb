"""MAXI (Lin et al., ICCV 2023): a video is pulled to the bags of words of its pseudo-label, away from other bags."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.nn.functional import pad

from tc_clip_pl.modules.backbone.interface import find_eos
from tc_clip_pl.modules.tokenizer import fill_text
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.training.objectives.base import Objective, StepResult
from tc_clip_pl.training.objectives.text_bags import ClipWords, draw_bag, join_words, read_class_words

MAX_LOGIT_SCALE = math.log(1000)


class MILNCE(Objective):
    """Multiple-instance contrast of videos and the bags of texts that they bring: b videos, M texts each.

    A text is that of the class and a word, "a photo of a {class}. {word}.", or that of the class alone where the bag is
    empty. All b * M texts run through the text encoder in every step, and the videos of the batch are compared with
    these alone: b is `data.batch_size`, 16 in MAXI. Neither other processes nor accumulated batches give negatives, so
    they do not change the loss, and `data.batch_size` does. The model may be any whose classes have one text each.

    Args:
        class_words: Words of each class: a JSON `{"CLASS NAME": ["WORD", ...]}`, or a folder of `CLASS NAME.txt`.
        clip_words: Words of each training clip: a JSON `{"CLIP NAME": ["WORD", ...]}`, or a folder of
            `FOLDER/CLIP NAME.txt`. Either of the two may be left out.
        bag_size: M, texts of a bag.
        temperature: What the training starts at, instead of CLIP's 0.01; the logit scale is the inverse's logarithm.

    Raises:
        ValueError: If there are no words, or a number is out of range.
    """

    scores_classes: bool = False

    def __init__(
        self,
        class_words: str | None = None,
        clip_words: str | None = None,
        bag_size: int = 16,
        temperature: float = 0.02,
    ) -> None:
        super().__init__()
        if class_words is None and clip_words is None:
            raise ValueError(
                "MILNCE needs words for its bags: set model.objective.init_args.class_words, clip_words or both."
            )
        if bag_size < 1 or not 1e-3 <= temperature < math.inf:
            raise ValueError(
                f"MILNCE has bag_size {bag_size} and temperature {temperature:g}: give at least 1 and 0.001."
            )
        self.sources = {"class": class_words, "clip": clip_words}
        self.bag_size, self.temperature = bag_size, temperature

    def prepare(self, model: VideoCLIP, trainer: Trainer) -> None:
        """Read the words, check that every class and clip has some, and start the temperature.

        Raises:
            OSError: If a file of words cannot be read.
            ValueError: If a class or a clip is missing there, or a word is too long for the text encoder.
        """
        if model.has_several_texts:
            raise ValueError(f"MILNCE brings a text per word, and {type(model).__name__} has several per class.")
        data = getattr(trainer.datamodule, "train", None) or trainer.datamodule  # a suite trains on one of several
        self.class_names = list(data.class_names)
        self.class_words = [[] for _ in self.class_names]
        self.clip_words = None
        if self.sources["class"] is not None:
            self.class_words = read_class_words(self.sources["class"], self.class_names)
        if self.sources["clip"] is not None:
            self.clip_words = ClipWords(self.sources["clip"])
            # Now, not in the step that draws the clip; data without records have their clips looked up there.
            datasets = getattr(data, "datasets", {})
            self.clip_words.check(record.video_id for record in getattr(datasets.get("train"), "records", ()))
        self._length = self._longest(model)
        with torch.no_grad():
            model.logit_scale.fill_(-math.log(self.temperature))

    def forward(self, model: VideoCLIP, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        """Compute the loss of a batch of this process."""
        self.refuse_soft_targets(batch.label)
        self.refuse_smoothing(label_smoothing)
        with torch.no_grad():
            model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)  # the optimizer may have stepped beyond it
        draws = zip(batch.label.tolist(), batch.video_id, batch.seed.tolist(), strict=True)
        ids = model.tokenize([text for draw in draws for text in self.texts(model, *draw)])
        # One length as long as it suffices: compiled encoders want the same shape in every step.
        self._length = max(self._length, ids.shape[1])
        ids = pad(ids, (0, self._length - ids.shape[1]))
        eos = find_eos(ids, model.config.text_config.eos_token_id) + model.num_added_tokens
        with model.other_texts(ids, eos):
            logits = model(video).logits.float()
        return StepResult(mil_nce(logits, batch.label), None)

    def texts(self, model: VideoCLIP, label: int, video_id: str, seed: int) -> list[str]:
        """Return the M texts of a clip's bag, drawn by its seed."""
        of_clip = self.clip_words.of(video_id) if self.clip_words is not None else []
        words = join_words(self.class_names[label], self.class_words[label], of_clip)
        drawn = draw_bag(words, self.bag_size, seed) or [""] * self.bag_size
        return [self._text(model, label, word) for word in drawn]

    def _longest(self, model: VideoCLIP) -> int:
        """Return the tokens of the longest text of a class and its words, which also checks that they fit."""
        classes = list(zip(self.class_names, self.class_words, strict=True))
        bags = [["", *join_words(name, words)] for name, words in classes]
        texts = [self._text(model, label, word) for label, words in enumerate(bags) for word in words]
        return model.tokenize(texts).shape[1]

    def _text(self, model: VideoCLIP, label: int, word: str) -> str:
        of_class = fill_text(model.class_text, self.class_names[label])
        return f"{of_class} {word}." if word else of_class


def mil_nce(logits: Tensor, label: Tensor) -> Tensor:
    """Return the mean over pairs of the same label of the negative log-likelihood of one's bag for the other's video.

    Each bag of the label is a target of its own: with k videos of it in the batch, the loss does not fall below log k
    there.

    Args:
        logits: (B, B * M), row i for video i, columns j * M to j * M + M - 1 for the bag of video j.
        label: (B,) class ids.
    """
    log_likelihood = logits.log_softmax(-1).unflatten(1, (len(label), -1)).logsumexp(-1)  # (B, B)
    same = label[:, None] == label
    return -torch.where(same, log_likelihood, 0).sum() / same.sum()
