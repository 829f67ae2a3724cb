"""Whether the weights that a run scores are trained, and whether CLIP is there to ensemble them with."""

from collections.abc import Sequence

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_info

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.modules.loading import is_plain_clip
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.training.weight_ensembling import check_can_ensemble, check_weights


def check_scored_weights(subcommand: str, config: Namespace, model: VideoCLIP, is_from_checkpoint: bool) -> bool:
    """Check, before anything slow, the weights that a run is going to score.

    Args:
        subcommand: fit, validate, test or predict.
        config: The configuration of the run.
        model: The model, before training.
        is_from_checkpoint: Whether it was rebuilt from a checkpoint.

    Returns:
        Whether it is plain CLIP that is scored, with nothing trained.

    Raises:
        UserError: If the model has parameters that nothing has trained, or ensembling needs a CLIP that is gone.
        ValueError: If ensembling needs a CLIP that has changed, or the model has a frozen CLIP.
    """
    is_from_clip = not is_from_checkpoint and is_plain_clip(config.model.pretrained)
    is_untrained = subcommand != "fit" and is_from_clip and config.model.init_from is None
    if is_untrained and model.new_parameter_names():
        raise UserError(
            f"There is nothing to {subcommand}: bias and prompting of this model are not trained; give --ckpt_path, or "
            "--config models/clip.yaml for CLIP itself."
        )
    if is_untrained:
        rank_zero_info("Without --ckpt_path nothing is fine-tuned: this scores plain CLIP, w = 0.")
    weights = check_weights(config.ensembling.weights)
    used = {"validate": (), "predict": weights[:1]}.get(subcommand, weights)
    check_can_ensemble(model, used)
    # A model that was just made from its CLIP has it.
    if not is_from_clip and any(weight < 1 for weight in used):
        _require_clip(model, used)
    return is_untrained


def _require_clip(model: VideoCLIP, weights: Sequence[float]) -> None:
    try:
        model.clip_state_dict()
    except OSError as error:
        below = ", ".join(f"{weight:g}" for weight in weights if weight < 1)
        raise UserError(
            f"Weights below 1 ({below}) need the CLIP of the training, but {str(error).rstrip('.')}; give "
            "--ensembling.weights [1.0] to test without it."
        ) from error
