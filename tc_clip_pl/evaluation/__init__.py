"""Evaluation metrics, the results.json of a run, and report tables over many runs."""
