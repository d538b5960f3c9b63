"""The errors and warnings that firstpassage raises on purpose.

FirstPassageError
├── ModelError      a model, prior, setting or parameter is wrong
├── DataError       observed or simulated data are wrong
└── ArtefactError   a saved bundle or an output folder is wrong

Every message says what was expected, what came, and what to do.
"""

from __future__ import annotations


class FirstPassageError(Exception):
    """Root of every error that this package raises on purpose."""


class ModelError(FirstPassageError):
    """A model, a prior, a setting or a parameter cannot be used as given."""


class DataError(FirstPassageError):
    """Observed or simulated data cannot be used as given."""


class ArtefactError(FirstPassageError):
    """A saved bundle, a figure or an output folder cannot be read or written."""


class DataWarning(UserWarning):
    """Data are usable, but probably not what was meant."""


class AuditWarning(UserWarning):
    """An estimator was loaded whose audit failed."""


class SamplingWarning(UserWarning):
    """Draws were made that should not be trusted: chains disagree, are too short, or diverged, or weights are few."""
