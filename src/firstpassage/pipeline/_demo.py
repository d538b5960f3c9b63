"""Demo: Cavanagh et al. (2011), each condition by every shipped estimator and by the exact likelihood."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from firstpassage.errors import DataError
from firstpassage.models import registry
from firstpassage.pipeline import _catalogue, _figures
from firstpassage.pipeline._fit import FitRun, FitSettings, fit_table
from firstpassage.pipeline._report import by_group

_TABLE = Path("datasets") / "cavanagh_theta_nn.csv"  # what hssm.load_data("cavanagh_theta") reads


def table() -> Path:
    """Find the table of Cavanagh et al. in the installed HSSM, without importing it.

    Returns
    -------
    Path
        A CSV of 3,988 trials with the columns participant_id, stim, rt, response, theta, dbs, conf.

    Raises
    ------
    DataError
        If HSSM is not installed, or has no such file.

    References
    ----------
    Cavanagh, Wiecki, Cohen, Figueroa, Samanta, Sherman and Frank (2011), Nature Neuroscience 14, 1462-1467.
    """
    remedy = 'Install it: pip install "firstpassage[hssm]".'
    spec = find_spec("hssm")
    if spec is None or spec.origin is None:
        raise DataError(f"the demo reads its data from the package hssm, which is not installed. {remedy}")
    path = Path(spec.origin).parent / _TABLE
    if not path.is_file():
        raise DataError(f"the installed hssm has no {_TABLE}; the demo was made for hssm 0.4. {remedy}")
    return path


def settings() -> FitSettings:
    """Choose every shipped estimator of the diffusion model, and the exact likelihood.

    Returns
    -------
    FitSettings
        With few draws, so that the demo takes minutes.

    Examples
    --------
    >>> settings().methods[-1]
    'exact'
    """
    from firstpassage.estimators import bundle

    shipped = bundle.list_shipped()
    methods = (*(kind for kind in _catalogue.LEARNED if ("ddm", kind) in shipped), "exact")
    return FitSettings(model="ddm", methods=methods, draws=500, tune=500, chains=4, seed=1, correct="npe" in methods)


def demo(
    *, into: str | Path, force: bool = False, progress: Callable[[dict[str, Any]], None] | None = None
) -> tuple[FitRun, list[Path]]:
    """Fit the conditions LL, WL and WW of Cavanagh et al. by all methods, and draw them side by side.

    Draws of npe are corrected by the exact likelihood: WL has 2016 trials, more than it was trained for.

    Parameters
    ----------
    into : str or Path
        The folder.
    force : bool
        Replace another run.
    progress : callable, optional
        As `fit_table` calls it.

    Returns
    -------
    FitRun
        The fits.
    list of Path
        The two overview figures.

    Raises
    ------
    DataError
        If HSSM, which brings the data, is not installed.
    ArtefactError
        If the folder cannot be used.
    """
    chosen = settings()
    run = fit_table(table(), chosen, into=into, by=("stim",), force=force, progress=progress)
    rows, model = by_group(run), registry.make(chosen.model)
    drawn = [
        draw(rows, run.path / "figures" / f"{draw.__name__}.png", model=model, seed=chosen.seed)
        for draw in (_figures.marginals, _figures.predictive)
    ]
    return run, drawn
