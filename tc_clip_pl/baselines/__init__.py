"""The systems that the paper compares with, one per folder; `modules/systems.py` lists them."""
