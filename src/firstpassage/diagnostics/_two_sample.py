"""Classifier two-sample test: whether a classifier can tell two sets of posterior draws apart."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from firstpassage import _draws, seeds
from firstpassage.errors import DataError

_FOLDS = 5
_FEWEST = 50
_MANY = 1000


def two_sample(draws: Any, exact: Any, *, seed: int, size: int = 2000) -> float:
    """Compute the accuracy with which a classifier tells two posteriors apart: .5 if they are the same, 1 if disjoint.

    Both are thinned to the same number of draws and standardised by the second one; the classifier is a perceptron
    with two hidden layers of ten units per parameter, and the accuracy is that on held-out fifths.

    Parameters
    ----------
    draws, exact : DataTree
        Posterior draws with the same parameters.
    seed : int
        Of folds and classifier.
    size : int
        Draws of each, at most.

    Returns
    -------
    float
        Mean held-out accuracy; about .5 +- .01 for equal posteriors and 2,000 draws.

    Raises
    ------
    DataError
        If the parameters differ, or there are fewer than 50 draws.

    References
    ----------
    Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests, ICLR.

    Examples
    --------
    >>> import arviz_base, numpy as np
    >>> def normal(mean):
    ...     return arviz_base.from_dict({"posterior": {"v": np.random.default_rng(1).normal(mean, 1, (4, 100))}})
    >>> two_sample(normal(0.0), normal(9.0), seed=1) > 0.95
    True
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    ours, theirs = _table(draws, size), _table(exact, size)
    if set(ours) != set(theirs):
        raise DataError(f"both posteriors must have the same parameters; got {sorted(ours)} and {sorted(theirs)}.")
    a, b = (np.stack([table[name] for name in theirs], axis=1) for table in (ours, theirs))
    n = min(len(a), len(b))
    if n < _FEWEST:
        raise DataError(f"a two-sample test needs at least {_FEWEST} draws of each posterior; got {n}. Sample more.")
    both = (np.concatenate([a[:n], b[:n]]) - b.mean(0)) / b.std(0)
    state = seeds.derive(seed, "two-sample test") % 2**31
    width = 10 * both.shape[1]
    # With few draws the part that decides when to stop early is too small to learn anything from.
    training = {"max_iter": 150, "early_stopping": n >= _MANY, "n_iter_no_change": 10, "learning_rate_init": 5e-3}
    classifier = MLPClassifier((width, width), random_state=state, **training)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=state)
    # Products of such small matrices take several threads longer than one, most of it spent waiting.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a classifier that has not converged finds less, which shows in the accuracy
        return float(cross_val_score(classifier, both, np.repeat([0, 1], n), cv=folds).mean())


def _table(draws: Any, size: int) -> dict[str, np.ndarray]:
    """Thin every parameter's draws evenly, over all chains, to at most `size`."""
    flat = {name: values.ravel() for name, values in _draws.scalars(draws).items()}
    drawn = len(next(iter(flat.values())))
    kept = np.linspace(0, drawn - 1, min(size, drawn)).astype(int)
    return {name: values[kept] for name, values in flat.items()}
