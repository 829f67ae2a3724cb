"""Checkpoints of others: the authors' TC-CLIP, converted, and a tiny random CLIP for tests."""
