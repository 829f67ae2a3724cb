"""Transforms of video tensors, built from `torchvision.transforms.v2`.

- `spatial`: resize and crop, in the data loader's workers.
- `augmentation`: flip, color jitter, grayscale and normalization, on the device; settings in `Augmentation`.
- `mixing`: MixUp and CutMix of pairs of clips, on the device.
- `seeding`: reproducible random draws for each clip.

To add an augmentation, add a field to `Augmentation` and a transform to the list in `build_clip_augmentation`.
"""
