"""One integer seeds every generator: NumPy, JAX and Keras, each for a named purpose."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from firstpassage.errors import ModelError

if TYPE_CHECKING:
    import jax

_LARGEST = 2**63 - 1


def check(seed: int) -> int:
    """Return `seed` as an int, or say why it cannot be one.

    Parameters
    ----------
    seed : int
        From 0 to 2**63 - 1.

    Returns
    -------
    int
        The same number.

    Raises
    ------
    ModelError
        If `seed` is not such an integer.

    Examples
    --------
    >>> check(3)
    3
    """
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)):
        raise ModelError(f"seed must be an integer from 0 to 2**63 - 1; got {seed!r}. Pass for example seed=1.")
    if not 0 <= int(seed) <= _LARGEST:
        raise ModelError(f"seed must lie between 0 and 2**63 - 1; got {seed}. Pass for example seed=1.")
    return int(seed)


def derive(seed: int, purpose: str) -> int:
    """Return a 32-bit seed for one purpose, independent of those of other purposes.

    Parameters
    ----------
    seed : int
        The user's seed.
    purpose : str
        What the numbers are for, such as ``"prior"``.

    Returns
    -------
    int
        From 0 to 2**32 - 1.

    Raises
    ------
    ModelError
        If `seed` is not an integer from 0 to 2**63 - 1.

    Examples
    --------
    >>> derive(1, "prior") == derive(1, "simulator")
    False
    """
    return int(_sequence(seed, purpose).generate_state(1)[0])


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Make a NumPy generator for one purpose.

    Parameters
    ----------
    seed : int
        The user's seed.
    purpose : str
        What the numbers are for.

    Returns
    -------
    numpy.random.Generator
        Independent of those of other purposes.

    Raises
    ------
    ModelError
        If `seed` is not an integer from 0 to 2**63 - 1.

    Examples
    --------
    >>> bool(generator(1, "prior").integers(10) == generator(1, "prior").integers(10))
    True
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose)))


def key(seed: int, purpose: str) -> jax.Array:
    """Make a JAX key for one purpose.

    Parameters
    ----------
    seed : int
        The user's seed.
    purpose : str
        What the numbers are for.

    Returns
    -------
    jax.Array
        A typed key.

    Raises
    ------
    ModelError
        If `seed` is not an integer from 0 to 2**63 - 1.

    Examples
    --------
    >>> import jax
    >>> float(jax.random.uniform(key(1, "nuts"))) == float(jax.random.uniform(key(1, "nuts")))
    True
    """
    import jax

    return jax.random.key(derive(seed, purpose))


def _sequence(seed: int, purpose: str) -> np.random.SeedSequence:
    """Mix the purpose into the seed by its checksum, which is the same in every process."""
    return np.random.SeedSequence([check(seed), zlib.crc32(purpose.encode())])
