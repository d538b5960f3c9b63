"""Posterior placeholder."""

from __future__ import annotations


class Posterior:
    """Hold an amortized posterior."""
