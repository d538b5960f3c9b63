"""Keras on JAX, or a clear refusal: the one place that chooses the backend."""

from __future__ import annotations

import logging
import os
import sys

from firstpassage.errors import ModelError


def require_jax() -> None:
    """Make sure that Keras runs on JAX in this process, before BayesFlow is imported.

    BayesFlow configures the root logger when it is imported (its handlers and level are put back here).

    Raises
    ------
    ModelError
        If Keras is already loaded with another backend, or computes in another precision than float32.

    Examples
    --------
    >>> require_jax()
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "jax"
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.addHandler(logging.NullHandler())  # keeps BayesFlow from adding its own, and from greeting
    import bayesflow  # noqa: F401
    import keras

    root.handlers[:] = handlers
    root.setLevel(level)
    if keras.backend.backend() != "jax":
        raise ModelError(
            f"firstpassage needs Keras on JAX; Keras was loaded with {keras.backend.backend()!r}. "
            "Set KERAS_BACKEND=jax, or import firstpassage.backend and call require_jax() before keras is imported."
        )
    if keras.config.floatx() != "float32":
        raise ModelError(
            f"firstpassage trains in float32; keras.config.floatx() is {keras.config.floatx()!r}. "
            'Call keras.config.set_floatx("float32").'
        )
