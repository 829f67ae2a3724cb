"""The checkpoint of the best validation, also over a run that was interrupted and resumed."""

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn


class BestCheckpoint(ModelCheckpoint):
    """Go on comparing with the best validation so far when a run is resumed.

    Lightning forgets it where the resumed run has a folder of its own, as every run here has: the first epoch after the
    interruption would then count as the best, however bad. Nothing is deleted in the folder of the earlier run.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best checkpoint of the resumed run, if its file is still there."""
        path = state_dict["best_model_path"]
        if path and not Path(path).is_file():
            rank_zero_warn(f"The best checkpoint {path} is gone, so that only epochs from here on can be the best.")
        elif path:
            super().load_state_dict({**state_dict, "dirpath": self.dirpath})
