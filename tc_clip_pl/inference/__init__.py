"""From videos and words to answers, without a data module or a trainer.

- `recognizer`: `Recognizer`, the model with everything around it.
- `answers`: what it returns: rankings of videos, and of segments of long ones.
- `replica`: the model on one device.
- `features`: its embeddings, and their file.
- `model_source`: the model behind a run folder, a checkpoint, a saved folder, or a hub name, and its input format.
- `labels`: class names from text or a file.
- `video_files`: the videos that paths and folders name.
"""

from tc_clip_pl.inference.answers import Answer, Segment
from tc_clip_pl.inference.recognizer import Recognizer

__all__ = ["Answer", "Recognizer", "Segment"]
