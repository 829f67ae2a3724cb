"""Draws K-shot lists and base/novel halves from a dataset's own annotations and writes them."""
