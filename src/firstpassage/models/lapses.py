"""Lapses: some trials are answered at random, whatever the evidence.

With probability p_outlier a response and its time come from a uniform density u over both responses and the times up to
a longest one, so that the density of a trial is (1 - p_outlier) f + p_outlier u. One outlier then costs at most
-log(p_outlier u), and the non-decision time is not bounded by the fastest trial.

References
----------
Ratcliff and Tuerlinckx (2002), Estimating parameters of the diffusion model, Psychonomic Bulletin & Review 9, 438-481:
contaminants.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from firstpassage.errors import DataError, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import choices
from firstpassage.models.parameter import Parameter

NAME = "p_outlier"
LONGEST = 20.0  # s
_MOST = 0.5  # of the trials
_RESPONSES = 2
_PRIOR = (1.0, 20.0)  # of a beta density: mean .05, highest at 0


def lapses(likelihood: Likelihood, *, longest: float = LONGEST) -> Likelihood:
    """Mix a likelihood of choices with lapses, of which a new parameter ``p_outlier`` is the probability.

    Parameters
    ----------
    likelihood : Likelihood
        Of trials (rt, response), normalised: exact, or kind "nle".
    longest : float, seconds
        A lapse's rt is uniform between 0 and this; longer trials are refused when they are read.

    Returns
    -------
    Likelihood
        With ``p_outlier`` in [0, .5] as its last parameter, whose prior is Beta(1, 20), cut there; at 0 it is the
        likelihood given. Data do not bound t.

    Raises
    ------
    ModelError
        If the likelihood is a ratio, not of choices, or has lapses already, or `longest` is not a positive number.

    Examples
    --------
    >>> import firstpassage as fp
    >>> robust = fp.lapses(fp.ddm().exact)
    >>> robust.parameter_names
    ('v', 'a', 'z', 't', 'p_outlier')
    >>> robust.log_prob([[0.2, 1.0]], v=0.0, a=1.0, z=0.5, t=0.3, p_outlier=0.04).round(3)
    array([-6.908])
    """
    _check(likelihood, longest)
    longest = float(longest)
    own = likelihood.parameters
    return dataclasses.replace(
        likelihood,
        parameters=(*own, Parameter(NAME, bounds=(0.0, _MOST), prior=_prior(), symbol=r"$p_\mathrm{outlier}$")),
        read=lambda data: _read(likelihood, data, longest=longest),
        density=lambda x, theta: _density(likelihood, x, theta, longest=longest),
        limits=None,
        start=None,
        approximation=None,
        sums=None,
        card=None,
        arrays=None,
        simulate=None if likelihood.simulate is None else lambda theta, rng: _draw(likelihood, theta, rng, longest),
    )


def _check(likelihood: Any, longest: Any) -> None:
    """Refuse what cannot be mixed."""
    if not isinstance(likelihood, Likelihood):
        raise ModelError(
            f"lapses takes a Likelihood; got a {type(likelihood).__qualname__}. Pass model.exact, or a fitted NLE."
        )
    if likelihood.kind == "nre":
        raise ModelError(
            "lapses need a normalised density; a ratio estimator (kind 'nre') has an unknown constant for each trial, "
            "so that it cannot be mixed with one. Use model.exact, or a likelihood of kind 'nle'."
        )
    if NAME in likelihood.parameter_names:
        raise ModelError(f"this likelihood of {likelihood.model} has lapses already. Use it as it is.")
    if likelihood.read is not choices.read:
        raise ModelError(
            f"lapses are known for trials of {', '.join(choices.COLUMNS)}; got the {likelihood.kind} likelihood of "
            f"{likelihood.model}, a trial of which is a {likelihood.trial}. Write its mixture with PyMC yourself."
        )
    number = isinstance(longest, (int, float, np.integer, np.floating)) and not isinstance(longest, bool)
    if not number or not (0 < longest < math.inf):
        raise ModelError(f"longest must be a positive number of seconds; got {longest!r}. Use one such as {LONGEST:g}.")


def _prior() -> Any:
    """Make the prior of the probability of a lapse."""
    import jax
    from numpyro.distributions import Beta

    with jax.enable_x64():
        return Beta(*_PRIOR)


def _read(likelihood: Likelihood, data: Any, *, longest: float) -> np.ndarray:
    """Read trials, none of which may be longer than a lapse can be."""
    x = likelihood.read(data)
    late = x[:, 0] > longest
    if late.any():
        raise DataError(
            f"rt must be at most {longest:g} s, the longest lapse; {int(late.sum())} of {late.size} are longer (first: "
            f"trial {int(np.argmax(late))}, {x[np.argmax(late), 0]:g}). Pass a larger `longest`, or drop these trials."
        )
    return x


def _density(likelihood: Likelihood, x: Any, theta: Mapping[str, Any], *, longest: float) -> Any:
    """Mix; where there are no lapses, without a gradient in their probability."""
    import jax.numpy as jnp

    decided = likelihood.density(x, {name: value for name, value in theta.items() if name != NAME})
    lapse = jnp.asarray(theta[NAME])
    there = lapse > 0
    safe = jnp.where(there, lapse, _MOST)
    mixed = jnp.logaddexp(jnp.log1p(-safe) + decided, jnp.log(safe) - math.log(_RESPONSES * longest))
    return jnp.where(there, mixed, decided)


def _draw(
    likelihood: Likelihood, theta: Mapping[str, np.ndarray], rng: np.random.Generator, longest: float
) -> np.ndarray:
    """Draw one trial for each row of theta, some of them lapses."""
    simulate: Any = likelihood.simulate
    x = np.array(simulate({name: value for name, value in theta.items() if name != NAME}, rng))
    lapsed = rng.random(len(x)) < theta[NAME]
    count = int(lapsed.sum())
    x[lapsed] = np.stack([longest * (1.0 - rng.random(count)), rng.choice((-1.0, 1.0), count)], axis=1)
    return x
