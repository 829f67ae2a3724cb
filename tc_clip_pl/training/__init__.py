"""The LightningModule, its optimizer and its callbacks."""

from tc_clip_pl.training.checkpoint import load_model
from tc_clip_pl.training.module import TCCLIPModule
from tc_clip_pl.training.weight_ensembling import WeightSpaceEnsemble

__all__ = ["TCCLIPModule", "WeightSpaceEnsemble", "load_model"]
