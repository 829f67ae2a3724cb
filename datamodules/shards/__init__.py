"""Clips in tar files, and the manifest that says where in them each clip lies.

Hundreds of thousands of small files are slow on a network disk, and cost a request each to copy to a bucket. So `tcclip
transcode --shards` writes WebDataset tar files of about a gigabyte, which any WebDataset reader streams. The data
modules read them in another way: a clip's path is a range of bytes in a tar file, and all else is as with files.

Why not by `webdataset`? Its streams shuffle in a buffer, give every process about equally many clips, and begin anew
after an interruption. Here each epoch is a permutation of all clips, dealt to the processes so that each clip counts
once; a resumed run reads what the interrupted one would have read; and few-shot lists name single clips. `wids`, its
indexed reader, has random access, but copies whole shards to a local disk first. One range request a clip does without.

- `byte_range`: the path of a clip in a tar file, and its bytes.
- `manifest`: what a copy has, and where.
- `stores`: local paths and URLs that fsspec opens.
"""
