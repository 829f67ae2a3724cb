"""Silences library logs."""

import logging
import re
import warnings

from tc_clip_pl.cli.startup import process_rank

USELESS_WARNINGS = (
    r"(?s).*isinstance\(treespec, LeafSpec\)",  # a deprecation inside Lightning
    r"The dirpath has changed from",  # every run has its own folder
    r".*callbacks used to create the checkpoint need to be provided",  # a test saves no checkpoints
    r"The number of training batches .* is smaller than the logging interval",  # epochs are logged in any case
    r"The '\w+' does not have many workers",  # data.num_workers is a decision
    r"Checkpoint directory .* exists and is not empty",  # on resuming in place
    r"You have overridden `on_before_batch_transfer` in `LightningModule`",  # which is meant to be there
    r"Glyph \d+ .* missing from",  # a class name in a script that matplotlib's font lacks
)
USELESS_LOGS = re.compile(
    r"Tip:|[TH]PU available|GPU available: False|^Seed set to|Loading `\w+` to estimate|"
    r"^Restor(ing|ed) |^Loaded model weights|"
    r"Detected that context_fn is passed|"  # what `recompute_activations` does, without in-place operators
    r"^`Trainer\.fit` stopped: `max_(epochs|steps)|^`Trainer\(val_check_interval=1\)`|Detected KeyboardInterrupt"
)
LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
    "torch._higher_order_ops.wrap",
)


def silence_library_logs() -> None:
    """Silence advertisements, loading bars and warnings that no user can act on; shorten the other warnings."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_useful)
    for message in USELESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    if process_rank():  # the first process says the same about the data
        warnings.filterwarnings("ignore", category=UserWarning, module=r"datamodules\.")
    warnings.formatwarning = format_note


def format_note(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Return a warning as one line, without the source line of a library."""
    return f"Note: {' '.join(str(message).split())}\n"


def _is_useful(record: logging.LogRecord) -> bool:
    return not USELESS_LOGS.search(record.getMessage())
