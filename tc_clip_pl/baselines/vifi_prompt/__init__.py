"""ViFi-CLIP's second stage, "bridge and prompt" (CVPR 2023): deep prompts in both encoders of a frozen ViFi-CLIP."""
