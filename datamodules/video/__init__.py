"""From a video file to a batch of clips.

- `frame_sampling`: which frames of a video make up a clip.
- `decoding`, `frame_index`: read exactly these frames from a file.
- `dataset`: one clip, from record to cropped uint8 tensor.
- `samplers`: the order of the clips and their assignment to processes.
- `batch`, `loaders`: collate clips into a `VideoBatch`, and the `DataLoader` around it all.
- `file_heads`: find files that are not videos before a run starts.
"""
