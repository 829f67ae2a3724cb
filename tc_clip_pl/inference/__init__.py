"""From videos and words to answers, without a data module or a trainer.

- `recognizer`: `Recognizer`, the model with everything around it.
- `model_source`: the model behind a run folder, a checkpoint, a saved folder, or a hub name, and its input format.
- `labels`: class names from text or a file.
- `video_files`: the videos that paths and folders name.
"""

from tc_clip_pl.inference.recognizer import Answer, Recognizer

__all__ = ["Answer", "Recognizer"]
