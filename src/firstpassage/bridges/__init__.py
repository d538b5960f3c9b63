"""Bridges to probabilistic programming: PyMC."""
