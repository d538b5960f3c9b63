"""Canaries: one test per trap of the stack that this package works around.

A test that turns red after an upgrade says that a trap has gone or changed: look for what can be simplified.
BayesFlow, PyMC and HSSM change settings of the whole process, so they are loaded in a process of their own:
this file, run as a script, prints what it finds.
"""

import json
import logging
import os
import subprocess
import sys
import warnings
from importlib import metadata

import pytest
from packaging.requirements import Requirement


def ask(part: str) -> dict:
    """Run one of the functions below in a fresh process."""
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    command = [sys.executable, __file__, part]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def switches() -> dict:
    import jax
    import keras
    import pytensor

    return {
        "jax": jax.config.jax_enable_x64,
        "pytensor": pytensor.config.floatX,
        "keras": keras.config.floatx(),
    }


def import_of_jax_draws() -> bool:
    import numpy as np

    before = np.random.get_state()[2]  # noqa: NPY002
    import jax  # noqa: F401

    return np.random.get_state()[2] != before  # noqa: NPY002


def bayesflow() -> dict:
    root = logging.getLogger()
    found = {"root before": [len(root.handlers), root.level], "import of jax draws": import_of_jax_draws()}
    import bayesflow as bf

    found |= {"root after": [len(root.handlers), root.level], "KERAS_BACKEND": os.environ["KERAS_BACKEND"]}
    found |= {"names": [name for name in dir(bf) if name.endswith(("Estimator", "Approximator"))]}
    found |= {"switches at first": switches()}
    from bayesflow.wrappers.pymc import NeuralDistribution

    found |= {"switches with the wrapper": switches()}
    renaming = as_network_inputs(bf.Adapter())
    found |= {"renaming adapter": log_ratios(bf, NeuralDistribution, renaming)}
    found |= {"adapter with log": log_ratios(bf, NeuralDistribution, as_network_inputs(bf.Adapter().log("sigma")))}
    found |= {"switches with a distribution": switches()}
    return found | wrapped_op(bf, NeuralDistribution, renaming)


def as_network_inputs(adapter):
    return adapter.concatenate(["mu", "sigma"], into="inference_variables").rename("x", "inference_conditions")


def ratio_estimator(bf, adapter):
    """Build an untrained ratio r(x | mu, sigma)."""
    estimator = bf.RatioEstimator(inference_network=bf.networks.MLP(widths=(8,)), adapter=adapter, standardize=None)
    estimator.build({"inference_variables": (None, 2), "inference_conditions": (None, 1)})
    return estimator


def log_ratios(bf, NeuralDistribution, adapter) -> list[float]:
    """Return one log ratio twice: as the estimator has it, and as `NeuralDistribution` has it."""
    import numpy as np

    data = {"mu": np.float32([[0.3]]), "sigma": np.float32([[5.0]]), "x": np.float32([[0.5]])}
    adapter(data, strict=True)
    estimator = ratio_estimator(bf, adapter)
    wrapped = NeuralDistribution(estimator, param_names=["mu", "sigma"]).backend.logp_jit
    return [
        float(np.squeeze(estimator.log_ratio(data))),
        float(wrapped(data["x"], data["mu"][0], data["sigma"][0])[0]),
    ]


def wrapped_op(bf, NeuralDistribution, adapter) -> dict:
    import numpy as np
    import pytensor
    import pytensor.tensor as pt

    estimator = ratio_estimator(bf, adapter)
    distribution = NeuralDistribution(estimator, param_names=["mu", "sigma"])
    too_many = NeuralDistribution(estimator, param_names=["mu", "sigma", "no such parameter"])
    parameters = [pt.fscalar(), pt.fscalar()]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        total = distribution.logp(pt.as_tensor_variable(np.float32([[0.5]])), *parameters).sum()
        pytensor.grad(total, parameters)
        pytensor.function(parameters, total, mode="NUMBA")
    return {
        "op has": list(vars(type(distribution.backend.logp_op))),
        "warnings": [str(warning.message) for warning in caught],
        "accepted names": too_many.param_names,
    }


def hssm() -> dict:
    os.environ["KERAS_BACKEND"] = "jax"
    import hssm  # noqa: F401

    return {"switches": switches()}


@pytest.fixture(scope="module")
def found() -> dict:
    return ask("bayesflow")


def test_trap_1_approximators_are_estimators(found):
    assert {"RatioEstimator", "BasicEstimator"} <= set(found["names"])
    # The old names are still there, deprecated.
    assert "RatioApproximator" in found["names"]


def test_trap_2_neural_distribution_ignores_what_the_adapter_computes(found):
    estimator, wrapped = found["renaming adapter"]
    assert wrapped == pytest.approx(estimator, abs=1e-5)
    estimator, wrapped = found["adapter with log"]
    assert abs(wrapped - estimator) > 1e-3


def test_trap_3_neural_distribution_sets_floatX(found):
    assert found["switches with the wrapper"]["pytensor"] == "float64"
    assert found["switches with a distribution"]["pytensor"] == "float32"


def test_trap_3_neural_distribution_accepts_names_that_the_estimator_does_not_have(found):
    assert found["accepted names"] == ["mu", "sigma", "no such parameter"]


def test_trap_4_the_op_has_grad_and_no_pullback(found):
    assert "grad" in found["op has"]
    assert "pullback" not in found["op has"]
    assert any("should implement `pullback`" in message for message in found["warnings"])


def test_trap_4_numba_runs_the_op_in_object_mode(found):
    assert any("object mode" in message for message in found["warnings"])


def test_trap_8_importing_bayesflow_configures_root_logging(found):
    assert found["root before"] == [0, logging.WARNING]
    assert found["root after"] == [1, logging.INFO]


def test_trap_8_importing_bayesflow_sets_the_backend(found):
    assert found["KERAS_BACKEND"] == "jax"


def test_trap_8_the_three_precision_switches_disagree(found):
    assert found["switches at first"] == {"jax": False, "pytensor": "float64", "keras": "float32"}


def test_importing_the_pymc_wrapper_switches_jax_to_float64(found):
    assert found["switches with the wrapper"]["jax"] is True


def test_importing_jax_draws_from_the_global_generator(found):
    # tests/conftest.py leaves this one change unpunished.
    assert found["import of jax draws"]


@pytest.mark.slow
def test_importing_hssm_switches_jax_to_float64():
    assert ask("hssm")["switches"]["jax"] is True


def test_bayesflow_excludes_the_numpy_that_newer_hssm_needs():
    requirements = [Requirement(text) for text in metadata.requires("bayesflow")]
    numpy = next(requirement for requirement in requirements if requirement.name == "numpy")
    assert not any(numpy.specifier.contains(version) for version in ("2.4.0", "2.4.9"))  # hssm 0.5: >=2.4,<2.5


if __name__ == "__main__":
    print(json.dumps({"bayesflow": bayesflow, "hssm": hssm}[sys.argv[1]]()))
