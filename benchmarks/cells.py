"""What the benchmark of accuracy trains: models, methods, usual settings and published ones.

Published are the ratio of choices (BayesFlow's RatioEstimator, MLP 3 x 256, 32 candidates, batches of 64, cosine from
5e-4), the flow on statistics of windows (batches of 256, staircase decay from 1e-3), the recurrent network on raw
traces, and ratios of the teaching models (64 candidates, batches of 128; BayesFlow's default network).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import firstpassage as fp

SEED = 880_000


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model, method and settings; `learn` trains on a budget, of which the first one is given."""

    model: str
    method: str
    learn: Callable[[int], Any]
    first: int
    published: bool = False

    @property
    def name(self) -> str:
        """Such as "ddm-nre" or "ddm-nre-published"."""
        return f"{self.model}-{self.method}" + ("-published" if self.published else "")


def ours(make: Callable[[], Any]) -> Callable[[int], Any]:
    """Train by this package."""
    return lambda budget: make().fit(budget=budget, seed=SEED)


def bare(name: str, *, candidates: int, batch: int, network: dict[str, Any]) -> Callable[[int], Any]:
    """Train BayesFlow's RatioEstimator as it is, and make its ratio a likelihood that the package can sample."""

    def learn(budget: int) -> Any:
        import bayesflow as bf
        import jax.numpy as jnp
        import keras
        import numpy as np
        from bayesflow.wrappers.pymc.backend.jax_ratio import JAXRatio

        model = registered(name)
        names, columns = list(model.parameter_names), list(model.exact.columns)
        theta = model.prior(budget, seed=SEED)
        drawn = model.likelihood(theta, trials=1, seed=SEED)
        data = theta | {column: np.asarray(drawn[column][:, 0], "float64") for column in columns}
        adapter = (
            bf.Adapter()
            .expand_dims(names + columns, axis=-1)
            .convert_dtype("float64", "float32")
            .concatenate(names, into="inference_variables")
            .concatenate(columns, into="inference_conditions")
        )
        keras.utils.set_random_seed(SEED)
        estimator = bf.RatioEstimator(
            inference_network=bf.networks.MLP(**network), adapter=adapter, K=candidates, standardize="all"
        )
        rate = keras.optimizers.schedules.CosineDecay(5e-4, budget // batch)
        estimator.compile(optimizer=keras.optimizers.Adam(rate))
        once = bf.datasets.OfflineDataset(data=data, batch_size=batch, adapter=adapter, num_samples=budget)
        estimator.fit(dataset=once, epochs=1, verbose=0)
        log_ratio = JAXRatio(estimator, names).logp_nojit

        def density(x: Any, theta: Mapping[str, Any]) -> Any:
            rows = [jnp.broadcast_to(jnp.asarray(theta[name], "float32"), x.shape[:1]) for name in names]
            return log_ratio(jnp.asarray(x, "float32"), *rows)

        return replace(
            model.exact, kind="nre", density=density, approximation=None, sums=None, precision="float32", card=None
        )

    return learn


def registered(name: str) -> Any:
    """Make a model of the package."""
    makers = {"ddm": fp.ddm, "foraging": fp.foraging, "lif": fp.lif, "gaussian": fp.gaussian, "poisson": fp.poisson}
    return makers[name]()


def windows() -> fp.NLE:
    """Set up the flow on statistics of windows as published."""
    return fp.NLE(
        fp.foraging(), unit="window", batch=256, learning_rate=1e-3, decay=(0.999, 5000), average=0.0, patience=5,
        epoch_pairs=65_536, validation=8192,
    )  # fmt: skip


def traces(budget: int) -> Any:
    """Train the recurrent network on raw traces as published, on so many of these."""
    from lif_npe import reference

    return reference(1, budget).fit(budget=budget, seed=SEED)


WIDE = {"widths": (256, 256, 256), "dropout": None}
CELLS = (
    Cell(model="gaussian", method="npe", first=30_000, learn=ours(lambda: fp.NPE(fp.gaussian(), trials=50))),
    Cell(model="gaussian", method="nle", first=250_000, learn=ours(lambda: fp.NLE(fp.gaussian()))),
    Cell(
        model="gaussian", method="nre", first=125_000,
        learn=ours(lambda: fp.NRE(fp.gaussian(), batch=512, epoch_pairs=65_536, validation=16_384)),
    ),
    Cell(
        model="gaussian", method="nre", published=True, first=6_400,
        learn=bare("gaussian", candidates=64, batch=128, network={}),
    ),
    Cell(model="poisson", method="npe", first=30_000, learn=ours(lambda: fp.NPE(fp.poisson(), trials=50))),
    Cell(
        model="poisson", method="nre", first=250_000,
        learn=ours(
            lambda: fp.NRE(fp.poisson(), candidates=16, batch=256, epoch_pairs=131_072, validation=16_384)
        ),
    ),
    Cell(
        model="poisson", method="nre", published=True, first=6_400,
        learn=bare("poisson", candidates=64, batch=128, network={}),
    ),
    Cell(model="ddm", method="npe", first=60_000, learn=ours(lambda: fp.NPE(fp.ddm(), trials=200))),
    Cell(model="ddm", method="nle", first=2_000_000, learn=ours(lambda: fp.NLE(fp.ddm()))),
    Cell(model="ddm", method="nre", first=2_000_000, learn=ours(lambda: fp.NRE(fp.ddm()))),
    Cell(
        model="ddm", method="nre", published=True, first=12_800,
        learn=bare("ddm", candidates=32, batch=64, network=WIDE),
    ),
    Cell(model="foraging", method="npe", first=30_000, learn=ours(lambda: fp.NPE(fp.foraging()))),
    Cell(model="foraging", method="nle", first=30_000, learn=ours(lambda: fp.NLE(fp.foraging(), unit="patch"))),
    Cell(model="foraging", method="nre", first=15_000, learn=ours(lambda: fp.NRE(fp.foraging(), unit="patch"))),
    Cell(
        model="foraging", method="nle-window", first=100_000,
        learn=ours(lambda: fp.NLE(fp.foraging(), unit="window")),
    ),
    Cell(model="foraging", method="nle-window", published=True, first=100_000, learn=ours(windows)),
    Cell(model="lif", method="npe", first=50_000, learn=ours(lambda: fp.NPE(fp.lif()))),
    Cell(model="lif", method="nle", first=50_000, learn=ours(lambda: fp.NLE(fp.lif()))),
    Cell(model="lif", method="nre", first=50_000, learn=ours(lambda: fp.NRE(fp.lif()))),
    Cell(model="lif", method="npe", published=True, first=640, learn=traces),
)  # fmt: skip
