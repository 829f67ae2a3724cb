"""`tcclip transcode`: a copy of a dataset whose videos are small and quick to read, as files or in tar shards.

- `video`: one video, written anew and verified.
- `frames`: its frames with their times.
- `copy`: what is to be done for a whole dataset, and all of it, in processes.
- `journal`: the manifest, written as files are done, and the lock of the folder.
- `stores`, `shard_store`: where the files go: a tree like the dataset's, or shards.
"""
