"""The classical two-choice drift-diffusion model.

Evidence starts at -a + 2 a z and drifts at rate v with unit diffusion noise until it first reaches +a (response +1) or
-a (response -1); rt is that time plus the non-decision time t (Ratcliff 1978). **a is half the boundary separation**,
as in HSSM and ssm-simulators; HDDM, Stan's wiener and most papers use the full separation, ``2 * a``.

References
----------
Ratcliff (1978), A theory of memory retrieval, Psychological Review 85. Box: ssm-simulators.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from firstpassage.densities import wiener
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import choices
from firstpassage.models.model import Mixed, Model, Schema, Symmetry
from firstpassage.models.parameter import Parameter, with_bounds

Simulator = Literal["exact", "ssms"]

PARAMETERS = (
    Parameter("v", bounds=(-3.0, 3.0), symbol="$v$", unit="1/s"),  # drift
    Parameter("a", bounds=(0.3, 2.5), symbol="$a$", unit="half separation"),
    Parameter("z", bounds=(0.1, 0.9), symbol="$z$", unit="relative start"),
    Parameter("t", bounds=(0.0, 2.0), symbol="$t$", unit="s"),  # non-decision time
)

_SHORTEST = 1e-6  # s, of a decision: keeps logarithms finite where the data are impossible


def likelihood(theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw choices and response times exactly, without a time step.

    Parameters
    ----------
    theta : dict of str to ndarray, shape (n,)
        v, a, z, t.
    trials : int
        Trials for each parameter set.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray, shape (n, trials)
        rt in seconds, response +1 or -1.
    """
    from firstpassage.densities import wiener_draws

    drawn = wiener_draws.draw(rng, **theta, trials=trials)
    return {"rt": drawn[..., 0], "response": drawn[..., 1]}


