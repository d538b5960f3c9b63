"""The leaky integrate-and-fire neuron under a noisy current, from its voltage and its spikes.

Below the threshold V_th the membrane's voltage relaxes to its resting value, driven by the current:
tau_m dv/dt = -(v - E_L) + I / g_L. At the threshold the neuron spikes; the voltage is held at V_reset for a refractory
time. The current is drawn at every step and not observed, the voltage is observed with noise. Given the parameters
the voltage between two spikes is a Gaussian process that has not reached the threshold, so that a one-dimensional
filter gives the likelihood; `densities.lif` computes it.

Parameters depend on each other, V_reset < V_init < E_L: their joint prior has coordinates in which every draw obeys
that, and the clipped tau_m and g_L have point masses on their bounds.

References
----------
Lapicque (1907); Gerstner, Kistler, Naud and Paninski (2014), Neuronal dynamics, chapter 1, eq. 1.5. Update order, prior
and constants are those of a published workflow for such traces; the likelihood is derived here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any

import numpy as np

from firstpassage.densities import lif as traces
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import lif_simulator, lif_traces
from firstpassage.models.joint import Conditional, Joint
from firstpassage.models.lif_guess import guess
from firstpassage.models.lif_recording import Recording
from firstpassage.models.lif_statistics import SUMMARY_NAMES, summary_statistics
from firstpassage.models.lif_traces import detect_spikes
from firstpassage.models.model import Model
from firstpassage.models.parameter import Parameter
from firstpassage.models.records import Schema, Statistics

__all__ = [
    "PARAMETERS",
    "SUMMARY_NAMES",
    "Recording",
    "approximate",
    "detect_spikes",
    "exact",
    "lif",
    "reference_prior",
    "summary_statistics",
]

_NAMES = ("V_th", "tau_m", "g_L", "V_reset", "V_init", "E_L")
_LABELS = {
    "V_th": (r"$V_{th}$", "mV"),  # threshold
    "tau_m": (r"$\tau_m$", "ms"),  # time constant of the membrane
    "g_L": ("$g_L$", "nS"),  # leak conductance
    "V_reset": (r"$V_{reset}$", "mV"),  # after a spike
    "V_init": (r"$V_{init}$", "mV"),  # at the first sample
    "E_L": ("$E_L$", "mV"),  # where the leak alone leads
}
_GAP = 0.5  # mV that V_reset stays below V_init, and V_init below E_L
_FIELDS = ("family", "location", "scale", "lower", "upper")  # of a prior, as a setting


def reference_prior() -> Joint:
    """Give the joint prior of the published workflow.

    Returns
    -------
    Joint
        Truncated normals of V_th, E_L, V_init < E_L and V_reset < V_init (mV), clipped log-normals of tau_m (ms) and
        g_L (nS).

    Examples
    --------
    >>> reference_prior().bounds["V_reset"]
    (-85.0, -65.5)
    """
    normal = partial(Conditional, family="TruncatedNormal", scale=2.0)
    clipped = partial(Conditional, family="ClippedLogNormal", location=math.log(10.0), scale=0.2, lower=5.0)
    return Joint(
        conditionals=(
            normal(name="V_th", location=-55.0, lower=-60.0, upper=-50.0),
            clipped(name="tau_m", upper=20.0),
            clipped(name="g_L", upper=15.0),
            normal(name="E_L", location=-70.0, lower=-75.0, upper=-60.0),
            normal(name="V_init", location=-70.0, lower=-80.0, upper=-65.0, below="E_L", gap=_GAP),
            normal(name="V_reset", location=-72.0, lower=-85.0, upper=-65.0, below="V_init", gap=_GAP),
        ),
        names=_NAMES,
    )


def _parameters(joint: Joint) -> tuple[Parameter, ...]:
    """Make the parameters, in the box of their joint prior."""
    return tuple(Parameter(name, bounds=joint.bounds[name], symbol=s, unit=u) for name, (s, u) in _LABELS.items())


PARAMETERS = _parameters(reference_prior())


def lif(
    *,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    prior: Mapping[str, Any] | None = None,
    **recording: Any,
) -> Model:
    """Make the leaky integrate-and-fire neuron.

    Parameters
    ----------
    bounds : mapping of str to (float, float), optional
        Other bounds of the prior than V_th [-60, -50], tau_m [5, 20], g_L [5, 15], V_reset [-85, -65.5],
        V_init [-80, -65], E_L [-75, -60].
    prior : mapping of str to tuple or mapping, optional
        Other priors, by parameter: ``(location, scale, lower, upper)``, of the logarithm for tau_m and g_L, or a
        mapping with some of family ("TruncatedNormal" or "ClippedLogNormal"), location, scale, lower, upper. V_reset
        stays .5 mV below V_init, and that below E_L.
    **recording
        Settings of the recording, by the names of `Recording`: T, dt, tref (ms), I_mean, I_std (pA), obs_noise_std,
        v_clip (mV), stimulus (pA).

    Returns
    -------
    Model
        Data are traces of voltage (mV) and spikes (0 or 1), (trace, sample) each; parameters V_th, tau_m (ms), g_L
        (nS), V_reset, V_init, E_L (mV). `exact` and its `approximation` have one log density for each trace.

    Raises
    ------
    ModelError
        If a bound, a prior or a setting cannot be, or they do not go together.

    Examples
    --------
    >>> import firstpassage as fp
    >>> model = fp.lif(T=50.0)
    >>> model.likelihood(model.prior(2, seed=1), trials=3, seed=2)["voltage"].shape
    (2, 3, 250)
    """
    chosen, joint = Recording(**_known(recording)), _joint(prior or {}, bounds or {})
    _check_fit(joint, chosen)
    parameters = _parameters(joint)
    return Model(
        name="lif",
        parameters=parameters,
        prior=joint,
        likelihood=partial(lif_simulator.draw, recording=chosen),
        exact=exact(parameters, recording=chosen, joint=joint),
        schema=_traces(chosen),
        statistics=Statistics(names=SUMMARY_NAMES, of_trials=partial(_statistics, recording=chosen)),
        summary=partial(_summary, recording=chosen),
        guess=partial(guess, joint=joint),
        settings={**chosen.settings, "prior": _prior_settings(joint)},
    )


def exact(
    parameters: tuple[Parameter, ...] = PARAMETERS, *, recording: Recording | None = None, joint: Joint | None = None
) -> Likelihood:
    """Make the exact likelihood of traces: a Kalman filter far below the threshold, a fixed grid near it, in float64.

    Parameters
    ----------
    parameters : tuple of Parameter
        Their bounds are the box.
    recording : Recording, optional
        Settings.
    joint : Joint, optional
        The prior; unless given, that of the published workflow.

    Returns
    -------
    Likelihood
        kind ``"exact"``; one log density for each trace. Its `approximation` is what `approximate` makes.

    References
    ----------
    Derived in `firstpassage.densities.lif`.
    """
    rough = approximate(parameters, recording=recording, joint=joint)
    return _likelihood("exact", parameters, recording or Recording(), joint, approximation=rough)


def approximate(
    parameters: tuple[Parameter, ...] = PARAMETERS, *, recording: Recording | None = None, joint: Joint | None = None
) -> Likelihood:
    """Make the moment-matched likelihood of traces: quick, close, and not exact.

    Parameters
    ----------
    parameters : tuple of Parameter
        Their bounds are the box.
    recording : Recording, optional
        Settings.
    joint : Joint, optional
        The prior; unless given, that of the published workflow.

    Returns
    -------
    Likelihood
        kind ``"approximate"``.

    References
    ----------
    Maybeck (1979), Stochastic models, estimation, and control: assumed-density filtering.
    """
    return _likelihood("approximate", parameters, recording or Recording(), joint)


def _likelihood(
    kind: Any, parameters: tuple[Parameter, ...], recording: Recording, joint: Joint | None, **more: Any
) -> Likelihood:
    """Make a likelihood of traces."""
    data, prior = _traces(recording), joint or reference_prior()
    return Likelihood(
        model="lif", kind=kind, trial=data.trial, parameters=parameters, columns=data.columns, read=data.read,
        table=data.table, describe=data.describe, simulate=data.simulate, joint=prior,
        density=_density(recording, kind), sums=partial(_sums, recording=recording, kind=kind),
        start=partial(_start, recording=recording, joint=prior), **more,
    )  # fmt: skip


def _traces(recording: Recording) -> Schema:
    """Say what traces are."""
    return Schema(
        trial="trace", columns=lif_traces.COLUMNS, read=partial(lif_traces.read, recording=recording),
        describe=partial(lif_traces.describe, recording=recording),
        table=partial(lif_traces.table, recording=recording),
        simulate=partial(lif_simulator.rows, recording=recording), series=recording.blocks,
    )  # fmt: skip


def _density(recording: Recording, kind: str) -> Callable[..., Any]:
    """Write the log density of traces x (trace, column), for parameters () or (trace,)."""
    one = traces.log_density if kind == "exact" else traces.log_density_moments

    def density(x: Any, theta: Mapping[str, Any]) -> Any:
        import jax
        import jax.numpy as jnp

        values = {name: jnp.broadcast_to(theta[name], x.shape[:1]) for name in theta}

        def trace(row: Any, own: Mapping[str, Any]) -> Any:
            voltage, spikes, current = lif_traces.blocks(row, recording=recording)
            return one(voltage, spikes, **own, current=current, **recording.constants)

        return jax.vmap(trace)(x, values)

    return density


def _sums(x: np.ndarray, theta: Mapping[str, np.ndarray], *, recording: Recording, kind: str) -> np.ndarray:
    """Sum the log density over traces x (trace, column), for parameters (draw,) or (draw, trace)."""
    from firstpassage.densities import lif_filter, lif_moments

    density = lif_filter.log_densities if kind == "exact" else lif_moments.log_densities
    voltage, spikes, current = lif_traces.blocks(x, recording=recording)
    rows = np.stack(np.broadcast_arrays(*(theta[name] for name in _NAMES)), axis=-1)
    return density(voltage, spikes, rows, current=current, **recording.constants).sum(axis=1)


def _start(x: np.ndarray, *, recording: Recording, joint: Joint) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Guess about where the parameters of traces x (trace, column) lie, and how well that is known."""
    return joint.spans(*guess(_statistics(x, recording=recording), joint=joint))


