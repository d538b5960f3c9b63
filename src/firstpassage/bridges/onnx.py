"""A likelihood as an ONNX file: its networks with everything around them, for HSSM and any other ONNX runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import ArtefactError, ModelError
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    from onnx import ModelProto

_INPUT, _OUTPUT = "input", "log_density"
_IR = 8  # the version of the file format that goes with the operations used
_TOLERANCE = 1e-3  # nats, of the test rows
_ROWS = 64


def to_onnx(likelihood: Likelihood, path: str | Path, *, batch: bool = False) -> Path:
    """Write a likelihood to an ONNX file.

    The graph holds all that `Likelihood.function` does: the box, outside of which the log density is -inf, the
    coordinates in which the networks work, and their Jacobians. It is float32, takes parameters, in the order of the
    model, and then the observed variables, and needs neither JAX nor Keras. HSSM loads it: ``hssm.HSSM(data,
    loglik="ddm.onnx", loglik_kind="approx_differentiable", model_config=..., p_outlier=0)``, with the rest of
    ``likelihood.to_hssm()`` as it is.

    Parameters
    ----------
    likelihood : Likelihood
        Of kind "nre" or "nle", of choices or of other trials with few columns.
    path : path
        The file, which is replaced if it is there.
    batch : bool
        Whether the input has one row for each trial, (trial, parameter + column), and the output is (trial, 1). Else,
        as HSSM wants it, the input is one trial, (parameter + column,), and the output (1,).

    Returns
    -------
    Path
        The file. Its metadata name model, kind, inputs in order, box, versions and the audit's headline.

    Raises
    ------
    ModelError
        If onnx is not installed, or an operation of the likelihood has no ONNX counterpart here.
    ArtefactError
        If the file cannot be written, or does not reproduce the likelihood.

    Examples
    --------
    >>> import tempfile
    >>> import firstpassage as fp
    >>> fp.to_onnx(fp.pretrained("ddm", "nre"), tempfile.mkdtemp() + "/ddm.onnx").name
    'ddm.onnx'
    """
    if find_spec("onnx") is None:
        raise ModelError('to_onnx needs onnx: pip install "firstpassage[onnx]".')
    if not isinstance(likelihood, Likelihood):
        raise ModelError(f"to_onnx takes a likelihood, such as fp.pretrained('ddm', 'nre'); got {likelihood!r:.60}.")
    model = _model(likelihood, batch=batch)
    _check(likelihood, model, batch=batch)
    target = Path(path)
    try:
        target.write_bytes(model.SerializeToString())
    except OSError as error:
        raise ArtefactError(f"cannot write {target}: {error.strerror}. Choose another path.") from error
    return target


def _model(likelihood: Likelihood, *, batch: bool) -> ModelProto:
    """Trace the likelihood and write the graph."""
    import jax
    from jax import export
    from onnx import TensorProto, checker, helper, numpy_helper

    from firstpassage.bridges._onnx_graph import OPSET, Graph, Value, write

    width = len(likelihood.parameters) + len(likelihood.columns)
    rows = export.symbolic_shape("trial")[0] if batch else 1
    with jax.enable_x64(False):
        program = jax.make_jaxpr(_of_rows(likelihood))(jax.ShapeDtypeStruct((rows, width), np.float32))
    graph = Graph()
    name = _INPUT
    if batch:
        graph.length = graph.add("Slice", [graph.add("Shape", [_INPUT]), *(graph.constant([i]) for i in (0, 1))])
    else:
        name = graph.add("Reshape", [_INPUT, graph.constant(np.array([1, width]))])
    (made,) = write(graph, program, [Value(name=name, shape=(rows, width), actual=(rows, width), dtype=np.float32)])
    last = graph.constant(np.array([-1, 1] if batch else [1]))
    nodes = [*graph.nodes, helper.make_node("Reshape", [made, last], [_OUTPUT])]
    shapes: tuple[list[Any], list[Any]] = (["trial", width], ["trial", 1]) if batch else ([width], [1])
    kept = _needed(nodes, _OUTPUT)
    used = {name for node in kept for name in node.input}
    proto = helper.make_model(
        helper.make_graph(
            kept, f"{likelihood.model}_{likelihood.kind}",
            [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, shapes[0])],
            [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, shapes[1])],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items() if name in used],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR, producer_name="firstpassage",
        producer_version=version("firstpassage"), doc_string=_words(likelihood),
    )  # fmt: skip
    helper.set_model_props(proto, _metadata(likelihood))
    checker.check_model(proto)
    return proto


def _of_rows(likelihood: Likelihood) -> Any:
    """Make the function of rows (trial, parameter + column)."""
    names = likelihood.parameter_names

    def function(rows: Any) -> Any:
        theta = {name: rows[:, i] for i, name in enumerate(names)}
        return likelihood.function(rows[:, len(names) :], theta)

    return function


def _needed(nodes: Sequence[Any], output: str) -> list[Any]:
    """Leave out the nodes that nothing needs."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _words(likelihood: Likelihood) -> str:
    """Say in a sentence what the numbers are."""
    ratio = "log ratio, with an unknown constant of each trial" if likelihood.kind == "nre" else "log density"
    inputs = ", ".join((*likelihood.parameter_names, *likelihood.columns))
    return f"{ratio} of one {likelihood.trial} of {likelihood.model}, in nats, given {inputs}"


def _metadata(likelihood: Likelihood) -> dict[str, str]:
    """Describe the likelihood: what a reader of the file must know."""
    card = likelihood.card or {}
    known = {
        "model": likelihood.model, "kind": likelihood.kind, "trial": likelihood.trial,
        "inputs": [*likelihood.parameter_names, *likelihood.columns], "parameters": list(likelihood.parameter_names),
        "columns": list(likelihood.columns), "box": {name: list(b) for name, b in likelihood.box.items()},
        "model_settings": dict(card.get("model_settings", {})), "versions": dict(card.get("versions", {})),
        "written_by": f"firstpassage {version('firstpassage')}", "audit": card.get("audit", {}).get("headline", ""),
    }  # fmt: skip
    return {f"firstpassage.{name}": v if isinstance(v, str) else json.dumps(v) for name, v in known.items()}


def _check(likelihood: Likelihood, model: ModelProto, *, batch: bool) -> None:
    """Compare the file with the likelihood on simulated rows, by the reference implementation of ONNX."""
    import jax
    from onnx.reference import ReferenceEvaluator

    if likelihood.simulate is None:
        return
    rng = np.random.default_rng(0)
    theta = {p.name: rng.uniform(*p.bounds, _ROWS) for p in likelihood.parameters}
    x = np.asarray(likelihood.simulate(theta, rng), dtype=np.float32)
    rows = np.concatenate([np.stack(list(theta.values()), axis=1), x], axis=1, dtype=np.float32)
    with jax.enable_x64(False):
        expected = np.asarray(jax.jit(_of_rows(likelihood))(rows))
    session = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        parts = [rows] if batch else list(rows[:8])
        outputs: list[Any] = [session.run(None, {_INPUT: part}) for part in parts]
    found = np.concatenate([np.ravel(output[0]) for output in outputs])
    same = np.isclose(found, expected[: len(found)], rtol=1e-4, atol=_TOLERANCE)
    if not same.all():
        raise ArtefactError(
            f"the ONNX graph of {likelihood.model} {likelihood.kind} must give what the likelihood gives; "
            f"{int((~same).sum())} of {len(found)} rows differ. This is an error of firstpassage: please report it."
        )
