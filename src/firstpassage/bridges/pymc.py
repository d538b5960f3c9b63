"""A likelihood, exact or learned, as an observed variable of a PyMC model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.variable import TensorVariable

from firstpassage.bridges import _near, _priors, _start
from firstpassage.bridges._ops import accept, wrong_length
from firstpassage.bridges._predict import simulate
from firstpassage.bridges._variable import TrialsRV, log_density
from firstpassage.errors import DataError, ModelError
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    from bayesflow.wrappers.pymc import NeuralDistribution


def observe(name: str, likelihood: Likelihood, *misplaced: Any, observed: Any = None, **theta: Any) -> TensorVariable:
    """Register one subject's trials as an observed variable of the PyMC model around.

    Every sampler of PyMC can be used. ``nuts_sampler="pymc"`` runs with ``cores=1`` or
    ``mp_ctx="forkserver"``: JAX does not survive a fork. Free variables that the data bound (t below the
    fastest rt) are started where that holds; where the likelihood guesses its parameters, they start there.

    Parameters
    ----------
    name : str
        Name of the variable.
    likelihood : Likelihood
        ``model.exact``, or a fitted or loaded NLE or NRE.
    observed : DataFrame, array_like or pm.Data
        One subject's trials. The value of a container is checked again whenever it has changed.
    **theta : float, array_like or TensorVariable, shape () or (trial,)
        Every parameter by its name.

    Returns
    -------
    TensorVariable, shape (trial, column)
        The observed variable.

    Raises
    ------
    DataError
        If the data are not usable, or a parameter has not one value for each trial.
    ModelError
        If a name, the likelihood or a constant parameter is wrong, or there is no PyMC model around.

    Examples
    --------
    >>> import firstpassage as fp, pymc as pm
    >>> likelihood = fp.ddm().exact
    >>> with pm.Model() as model:
    ...     v, a = fp.priors(likelihood, "v", "a")
    ...     obs = fp.observe("obs", likelihood, v=v, a=a, z=0.5, t=0.3, observed=[[0.8, 1.0], [0.6, -1.0]])
    >>> obs.name
    'obs'
    """
    _check_likelihood(likelihood)
    if misplaced:
        raise ModelError(
            f"observe takes a name, a likelihood, and all else by keyword; got {len(misplaced)} more. Write "
            f"observe({name!r}, likelihood, {'=..., '.join(likelihood.parameter_names)}=..., observed=data)."
        )
    model = _model(name)
    likelihood.check_names(theta)
    x, container = _trials(likelihood, observed)
    parameters = _parameters(likelihood, theta, x=x)
    variable = TrialsRV(likelihood=likelihood)(
        *parameters.values(),
        size=(len(x) if container is None else container.shape[0],),
        rng=pt.random.shared_rng(seed=None),
        return_next_rng=True,
    )[1]
    registered = model.register_rv(variable, name, observed=x if container is None else container)
    _start.set_start(model, likelihood, x, parameters)
    _near.set_start(model, registered)
    return registered


def priors(likelihood: Likelihood, *names: str, dims: str | Sequence[str] | None = None) -> tuple[TensorVariable, ...]:
    """Make PyMC variables from the parameters' priors, cut to the box, inside the PyMC model around.

    Parameters
    ----------
    likelihood : Likelihood
        Whose `parameters` say name, box and prior; a prior of None is uniform on the box. A joint prior makes all
        its parameters, in bounds that depend on each other, and a standard score ``z_name`` behind each clipped one.
    *names : str
        Which parameters, in which order. None means all.
    dims : str or sequence of str, optional
        Dimensions of the model around, such as ``"participant_id"``: every entry has the same prior, independently.
        Not where the model has a joint prior.

    Returns
    -------
    tuple of TensorVariable
        In the order asked.

    Raises
    ------
    ModelError
        If a name or a dimension is unknown, a prior has no counterpart in PyMC or misses the box, a parameter is asked
        for without the one that bounds it, or there is no PyMC model around.

    Examples
    --------
    >>> import firstpassage as fp, pymc as pm
    >>> with pm.Model():
    ...     z, t = fp.priors(fp.ddm().exact, "z", "t")
    >>> z.name, t.name
    ('z', 't')
    >>> with pm.Model(coords={"participant_id": ["s01", "s02", "s03"]}):
    ...     (v,) = fp.priors(fp.ddm().exact, "v", dims="participant_id")
    >>> v.shape.eval().tolist()
    [3]
    """
    _check_likelihood(likelihood)
    wanted = names or likelihood.parameter_names
    unknown = [name for name in wanted if name not in likelihood.parameter_names]
    if unknown or len(set(wanted)) != len(wanted):
        raise ModelError(
            f"priors takes names among {', '.join(likelihood.parameter_names)}, each once; got "
            f"{', '.join(map(repr, wanted))}. Leave the names out to get all."
        )
    for name in _priors.registered(likelihood, wanted):
        _model(name)
    return _priors.make(likelihood, wanted, dims=_dims(likelihood, dims))


def distribution(likelihood: Likelihood) -> NeuralDistribution:
    """Make BayesFlow's `NeuralDistribution` of a likelihood, without its traps.

    It is called as BayesFlow's, and does what `observe` does. Nothing of the process is changed: BayesFlow's
    own constructor sets PyTensor to float32, and its import sets JAX to x64.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned.

    Returns
    -------
    bayesflow.wrappers.pymc.NeuralDistribution
        With ``__call__(name, *, observed, **theta)``, ``logp(value, *theta)`` and ``random(*theta, rng,
        size)``.

    Raises
    ------
    ModelError
        If `likelihood` is none, or Keras does not run on JAX.

    Examples
    --------
    >>> import firstpassage as fp, pymc as pm
    >>> dist = distribution(fp.ddm().exact)
    >>> with pm.Model():
    ...     obs = dist("obs", v=0.0, a=1.0, z=0.5, t=0.3, observed=[[0.8, 1.0], [0.6, -1.0]])
    """
    from firstpassage.bridges._neural import make

    _check_likelihood(likelihood)
    return make(likelihood, observe=observe, log_density=log_density, simulate=simulate)


def _check_likelihood(likelihood: Any) -> None:
    """Refuse what is not a likelihood, and say what to call."""
    if isinstance(likelihood, Likelihood):
        return
    kind = type(likelihood)
    if kind.__name__ in ("NRE", "NLE"):
        remedy = "It is not trained yet: pass what its .fit(budget=..., seed=...) returns."
    elif kind.__name__ in ("NPE", "Posterior"):
        remedy = "It estimates a posterior, not a likelihood: train fp.NRE or fp.NLE, or use model.exact."
    elif kind.__name__ == "Model":
        remedy = "Pass its likelihood: model.exact."
    elif kind.__module__.startswith(("bayesflow.", "keras.")):
        remedy = "Train with fp.NRE(model).fit(...): BayesFlow's estimators know neither names nor box."
    else:
        remedy = "Pass model.exact, or what fp.NRE(model).fit(...), fp.load or fp.pretrained return."
    raise ModelError(f"expected a firstpassage Likelihood; got a {kind.__module__}.{kind.__qualname__}. {remedy}")


def _model(name: Any) -> pm.Model:
    """Find the PyMC model around, in which the name must be free."""
    if not isinstance(name, str) or not name:
        raise ModelError(f"the first argument must be the variable's name, such as 'obs'; got {name!r}.")
    try:
        model = pm.modelcontext(None)
    except TypeError:
        raise ModelError("there is no PyMC model around. Call this inside `with pm.Model():`.") from None
    if model.name_for(name) in model.named_vars:
        raise ModelError(f"the PyMC model already has a variable {name!r}. Choose another name.")
    return model


def _dims(likelihood: Likelihood, dims: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Check that the PyMC model around has these dimensions."""
    if dims is None:
        return None
    wanted = (dims,) if isinstance(dims, str) else tuple(dims)
    known = tuple(pm.modelcontext(None).dim_lengths)
    if not set(wanted) <= set(known):
        raise ModelError(
            f"dims must name dimensions of the PyMC model, which has {', '.join(known) or 'none'}; got "
            f"{', '.join(map(repr, wanted))}. Make it with pm.Model(coords={{{wanted[0]!r}: labels}})."
        )
    if likelihood.joint is not None:
        raise ModelError(
            f"the prior of {likelihood.model} is a joint one, of parameters that bound each other; dims are not "
            "available for it. Leave dims out, and make one set of priors for each model."
        )
    return wanted


