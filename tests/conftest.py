"""Shared by all tests: headless plots, Keras on JAX, a guard over the settings of the whole process."""

import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Set before any test imports a library, and inherited by the processes that tests start.
os.environ["MPLBACKEND"] = "Agg"
os.environ["KERAS_BACKEND"] = "jax"

# Compiled programs are kept between runs, which halves the time of tests that compile a lot. They belong to
# one machine; the maximal size makes JAX lock the folder, so that several test processes can share it.
CACHE = Path(__file__).resolve().parents[1] / ".cache" / f"jax-{platform.node()}"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)
os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = "500000000"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

# What a library that a test is the first to import must be left at.
DEFAULTS = {
    "jax.config.jax_enable_x64": False,
    "pytensor.config.floatX": "float64",
    "keras.config.floatx()": "float32",
}


def _process_settings() -> dict[str, Any]:
    """Return the global settings of the libraries that are loaded, in a form that `==` compares."""
    root = logging.getLogger()
    own = [handler for handler in root.handlers if not type(handler).__module__.startswith("_pytest")]
    settings: dict[str, Any] = {"root logger's level": root.level, "root logger's handlers": own}
    modules = sys.modules
    if "jax" in modules:
        settings["jax.config.jax_enable_x64"] = modules["jax"].config.jax_enable_x64
    if "pytensor" in modules:
        settings["pytensor.config.floatX"] = modules["pytensor"].config.floatX
    if "keras" in modules:
        settings["keras.config.floatx()"] = modules["keras"].config.floatx()
    if "numpy" in modules:
        name, keys, *rest = modules["numpy"].random.get_state()
        settings["np.random.get_state()"] = (name, keys.tobytes(), *rest)
    if "matplotlib" in modules:
        # `copy` does not resolve the backend, which plain iteration would.
        settings["matplotlib.rcParams"] = dict(modules["matplotlib"].rcParams.copy())
    return settings


@pytest.fixture(autouse=True)
def process_settings_stay() -> Iterator[None]:
    """Fail a test that changes a setting of the whole process."""
    before = DEFAULTS | _process_settings()
    if "jax" not in sys.modules:
        before.pop("np.random.get_state()", None)  # the import of JAX 0.12 draws from it
    yield
    after = _process_settings()
    changed = [name for name in after if name in before and after[name] != before[name]]
    assert not changed, f"this test changed, for the whole process: {', '.join(changed)}"
