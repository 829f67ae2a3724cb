"""X-CLIP (Ni et al., ECCV 2022): frames exchange messages, and texts read the video's patches."""
