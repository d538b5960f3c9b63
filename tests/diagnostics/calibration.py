"""Two normal means with a known posterior, its exact sampler, and what can be broken in a sampler's draws."""

import math
from dataclasses import dataclass, replace

import arviz_base
import numpy as np

import firstpassage as fp


@dataclass(frozen=True)
class Normal:
    """A normal prior that Model and Likelihood can use."""

    mean: float
    sd: float

    def sample(self, n, rng):
        return rng.normal(self.mean, self.sd, n)

    def log_prob(self, value):
        return -0.5 * ((value - self.mean) / self.sd) ** 2 - math.log(self.sd)


PRIORS = {"p": Normal(0.0, 1.0), "q": Normal(1.0, 2.0)}
NOISE = {"p": 2.0, "q": 3.0}
COLUMNS = ("x", "y")
PARAMETERS = tuple(fp.Parameter(name, bounds=(-30.0, 30.0), prior=prior) for name, prior in PRIORS.items())


def simulate(theta, *, trials, rng):
    size = (len(theta["p"]), trials)
    return {c: rng.normal(theta[k][:, None], NOISE[k], size) for c, k in zip(COLUMNS, PRIORS, strict=True)}


def read(data):
    return np.stack([data[name] for name in COLUMNS], axis=1)


def density(x, theta):
    import jax.numpy as jnp

    residuals = [(x[:, i] - theta[name]) / sd for i, (name, sd) in enumerate(NOISE.items())]
    return sum(-0.5 * r**2 for r in residuals) - jnp.log(2 * jnp.pi * 6.0)


EXACT = fp.Likelihood(
    model="pair", kind="exact", trial="trial", parameters=PARAMETERS, columns=COLUMNS, read=read, density=density
)
MODEL = fp.Model(name="pair", parameters=PARAMETERS, likelihood=simulate, exact=EXACT)


@dataclass(frozen=True)
class Conjugate:
    """Draw from the exact posterior of every data set, independently."""

    kind = "npe"
    parameters = PARAMETERS

    def sample(self, data, *, draws, seed):
        rng = np.random.default_rng(seed)
        found = {}
        for (name, prior), column in zip(PRIORS.items(), COLUMNS, strict=True):
            total = np.array([one[column].sum() for one in data]) / NOISE[name] ** 2
            precision = np.array([len(one[column]) for one in data]) / NOISE[name] ** 2 + prior.sd**-2
            mean = (total + prior.mean / prior.sd**2) / precision
            found[name] = rng.normal(mean, precision**-0.5, (1, draws, len(data)))
        return arviz_base.from_dict({"posterior": found}, dims=dict.fromkeys(found, ["dataset"]))


def scaled(simulated, factor):
    """Shrink or widen every posterior around its mean."""
    means = {name: x.mean(axis=1, keepdims=True) for name, x in simulated.draws.items()}
    return replace(simulated, draws={k: means[k] + factor * (x - means[k]) for k, x in simulated.draws.items()})


def ignorant(simulated, seed):
    """Replace every posterior by the prior."""
    datasets, draws = simulated.size
    prior = simulated.model.prior(datasets * draws, seed=seed)
    return replace(simulated, draws={name: x.reshape(datasets, draws) for name, x in prior.items()})


def swapped(simulated, one, other):
    """Confuse two parameters, each scaled to the other's box."""
    box = {p.name: p.bounds for p in simulated.parameters}

    def moved(name, to):
        (low, high), (start, end) = box[name], box[to]
        return start + (simulated.draws[name] - low) / (high - low) * (end - start)

    return replace(simulated, draws=simulated.draws | {one: moved(other, one), other: moved(one, other)})


def shifted(simulated, name, by):
    """Add a constant to one parameter."""
    return replace(simulated, draws=simulated.draws | {name: simulated.draws[name] + by})