def likelihood_ssms(theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Simulate with ssm-simulators' Euler scheme (step .001 s), for comparison: its times are biased upwards.

    Parameters
    ----------
    theta : dict of str to ndarray, shape (n,)
        v, a, z, t.
    trials : int
        Trials for each parameter set.
    rng : numpy.random.Generator
        Gives the seed.

    Returns
    -------
    dict of str to ndarray, shape (n, trials)
        rt in seconds, response +1 or -1.

    Raises
    ------
    ModelError
        If ssm-simulators is not installed.
    """
    try:
        from ssms.basic_simulators.simulator import simulator
    except ImportError:
        raise ModelError('simulator="ssms" needs ssm-simulators: pip install "firstpassage[hssm]".') from None
    table = np.stack([theta[p.name] for p in PARAMETERS], axis=1).astype(np.float32)
    out = simulator(theta=table, model="ddm", n_samples=trials, random_state=int(rng.integers(2**31)), delta_t=0.001)
    n = len(table)
    shaped = {"rt": out["rts"], "response": out["choices"]}
    return {k: np.asarray(v, dtype=np.float64).reshape(trials, n, -1)[:, :, 0].T for k, v in shaped.items()}


def exact(parameters: tuple[Parameter, ...] = PARAMETERS) -> Likelihood:
    """Make the exact likelihood: the Wiener first-passage time density.

    Parameters
    ----------
    parameters : tuple of Parameter
        Their bounds are the box.

    Returns
    -------
    Likelihood
        kind ``"exact"``, float64.

    References
    ----------
    Navarro and Fuss (2009), Journal of Mathematical Psychology 53; Gondan, Blurton and Kesselmeier (2014), 60.
    """
    return Likelihood(
        model="ddm", kind="exact", trial="choice", parameters=parameters, columns=choices.COLUMNS, read=choices.read,
        density=_density, limits=choices.limits, simulate=_simulate_rows,
    )  # fmt: skip


def ddm(*, bounds: Mapping[str, tuple[float, float]] | None = None, simulator: Simulator = "exact") -> Model:
    """Make the two-choice drift-diffusion model.

    Parameters
    ----------
    bounds : mapping of str to (float, float), optional
        Other bounds of the box than the usual v [-3, 3], a [.3, 2.5], z [.1, .9], t [0, 2].
    simulator : {"exact", "ssms"}
        The exact sampler, or ssm-simulators' Euler scheme for comparison.

    Returns
    -------
    Model
        Parameters v (1/s), a (half the boundary separation), z (relative start), t (s), with uniform priors.

    Raises
    ------
    ModelError
        If a bound names no parameter, or makes no diffusion.

    Examples
    --------
    >>> ddm().parameter_names
    ('v', 'a', 'z', 't')
    """
    if simulator not in get_args(Simulator):
        raise ModelError(f"simulator must be one of {', '.join(get_args(Simulator))}; got {simulator!r}.")
    parameters = _with_bounds(bounds or {})
    return Model(
        name="ddm",
        parameters=parameters,
        likelihood=likelihood if simulator == "exact" else likelihood_ssms,
        exact=exact(parameters),
        schema=Schema(trial="choice", columns=choices.COLUMNS, read=choices.read, limits=choices.limits),
        symmetry=Symmetry(invariants=_invariants, log_scale=_log_scale, evidence=_evidence, possible=_possible),
        mixed=Mixed(
            categories=(1.0, -1.0),
            category=_response,
            features=_category_features,
            value=_log_time,
            inverse=_from_log_time,
            possible=_possible,
        ),
        summary=_summary,
        settings={"simulator": simulator},
    )


def reference_priors() -> dict[str, Any]:
    """Give the informed priors of the published workflow, in place of the uniform ones.

    Returns
    -------
    dict of str to numpyro.distributions.Distribution
        Truncated normals on the usual box: v (0, 1.5), a (1, .5), z (.5, .2), t (.3, .3).

    Examples
    --------
    >>> sorted(reference_priors())
    ['a', 't', 'v', 'z']
    """
    import jax
    from numpyro.distributions import TruncatedNormal

    moments = {"v": (0.0, 1.5), "a": (1.0, 0.5), "z": (0.5, 0.2), "t": (0.3, 0.3)}
    box = {p.name: p.bounds for p in PARAMETERS}
    with jax.enable_x64():
        return {name: TruncatedNormal(*moments[name], low=low, high=high) for name, (low, high) in box.items()}


def half_separation(a_full: float | np.ndarray) -> float | np.ndarray:
    """Convert a full boundary separation (HDDM, Stan, most papers) to this package's `a`.

    Parameters
    ----------
    a_full : float or ndarray
        Distance between the two boundaries.

    Returns
    -------
    float or ndarray
        Half of it.

    Examples
    --------
    >>> half_separation(2.0)
    1.0
    """
    return a_full / 2


def _with_bounds(bounds: Mapping[str, tuple[float, float]]) -> tuple[Parameter, ...]:
    """Replace bounds by name, and refuse those of no diffusion."""
    made = with_bounds(PARAMETERS, bounds, model="ddm")
    _, a, z, t = (p.bounds for p in made)
    if a[0] <= 0 or z[0] <= 0 or z[1] >= 1 or t[0] < 0:
        raise ModelError(f"ddm needs a > 0, 0 < z < 1 and t >= 0; got the bounds a {a}, z {z}, t {t}.")
    return made


def _summary(x: np.ndarray) -> np.ndarray:
    """Summarise sets of choices (dataset, trial, 2)."""
    from firstpassage.models import choice_summary

    return choice_summary.summary(x)


def _density(x: Any, theta: Mapping[str, Any]) -> Any:
    """Evaluate the Wiener first-passage time density for trials x (trial, 2)."""
    return wiener.log_density(x[..., 0], x[..., 1], theta["v"], theta["a"], theta["z"], theta["t"])


def _simulate_rows(theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw one trial for each row of theta: (n, 2)."""
    from firstpassage.densities import wiener_draws

    return wiener_draws.draw(rng, **theta, trials=1)[:, 0]


def _invariants(x: Any, theta: Mapping[str, Any]) -> Any:
    """Undo what the simulator does not care about: which boundary is called upper, when t ends, the unit of time.

    Brownian motion scales as space squared over time; with A = 2 a the full separation and c the response, the drift
    c v A, the start c (z - 1/2) and the time (rt - t) / A**2 describe a trial without units. Returned are these three
    and some dimensionless products, among them the drift over the noise, v sqrt(rt - t), and lengths over the
    diffusion length: a small network finds the same function faster in these coordinates.
    """
    import jax.numpy as jnp

    separation = 2 * theta["a"]
    time = jnp.maximum(x[..., 0] - theta["t"], _SHORTEST) / separation**2
    drift = x[..., 1] * theta["v"] * separation
    start = x[..., 1] * (theta["z"] - 0.5)
    spread = jnp.sqrt(time)  # the diffusion length, in units of A
    features = (
        drift,
        start,
        jnp.log(time),
        spread,
        drift * spread,
        drift * start,
        start / (spread + 0.1),
        1 / (spread + 0.1),
    )
    return jnp.stack(jnp.broadcast_arrays(*features), axis=-1)


def _log_scale(x: Any, theta: Mapping[str, Any]) -> Any:
    """Give the log Jacobian of measuring time in units of A**2."""
    import jax.numpy as jnp

    return -2 * jnp.log(2 * theta["a"]) + 0 * x[..., 0]


def _evidence(x: Any) -> Any:
    """Give smooth coordinates of rt, on which the evidence p(rt, response) depends; it is even in the response."""
    import jax.numpy as jnp

    rt = x[..., 0]
    return jnp.stack([jnp.log(rt + 0.05), rt / 2, jnp.sqrt(rt), jnp.exp(-rt)], axis=-1)


def _possible(x: Any, theta: Mapping[str, Any]) -> Any:
    """Tell where the response comes after the non-decision time."""
    return x[..., 0] > theta["t"]


def _response(x: Any) -> Any:
    """Give the response, +1 or -1."""
    return x[..., 1]


def _category_features(theta: Mapping[str, Any], category: Any) -> Any:
    """Give drift and start without units, seen from the boundary of a response; and two functions of them."""
    import jax.numpy as jnp

    drift = category * theta["v"] * 2 * theta["a"]
    start = category * (theta["z"] - 0.5)
    features = (drift, start, drift * start, jnp.sqrt(1 + drift**2))
    return jnp.stack(jnp.broadcast_arrays(*features), axis=-1)


def _log_time(x: Any, theta: Mapping[str, Any]) -> tuple[Any, Any]:
    """Give the log of the decision time in units of A**2, A = 2 a the full separation, and the log Jacobian."""
    import jax.numpy as jnp

    log_time = jnp.log(jnp.maximum(x[..., 0] - theta["t"], _SHORTEST))
    return log_time - 2 * jnp.log(2 * theta["a"]), -log_time


def _from_log_time(u: Any, category: Any, theta: Mapping[str, Any]) -> Any:
    """Undo `_log_time`: rt and response."""
    import jax.numpy as jnp

    rt = theta["t"] + jnp.exp(u) * (2 * theta["a"]) ** 2
    return jnp.stack(jnp.broadcast_arrays(rt, jnp.asarray(category, rt.dtype)), axis=-1)
