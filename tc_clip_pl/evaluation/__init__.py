"""Metrics, results and tables."""
