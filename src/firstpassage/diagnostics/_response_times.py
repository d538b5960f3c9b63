"""Response times: histograms by response, of the data and of posterior predictive replicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstpassage.errors import DataError

RESPONSES = {"upper": 1.0, "lower": -1.0}
_BINS = (10, 40)  # fewest and most


@dataclass(frozen=True, kw_only=True)
class ResponseTimes:
    """Hold defective densities of rt, which integrate to the share of each response.

    Parameters
    ----------
    edges : ndarray, shape (bin + 1,), seconds
        Of the bins.
    observed, median, low, high : dict of str to ndarray, shape (bin,), 1/s
        For the responses ``"upper"`` (+1) and ``"lower"`` (-1): density of the data, and median, 5 % and 95 %
        quantile over the replicates.
    """

    edges: np.ndarray
    observed: dict[str, np.ndarray]
    median: dict[str, np.ndarray]
    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]


def response_times(data: np.ndarray, replicates: np.ndarray) -> ResponseTimes:
    """Compare the response times of data with those of replicates.

    Parameters
    ----------
    data : ndarray, shape (trial, 2)
        rt in seconds, response +1 or -1.
    replicates : ndarray, shape (replicate, trial, 2)
        As `predictive` returns them. Their spread is that of data sets of this size, sampling error included.

    Returns
    -------
    ResponseTimes
        Densities on bins of equal width.

    Raises
    ------
    DataError
        If the shapes do not fit.

    Examples
    --------
    >>> data = np.array([[0.5, 1.0], [0.7, -1.0], [0.9, 1.0]])
    >>> found = response_times(data, np.stack([data, data]))
    >>> float((found.observed["lower"] * np.diff(found.edges)).sum().round(3))
    0.333
    """
    data, replicates = np.asarray(data, dtype=np.float64), np.asarray(replicates, dtype=np.float64)
    if data.ndim != 2 or data.shape[-1] != 2 or replicates.shape[1:] != data.shape or not len(data):
        raise DataError(
            f"replicates must have the shape (replicate, {', '.join(map(str, data.shape))}), that of data "
            f"(trial, 2); got {replicates.shape}. Make them with diagnostics.predictive."
        )
    edges = _edges(data[:, 0], replicates[..., 0])
    drawn = {name: np.stack([_density(r, code, edges) for r in replicates]) for name, code in RESPONSES.items()}
    low, median, high = ({k: np.quantile(v, q, axis=0) for k, v in drawn.items()} for q in (0.05, 0.5, 0.95))
    observed = {name: _density(data, code, edges) for name, code in RESPONSES.items()}
    return ResponseTimes(edges=edges, observed=observed, median=median, low=low, high=high)


def _edges(rt: np.ndarray, replicated: np.ndarray) -> np.ndarray:
    """Choose bins by the rule of Freedman and Diaconis, within limits, over data and replicates."""
    low = min(rt.min(), np.quantile(replicated, 0.001))
    high = max(rt.max(), np.quantile(replicated, 0.999))
    width = 2 * np.subtract(*np.quantile(rt, (0.75, 0.25))) / len(rt) ** (1 / 3)
    number = int(np.clip((high - low) / width if width > 0 else 0, *_BINS))
    return np.linspace(low, high, number + 1)


def _density(trials: np.ndarray, response: float, edges: np.ndarray) -> np.ndarray:
    """Compute the defective density of rt for one response: it integrates to that response's share."""
    counts, _ = np.histogram(trials[trials[:, 1] == response, 0], bins=edges)
    return counts / (len(trials) * np.diff(edges))
