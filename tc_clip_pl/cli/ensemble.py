"""`tcclip ensemble`: accuracy by ensemble weight, in one pass over the test data."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path

from tc_clip_pl.cli.errors import UserError

HELP = """\
tcclip ensemble CKPT [--weights 0:1:0.1] [--config NAME] [--KEY VALUE ...]:
test a checkpoint with many ensemble weights (Fig. 8 of the paper)

  tcclip ensemble outputs/NAME/version_0/checkpoints/last.ckpt
  tcclip ensemble last.ckpt --weights 0:1:0.1 --config zero_shot_k400.yaml
  tcclip ensemble tc_clip_k400 --config zero_shot_k400.yaml --weights 0,0.5,1

CKPT is a checkpoint of `tcclip fit`, tested on the data of its run or of
--config, or a folder of `tcclip convert`, which needs --config. Every clip is
decoded once and scored with all weights; each takes the memory of a CLIP. The
run's folder gets ensemble_curve.csv, .json, .png and .pdf beside results.json.

  --weights START:STOP:STEP | W,W,...
                            shares of the fine-tuned weights (0:1:0.1); 0 has
                            CLIP's encoders, 1 is the fine-tuned model
  --ensembling.sequential true
                            one pass over the data for each weight, where the
                            device is short of memory

Other options are those of `tcclip test`."""

DEFAULT_WEIGHTS = "0:1:0.1"


def ensemble(argv: list[str]) -> None:
    """Test a checkpoint with several ensemble weights.

    Args:
        argv: Arguments after `tcclip ensemble`; see `HELP`.

    Raises:
        UserError: The arguments are wrong.
        ValueError, OSError: The data, the model or the checkpoint is.
    """
    checkpoint, weights, options = _split(argv)
    source = ["--ckpt_path", checkpoint]
    if Path(checkpoint).is_dir():
        if not any(option.split("=")[0] == "--config" for option in options):
            raise UserError(f"The folder {checkpoint} does not know its data: give --config NAME.")
        source = ["--model.pretrained", checkpoint]
    elif not Path(checkpoint).exists():
        raise UserError(f"There is no checkpoint {checkpoint}; check the path.")
    from tc_clip_pl.cli.experiment import run_experiment

    listed = ",".join(map(str, read_weights(weights)))
    run_experiment(["test", "--pictures=false", *options, *source, f"--ensembling.weights=[{listed}]"])


def _split(argv: list[str]) -> tuple[str, str, list[str]]:
    """Return the checkpoint, the weights, and the options of `tcclip test`."""
    if not argv or argv[0].startswith("-"):
        raise UserError("Give a checkpoint: tcclip ensemble CKPT [--weights 0:1:0.1].")
    weights, options, rest = DEFAULT_WEIGHTS, [], iter(argv[1:])
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name == "--weights":
            weights = value if equals else next(rest, "")
        else:
            options.append(argument)
    return argv[0], weights, options


def read_weights(text: str) -> list[Decimal]:
    """Read ensemble weights.

    Args:
        text: START:STOP:STEP, both ends included, or a list such as "0,0.5,1".

    Raises:
        UserError: It has another form, or a weight is outside 0..1.

    Example:
        >>> [float(weight) for weight in read_weights("0.6:0.8:0.1")]
        [0.6, 0.7, 0.8]
    """
    try:  # decimals: 3 * 0.1 is 0.30000000000000004 in binary
        parts = [Decimal(part) for part in text.replace(":", ",").split(",")]
    except InvalidOperation:
        parts = []
    if not all(part.is_finite() for part in parts):
        parts = []
    is_range = text.count(":") == 2 and "," not in text
    if not parts or (":" in text and not is_range):
        raise UserError(f"--weights is {text!r}; give START:STOP:STEP such as 0:1:0.1, or a list such as 0,0.5,1.")
    if is_range:
        start, stop, step = parts
        if step <= 0 or stop < start:
            raise UserError(f"--weights {text} has no weight; give START:STOP:STEP such as 0:1:0.1.")
        parts = [start + n * step for n in range(int((stop - start) / step) + 1)]
    if wrong := [weight for weight in parts if not 0 <= weight <= 1]:
        raise UserError(f"--weights has {wrong[0]}; weights are between 0 (CLIP's encoders) and 1 (fine-tuned).")
    return parts
