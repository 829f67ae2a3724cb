"""The image-text model that TC-CLIP extends, Hugging Face's CLIP; `interface.py` says what another one must provide."""
