"""A likelihood, exact or learned, inside HSSM, from which formulas, links and group effects come.

References
----------
Fengler, Xu, Bera, Paniagua and Frank, HSSM: hierarchical sequential sampling modeling,
https://github.com/lnccbrown/HSSM. It is an optional part: its licence restricts commercial use.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from firstpassage.errors import DataError, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models.choices import COLUMNS
from firstpassage.models.lapses import NAME as LAPSES
from firstpassage.models.lapses import lapses

_CODES = range(-1, 20)  # what a response may be
_OWN_LAPSES = {"name": "Beta", "alpha": 1.0, "beta": 20.0}


def settings(likelihood: Likelihood, *, p_outlier: float | Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give what `hssm.HSSM` needs of a likelihood.

    Outside the box, and where a response comes before the non-decision time, the log density is -inf: HSSM's own floor
    of -66.1 does not apply. Lapses are those of `firstpassage.lapses`, uniform over responses and 20 s, whatever is
    given to HSSM as `lapse`; HSSM's own are uniform over 20 s for each response, so that they sum to 2.

    Parameters
    ----------
    likelihood : Likelihood
        Of choices with response times, such as ``fp.ddm().exact`` or ``fp.pretrained("ddm", "nle")``.
    p_outlier : float or dict, optional
        Probability of a lapse, or its prior as HSSM takes it. None is 0, or where the likelihood has lapses already
        their own prior. HSSM's default of .05 does not apply.

    Returns
    -------
    dict
        Keyword arguments: ``hssm.HSSM(data, **settings(likelihood), include=[...])``.

    Raises
    ------
    ModelError
        If HSSM is not installed, the likelihood is not of choices with response times, or lapses are asked for with a
        ratio.

    Examples
    --------
    >>> import firstpassage as fp
    >>> given = settings(fp.ddm().exact)
    >>> given["model_config"]["list_params"], given["model_config"]["choices"]
    (['v', 'a', 'z', 't'], (-1, 1))
    """
    _check(likelihood, p_outlier)
    from firstpassage.bridges._hssm_variable import distribution

    own = [p for p in likelihood.parameters if p.name != LAPSES]
    mixed = len(own) < len(likelihood.parameters)
    if p_outlier is None:
        p_outlier = _OWN_LAPSES if mixed else 0.0
    if p_outlier != 0 and not mixed:
        likelihood = lapses(likelihood)
    learned = likelihood.kind in ("nle", "nre")
    return {
        "model": likelihood.model,
        "model_config": {
            "response": COLUMNS,
            "list_params": [p.name for p in own],
            "choices": _codes(likelihood),
            "bounds": {p.name: p.bounds for p in own},
            "backend": "jax" if learned else None,
        },
        "loglik": distribution(likelihood),
        "loglik_kind": "approx_differentiable" if learned else "analytical",
        "p_outlier": dict(p_outlier) if isinstance(p_outlier, Mapping) else p_outlier,
    }


def _check(likelihood: Likelihood, p_outlier: Any) -> None:
    """Refuse what HSSM cannot use."""
    if find_spec("hssm") is None:
        raise ModelError('to_hssm needs HSSM: pip install "firstpassage[hssm]".')
    if likelihood.columns != COLUMNS or likelihood.joint is not None:
        raise ModelError(
            f"HSSM takes likelihoods of choices with response times, columns rt and response; that of "
            f"{likelihood.model} has {', '.join(likelihood.columns[:3])}. Use fp.observe in a PyMC model."
        )
    if likelihood.kind == "nre" and p_outlier not in (None, 0):
        raise ModelError(
            "a ratio (kind 'nre') is not a density, so it cannot be mixed with lapses: p_outlier must be 0; got "
            f"{p_outlier!r}. Leave it out, or use the exact likelihood or kind 'nle'."
        )


def _codes(likelihood: Likelihood) -> tuple[int, ...]:
    """Find out what the responses may be, by asking the likelihood to read each."""
    return tuple(code for code in _CODES if _reads(likelihood, code))


def _reads(likelihood: Likelihood, code: int) -> bool:
    """Tell whether a code of a response is read."""
    try:
        likelihood.read([[0.5, float(code)]])
    except DataError:
        return False
    return True
