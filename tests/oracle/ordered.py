"""A small model with a joint prior: two means, one below the other, and a spread with atoms at its bounds."""

import jax.numpy as jnp
import numpy as np

import firstpassage as fp
from firstpassage.likelihood import Likelihood
from firstpassage.models.joint import Conditional, Joint
from firstpassage.models.records import Schema

PARAMETERS = (
    fp.Parameter("spread", bounds=(0.7, 1.4)),
    fp.Parameter("low", bounds=(-3, 1.8)),
    fp.Parameter("high", bounds=(-2, 2)),
)
JOINT = Joint(
    conditionals=(
        Conditional(name="high", family="TruncatedNormal", location=0.5, scale=1.0, lower=-2.0, upper=2.0),
        Conditional(
            name="low", family="TruncatedNormal", location=0.0, scale=1.0, lower=-3.0, upper=2.0, below="high", gap=0.2
        ),
        Conditional(name="spread", family="ClippedLogNormal", location=0.0, scale=0.4, lower=0.7, upper=1.4),
    ),
    names=("spread", "low", "high"),
)


def density(x, theta):
    """Give the log density of trials x (trial, 2): one normal value around each mean."""
    means = jnp.stack(jnp.broadcast_arrays(theta["low"], theta["high"]), axis=-1)
    spread = jnp.asarray(theta["spread"])[..., None]
    return (-0.5 * ((x - means) / spread) ** 2 - jnp.log(spread) - 0.5 * jnp.log(2 * jnp.pi)).sum(-1)


def rough(x, theta):
    """Give nearly the same density."""
    return density(x, {**theta, "spread": theta["spread"] * 1.05})


def likelihood(kind="exact", of=density, **more):
    """Make the likelihood, with the joint prior."""
    return Likelihood(
        model="ordered", kind=kind, trial="trial", parameters=PARAMETERS, columns=("a", "b"), density=of, joint=JOINT,
        read=lambda data: np.asarray(data, dtype=np.float64).reshape(-1, 2), **more,
    )  # fmt: skip


EXACT = likelihood(approximation=likelihood("approximate", rough))


def simulate(theta, *, trials, rng):
    """Draw trials (n, trial, 2)."""
    means = np.stack([theta["low"], theta["high"]], axis=-1)[:, None]
    return {"x": means + theta["spread"][:, None, None] * rng.standard_normal((len(means), trials, 2))}


def model():
    """Make the model."""
    schema = Schema(trial="trial", columns=("a", "b"), read=EXACT.read)
    return fp.Model(name="ordered", parameters=PARAMETERS, likelihood=simulate, prior=JOINT, exact=EXACT, schema=schema)


def posterior(x, *, draws=400_000, seed=1):
    """Weigh draws of the prior by the likelihood of x (trial, 2): parameters (draw,) by name, and weights."""
    theta = JOINT.parameters(JOINT.sample(draws, np.random.default_rng(seed)))
    log = np.zeros(draws)
    for row in np.asarray(x):
        for value, name in zip(row, ("low", "high"), strict=True):
            log += -0.5 * ((value - theta[name]) / theta["spread"]) ** 2 - np.log(theta["spread"])
    weight = np.exp(log - log.max())
    return theta, weight / weight.sum()
