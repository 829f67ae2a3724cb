"""Finding moments in a folder of videos, by words or by example.

- `video_sources`: the videos that folders, lists and URLs name, with a mark that changes when a file does.
- `window_loader`: their windows, decoded by workers.
- `embedding`: windows to vectors.
- `index`: `VideoIndex`, the vectors on disk.
- `build`: brings an index up to date.
- `moments`: the nearest vectors, by FAISS.
- `contact_sheet`: a picture of what was found.
"""