def _statistics(x: np.ndarray, *, recording: Recording) -> np.ndarray:
    """Compute the statistics of traces x (trace, column)."""
    voltage, spikes, current = lif_traces.blocks(x, recording=recording)
    return summary_statistics(voltage, spikes, recording, current=current)


def _summary(x: np.ndarray, *, recording: Recording) -> np.ndarray:
    """Summarise cells x (cell, trace, column): the mean over traces of their statistics."""
    found = _statistics(x.reshape(-1, x.shape[-1]), recording=recording)
    return found.reshape(*x.shape[:2], -1).mean(axis=1)


def _known(recording: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse settings that there are not."""
    names = [f.name for f in fields(Recording)]
    unknown = sorted(set(recording) - set(names))
    if unknown:
        raise ModelError(f"lif takes bounds, prior and the settings {', '.join(names)}; got {', '.join(unknown)}.")
    return dict(recording)


def _joint(prior: Mapping[str, Any], bounds: Mapping[str, tuple[float, float]]) -> Joint:
    """Replace priors and bounds by name, and make upper ends the highest possible values."""
    unknown = sorted({*prior, *bounds} - set(_NAMES))
    if unknown:
        raise ModelError(f"bounds and prior name {unknown}; the parameters are {', '.join(_NAMES)}.")
    reference = reference_prior()
    own = []
    for c in reference.conditionals:
        changed = replace(c, **_changes(c.name, prior.get(c.name, {})))
        low, high = Parameter(c.name, bounds=bounds.get(c.name, (changed.lower, changed.upper))).bounds
        own.append(replace(changed, lower=low, upper=high))
    joint = replace(reference, conditionals=tuple(own))
    tight = (replace(c, upper=joint.bounds[c.name][1]) for c in own)
    return replace(joint, conditionals=tuple(tight))


def _changes(name: str, given: Any) -> dict[str, Any]:
    """Name the changes to the prior of one parameter."""
    if isinstance(given, Mapping):
        if not set(given) <= set(_FIELDS):
            raise ModelError(f"the prior of {name} has {', '.join(_FIELDS)}; got {', '.join(map(str, given))}.")
        return dict(given)
    if isinstance(given, (str, bytes)) or np.shape(given) != (4,):
        raise ModelError(f"the prior of {name} must be (location, scale, lower, upper); got {given!r:.60}.")
    return dict(zip(_FIELDS[1:], given, strict=True))


def _prior_settings(joint: Joint) -> dict[str, Any]:
    """Write the prior as JSON can hold it."""
    return {c.name: {field: asdict(c)[field] for field in _FIELDS} for c in joint.conditionals}


def _check_fit(joint: Joint, recording: Recording) -> None:
    """Refuse priors that make no neuron, or none that this recording can show."""
    box = joint.bounds
    for name, least, unit in (("tau_m", recording.dt, "ms"), ("g_L", 0.0, "nS")):
        if box[name][0] <= least:
            why = f"dt={least:g} ms, or a step overshoots" if least else "0"
            raise ModelError(f"{name} must stay above {why}; its lower bound is {box[name][0]:g} {unit}. Raise it.")
    highest = max(box["V_reset"][1], box["V_init"][1])
    if box["V_th"][0] <= highest:
        raise ModelError(
            f"V_th must lie above V_reset and V_init; its lower bound is {box['V_th'][0]:g} mV, they may reach "
            f"{highest:g} mV. Raise it, or lower their upper bounds."
        )
    low, high = recording.v_clip
    lowest = min(box[name][0] for name, (_, unit) in _LABELS.items() if unit == "mV")
    if not (low < lowest and box["V_th"][1] < high):
        raise ModelError(f"v_clip must enclose all voltages of the prior; got ({low:g}, {high:g}) mV. Widen it.")
