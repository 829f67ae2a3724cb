"""A5: learned prompts and a small temporal transformer around a frozen CLIP (Efficient-Prompt, ECCV 2022)."""
