"""Train the estimators that ship with the package, one at a time.

    python scripts/train_estimators.py ddm-nle [--into runs/ddm-nle] [--budget N]

Interrupted, it goes on when started again. The bundle is ``INTO/bundle``; an audit holds it against the exact
likelihood and puts it, with that audit, into the package.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # one thread: the same sums in the same order

import firstpassage as fp


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained, on how many simulations, from which seed."""

    make: Callable[[], Any]
    budget: int
    seed: int = 20_261_121


RECIPES = {
    "ddm-nre": Recipe(
        make=lambda: fp.NRE(fp.ddm(), epoch_pairs=1_048_576, validation=131_072, average=0.9995, patience=None),
        budget=250_000_000,  # pairs of parameters and one trial, each of them fresh
    ),
    "ddm-nle": Recipe(
        make=lambda: fp.NLE(fp.ddm(), epoch_pairs=1_048_576, validation=131_072, average=0.9995, patience=None),
        budget=250_000_000,  # pairs, as above
    ),
    "ddm-npe": Recipe(
        make=lambda: fp.NPE(
            fp.ddm(), trials=(20, 1000), passes=4, epoch_pairs=131_072, validation=16_384, average=0.9995, patience=None
        ),
        budget=15_000_000,  # sets of 20 to 1,000 trials, each used in four passes
    ),
    "foraging-npe": Recipe(
        make=lambda: fp.NPE(
            fp.foraging(),
            passes=3,
            batch=128,
            epoch_pairs=65_536,
            validation=8192,
            learning_rate=1e-3,
            average=0.9995,
            patience=None,
        ),
        budget=7_000_000,  # windows of 100 sites, each used in three passes
    ),
    "foraging-npe-statistics": Recipe(  # not shipped: what the 37 statistics lose
        make=lambda: fp.NPE(
            fp.foraging(),
            trials=1,
            summary="moments",
            passes=3,
            epoch_pairs=131_072,
            validation=16_384,
            average=0.9995,
            patience=None,
            widths=(128, 128, 128),
        ),
        budget=4_000_000,  # windows, each used in three passes
    ),
    "foraging-nle": Recipe(
        make=lambda: fp.NLE(
            fp.foraging(),
            unit="patch",
            widths=(64, 64),
            memory=32,
            batch=16,
            epoch_pairs=32_768,
            validation=8192,
            average=0.9995,
            patience=None,
        ),
        budget=3_000_000,  # windows of 100 sites, each of them fresh
    ),
    "foraging-nre": Recipe(
        make=lambda: fp.NRE(
            fp.foraging(),
            unit="patch",
            widths=(64, 64),
            evidence_widths=(32, 32),
            batch=16,
            epoch_pairs=16_384,
            validation=4096,
            learning_rate=1e-3,
            average=0.9995,
            patience=None,
        ),
        budget=1_000_000,  # packs of 100 sites with 18 visits on average, each of them fresh
    ),
    "lif-npe": Recipe(
        make=lambda: fp.NPE(
            fp.lif(),
            passes=5,
            batch=256,
            epoch_pairs=65_536,
            validation=8192,
            learning_rate=1e-3,
            average=0.9995,
            patience=None,
        ),
        budget=2_228_224,  # traces of 200 ms, each used in five passes
    ),
    "lif-nre": Recipe(
        make=lambda: fp.NRE(
            fp.lif(),
            unit="trace",
            widths=(160, 160, 160),
            batch=256,
            epoch_pairs=65_536,
            validation=8192,
            average=0.9995,
            patience=None,
        ),
        budget=1_310_720,  # traces of 200 ms, each of them fresh, with 15 candidates around its guess
    ),
    "gaussian-nre": Recipe(
        make=lambda: fp.NRE(
            fp.gaussian(), batch=512, epoch_pairs=65_536, validation=16_384, average=0.9995, patience=None
        ),
        budget=1_310_720,  # draws, each of them fresh, with 64 candidates
    ),
    "poisson-nre": Recipe(
        make=lambda: fp.NRE(
            fp.poisson(),
            candidates=16,
            batch=256,
            epoch_pairs=131_072,
            validation=16_384,
            learning_rate=4e-3,
            average=0.9995,
            patience=None,
        ),
        budget=10_485_760,  # cookies, each of them fresh, with 16 candidates
    ),
    "foraging-nle-window": Recipe(
        make=lambda: fp.NLE(
            fp.foraging(),
            unit="window",
            batch=64,
            epoch_pairs=65_536,
            validation=8192,
            learning_rate=1e-3,
            average=0.9995,
            patience=None,
        ),
        budget=1_507_328,  # windows of 100 sites, each of them fresh
    ),
}


def main() -> None:
    """Train one estimator on its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--into", help="the training folder; runs/NAME unless given")
    parser.add_argument("--budget", type=int, help="other than the recipe's")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("firstpassage").setLevel(logging.INFO)
    recipe, into = RECIPES[arguments.name], arguments.into or f"runs/{arguments.name}"
    learned = recipe.make().fit(budget=arguments.budget or recipe.budget, seed=recipe.seed, into=into)
    print(f"{learned.card['pairs']} simulations, {learned.card['cpu_seconds']} CPU seconds: {into}")


if __name__ == "__main__":
    main()
