"""Checking and timing of matrix products on NVIDIA GPUs: the parts of `gpu_kit.py` and `gpu_matmul.py`."""
