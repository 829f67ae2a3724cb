"""Triton kernels of the two steps that PyTorch has no fast operator for; `ops/` has the plain versions they equal.

Only Linux has Triton. `modules/acceleration.py` decides who uses it.
"""