def _trials(likelihood: Likelihood, observed: Any) -> tuple[np.ndarray, SharedVariable | None]:
    """Read the trials, and keep the container if they come in one."""
    if observed is None:
        raise DataError(
            f"observed must be the trials of one subject ({', '.join(likelihood.columns)}); got None. Pass "
            "observed=data."
        )
    if isinstance(observed, SharedVariable):
        return accept(likelihood, observed.get_value(borrow=False)), observed
    if isinstance(observed, Constant):
        observed = observed.data
    if isinstance(observed, Variable):
        raise DataError(
            f"observed must be data or a pm.Data container; got the expression {observed}. "
            "Compute it before, and pass the result."
        )
    return np.asarray(likelihood.read(observed), dtype=np.float64), None


def _parameters(likelihood: Likelihood, theta: Mapping[str, Any], *, x: np.ndarray) -> dict[str, TensorVariable]:
    """Check every parameter, and make it a float64 tensor, in the order of the model."""
    symbolic = {name: value for name, value in theta.items() if isinstance(value, Variable)}
    numbers = likelihood.values({name: 0.0 if name in symbolic else theta[name] for name in theta}, trials=len(x))
    support = likelihood.support(x)
    for name in set(numbers) - set(symbolic):
        low, high = support[name] if numbers[name].ndim == 0 else likelihood.box[name]
        if not ((numbers[name] >= low) & (numbers[name] <= high)).all():
            raise ModelError(
                f"{name} must lie between {low:.4g} and {high:.4g}, where these data have a density at all; "
                f"got {theta[name]!r}. Change it, or make it a free variable."
            )
    return {
        name: _symbol(name, symbolic[name], trials=len(x)) if name in symbolic else pt.constant(numbers[name])
        for name in likelihood.parameter_names
    }


def _symbol(name: str, value: Variable, *, trials: int) -> TensorVariable:
    """Check a symbolic parameter as far as its shape is known."""
    if not isinstance(value, TensorVariable) or value.type.numpy_dtype.kind not in "fiu":
        raise DataError(f"{name} must be a real number or PyMC variable; got {value} of type {value.type}.")
    shape = value.type.shape if value.ndim != 1 or value.type.shape != (None,) else _shape(value)
    if value.ndim > 1 or shape not in ((), (None,), (1,), (trials,)):
        raise DataError(wrong_length(name, got=shape, trials=trials))
    return pt.specify_shape(value, shape) if shape == (1,) else value


def _shape(value: TensorVariable) -> tuple[int | None, ...]:
    """Evaluate the shape of a vector, if that can be done without drawing anything."""
    import pytensor

    try:
        length = pytensor.function([], value.shape[0], mode=Mode(linker="py", optimizer="fast_compile"))
        return (int(length()),)
    except Exception:  # a shape that depends on what is not known yet is checked at evaluation
        return (None,)
