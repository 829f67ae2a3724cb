"""Draws K-shot lists and base and novel halves from a dataset's own annotations, and writes them as list files."""
