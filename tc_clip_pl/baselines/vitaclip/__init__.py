"""Vita-CLIP: prompts of three kinds in every layer of a frozen CLIP, and prompt vectors of the classes (CVPR 2023)."""
