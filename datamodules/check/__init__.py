"""Validates a dataset against its split files, without training."""
