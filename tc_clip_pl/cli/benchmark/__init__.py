"""`tcclip benchmark`: how fast the model, its kernels and its data are on this machine."""
