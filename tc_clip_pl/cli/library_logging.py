"""Keeps libraries from talking over what a run has to say."""

import logging
import warnings

OF_NO_USE = (
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's own affair
    r"The dirpath has changed from",  # every run has a folder of its own
    r".*callbacks used to create the checkpoint need to be provided",  # a test saves no checkpoints
)


def quieten_libraries() -> None:
    """Silence advertisements, progress bars of loading and warnings that no user can act on."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_not_advertisement)
    for message in OF_NO_USE:
        warnings.filterwarnings("ignore", message=message)


def _is_not_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()
