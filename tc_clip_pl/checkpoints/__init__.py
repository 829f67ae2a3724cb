"""Weights from elsewhere and weights for tests."""
