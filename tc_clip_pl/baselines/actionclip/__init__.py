"""ActionCLIP (Wang et al., 2021): CLIP fine-tuned to match videos with sentences about their class."""
