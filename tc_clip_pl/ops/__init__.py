"""Pure tensor functions: the ideas of the paper without a model around them."""
