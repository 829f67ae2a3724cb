"""Video data for any model."""
