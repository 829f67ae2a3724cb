"""Several texts per class, whose embeddings are averaged as directions: Open-VCLIP's and FROSTER's classifiers."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tc_clip_pl.modules.process_draws import draw_own
from tc_clip_pl.modules.text_prompting import PROMPTINGS, Template, TextSide
from tc_clip_pl.ops.precision import without_autocast

OPENINGS = ("a photo of", "a video of", "a example of", "a demonstration of")
PHRASES = ("", "a person ", "a person using ", "a person doing ", "a person during ", "a person performing ")
ACTION_TEMPLATES = tuple(
    f"{opening} {phrase}{{}}." for opening in OPENINGS for phrase in (*PHRASES, "a person practicing ")
)
"""The 28 templates of Open-VCLIP, spelled as there."""


def mean_direction(embeds: Tensor) -> Tensor:
    """Average the directions of embeddings: (S, Y, E) of any norm to (Y, E) of unit norm, in float32 or better."""
    with without_autocast(embeds):
        dtype = torch.promote_types(embeds.dtype, torch.float32)
        return normalize(normalize(embeds.to(dtype), dim=-1).mean(dim=0), dim=-1)


@PROMPTINGS.register("template_ensemble", reads=("class_templates",))
class TemplateEnsemble(Template):
    """The mean of several templates around the class name: Open-VCLIP's 28, or the `class_templates`."""

    class_text: ClassVar[tuple[str, ...]] = ACTION_TEMPLATES

    @staticmethod
    def encode(text: TextSide, inputs_embeds: Tensor, eos: Tensor) -> Tensor:
        """Compute the (Y, E) text embeddings, of unit norm.

        Args:
            text: The text side of the model.
            inputs_embeds: (S, Y, L, D) token embeddings.
            eos: (S, Y) positions of EOS.
        """
        # One text of all classes at a time: the states of all texts at once would take gigabytes.
        embeds = [Template.encode(text, *one) for one in zip(inputs_embeds, eos, strict=True)]
        return mean_direction(torch.stack(embeds))


@PROMPTINGS.register("described_ensemble")
class DescribedEnsemble(TemplateEnsemble):
    """Each of the 28 templates around the short name, followed by the description, and the description alone.

    The class names are "Name: sentence", as FROSTER's; the short name is what stands before the first colon. A name
    without a colon stands in both places.
    """

    class_text: ClassVar[tuple[str, ...]] = (
        *(f"{template.format('{short}')} {{}}" for template in ACTION_TEMPLATES),
        "{}",
    )

    @staticmethod
    def choose_texts(input_ids: Tensor, eos: Tensor) -> tuple[Tensor, Tensor]:
        """Pick the texts of one training step: one template, drawn uniformly, and the description alone.

        Args:
            input_ids: (S, Y, L) token ids, the description alone last.
            eos: (S, Y) positions of EOS.
        """
        template = draw_own(lambda count: torch.randint(len(eos) - 1, (count,)))
        return tuple(tensor[[int(template), -1]] for tensor in (input_ids, eos))
