"""vmc: a compiler and virtual machine for low-precision kernels."""

__version__ = "0.1.0"
