"""Kernel-bypass market gateway that a quant programs in Python."""

__version__ = "0.1.0"
