"""What a training step minimizes, one system's idea per file; `base.py` says what an objective is."""
