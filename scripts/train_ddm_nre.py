"""Train the ratio estimator of the drift-diffusion model that ships with the package.

    python scripts/train_ddm_nre.py --into runs/ddm-nre

Interrupted, it goes on when started again. The bundle is ``runs/ddm-nre/bundle``; `scripts/audit_ddm_nre.py` holds it
against the exact likelihood and puts it, with that audit, into the package.
"""

from __future__ import annotations

import argparse
import logging
import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # one thread: the same sums in the same order

import firstpassage as fp

BUDGET = 250_000_000  # pairs of parameters and one trial, each of them fresh
SEED = 20_261_121


def main() -> None:
    """Train with the package's default network on a long budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", default="runs/ddm-nre")
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("firstpassage").setLevel(logging.INFO)
    settings = fp.NRE(fp.ddm(), epoch_pairs=1_048_576, validation=131_072, average=0.9995, patience=None)
    learned = settings.fit(budget=arguments.budget, seed=arguments.seed, into=arguments.into)
    print(f"{learned.card['pairs']} pairs, {learned.card['cpu_seconds']} CPU seconds: {arguments.into}")


if __name__ == "__main__":
    main()
