"""Transforms of video tensors."""
