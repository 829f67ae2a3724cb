"""Validates a dataset against its split files, without training.

- `lists`: read the split files and find their clips on disk.
- `clips`: open or decode the video files, in separate processes.
- `cache`: remember good files, so that a repeated check is quick.
- `problems`: the kinds of problem, and which of them are errors.
- `run`: all of this for one dataset, with a report.
"""
