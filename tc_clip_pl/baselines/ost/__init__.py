"""OST (Chen et al., CVPR 2024): classes as phrases of a language model, matched to frames by optimal transport."""
