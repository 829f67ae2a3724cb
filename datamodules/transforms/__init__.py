"""Transforms of video tensors, built from `torchvision.transforms.v2`.

- `spatial`: resize and crop, in the data loader's workers.
- `augmentation`: flip, color jitter, grayscale and normalization, on the device; settings in `Augmentation`.
- `color`: changes of color, by a factor for each frame.
- `mixing`: MixUp and CutMix of pairs of clips, on the device.
- `seeding`: reproducible random draws for each clip.

To add an augmentation, add a field to `Augmentation`, a draw at the end of `_draw_steps` and a line to `OPERATIONS`.
"""
