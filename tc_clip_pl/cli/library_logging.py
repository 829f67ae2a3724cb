"""Silences library logs."""

import logging
import warnings

USELESS_WARNINGS = (
    r".*isinstance\(treespec, LeafSpec\)",  # a deprecation inside Lightning
    r"The dirpath has changed from",  # every run has its own folder
    r".*callbacks used to create the checkpoint need to be provided",  # a test saves no checkpoints
)


def silence_library_logs() -> None:
    """Silence advertisements, loading bars and warnings that no user can act on."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_not_advertisement)
    for message in USELESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def _is_not_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()
