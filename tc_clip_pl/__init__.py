"""Video action recognition with TC-CLIP (ECCV 2024)."""
