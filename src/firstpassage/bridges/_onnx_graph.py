"""Write a JAX program as an ONNX graph, operation by operation.

Values keep axes of length 1 where the program broadcasts, since ONNX broadcasts by itself; they are expanded only
where an operation needs the whole array. What does not depend on the input is computed here and stored as a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from firstpassage.errors import ModelError

OPSET = 17
_NAMES = {"float32": 1, "int32": 6, "int64": 7, "bool": 9}  # of ONNX's element types
_UNARY = {
    "exp": "Exp", "log": "Log", "tanh": "Tanh", "logistic": "Sigmoid", "neg": "Neg", "sqrt": "Sqrt", "abs": "Abs",
    "erf": "Erf", "not": "Not", "sin": "Sin", "cos": "Cos", "floor": "Floor", "sign": "Sign",
}  # fmt: skip
_BINARY = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "pow": "Pow", "and": "And",
    "or": "Or", "eq": "Equal", "lt": "Less", "le": "LessOrEqual",
}  # fmt: skip
_SWAPPED = {"gt": "Less", "ge": "LessOrEqual"}
_INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
_SAME = {"stop_gradient", "copy", "copy_p"}
_REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}
_OF_TRUTH = {"reduce_or": "ReduceMax", "reduce_and": "ReduceMin"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Value:
    """A tensor of the graph: its name, the shape that JAX gives it, and the shape that it has."""

    name: str
    shape: tuple[Any, ...]
    actual: tuple[Any, ...]
    dtype: Any


Known = Value | np.ndarray


@dataclass(eq=False, kw_only=True)
class Graph:
    """Nodes and constants, as they are written.

    Parameters
    ----------
    rows : Value or None
        The input, from which a length that is not known before is taken.
    """

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    length: str | None = None  # the tensor that holds the length that is not known before

    def add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output, and name it."""
        from onnx import helper

        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Store a constant in a type that ONNX operations take, and name it."""
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def name(self, value: Known) -> str:
        """Name a value, known before or not."""
        return value.name if isinstance(value, Value) else self.constant(value)

    def whole(self, value: Known) -> str:
        """Name a value that has its whole shape."""
        if not isinstance(value, Value) or value.actual == value.shape:
            return self.name(value)
        return self.add("Expand", [value.name, self.shape(value.shape)])

    def shape(self, shape: Sequence[Any]) -> str:
        """Name a tensor that holds a shape, of which one length may not be known before."""
        if all(isinstance(n, int) for n in shape):
            return self.constant(np.array(shape, dtype=np.int64))
        if self.length is None:
            raise ModelError("this likelihood reshapes trials in a way that ONNX export does not know.")
        parts = [self.constant(np.array([n], np.int64)) if isinstance(n, int) else self.length for n in shape]
        return self.add("Concat", parts, axis=0)


def write(graph: Graph, program: ClosedJaxpr, inputs: Sequence[Value]) -> list[str]:
    """Write a program and name its outputs, which have their whole shapes."""
    consts = [np.asarray(c) for c in program.consts]
    return [graph.whole(value) for value in _program(graph, program.jaxpr, consts, inputs)]


def _program(graph: Graph, jaxpr: Jaxpr, consts: Sequence[Known], inputs: Sequence[Known]) -> list[Known]:
    """Write the operations of a program one after the other."""
    known: dict[Any, Known] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom: Any) -> Known:
        return np.asarray(atom.val) if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        given = [read(atom) for atom in equation.invars]
        known |= zip(equation.outvars, _equation(graph, equation, given), strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _equation(graph: Graph, equation: Any, given: list[Known]) -> list[Known]:
    """Write one operation: its value where that is known, an inlined program, or nodes."""
    name, params = equation.primitive.name, equation.params
    if name in _INLINED:
        inner = params[_INLINED[name]]
        return _program(graph, inner.jaxpr, [np.asarray(c) for c in inner.consts], given)
    if not any(isinstance(value, Value) for value in given) and not _symbolic(equation):
        found = equation.primitive.bind(*given, **params)
        return [np.asarray(one) for one in (found if equation.primitive.multiple_results else [found])]
    if name in _SAME:
        return given
    if name not in _RULES and name not in _UNARY and name not in _BINARY and name not in _SWAPPED:
        raise ModelError(
            f"ONNX export does not know the operation {name!r}, of which this likelihood is made. It is meant for "
            "ratio and mixed networks of choices. Use the likelihood itself, in PyMC, NumPyro or HSSM."
        )
    if name == "split":
        return _split(graph, given[0], equation)
    shape, dtype = equation.outvars[0].aval.shape, equation.outvars[0].aval.dtype
    if name in _RULES:
        made, actual = _RULES[name](graph, given, params, tuple(shape))
    else:
        made, actual = _elementwise(graph, name, given)
    return [Value(name=made, shape=tuple(shape), actual=actual, dtype=dtype)]


def _symbolic(equation: Any) -> bool:
    """Tell whether a result has a length that is not known before."""
    return any(not isinstance(n, int) for out in equation.outvars for n in out.aval.shape)


def _actual(value: Known) -> tuple[Any, ...]:
    """Give the shape that a value has."""
    return value.actual if isinstance(value, Value) else value.shape


def _broadcast(*values: Known) -> tuple[Any, ...]:
    """Give the shape that values broadcast to."""
    shapes = [_actual(value) for value in values]
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(next((n for n in lengths if n != 1), 1) for lengths in zip(*padded, strict=True))


def _elementwise(graph: Graph, name: str, given: list[Known]) -> tuple[str, tuple[Any, ...]]:
    """Write an operation on single numbers."""
    if name in _UNARY:
        return graph.add(_UNARY[name], [graph.name(given[0])]), _actual(given[0])
    names = [graph.name(value) for value in given]
    op, order = (_BINARY[name], names) if name in _BINARY else (_SWAPPED[name], names[::-1])
    return graph.add(op, order), _broadcast(*given)


def _select(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Choose the first case where the condition is false, the second where it is true."""
    del params, shape
    which, no, yes = given
    return graph.add("Where", [graph.name(which), graph.name(yes), graph.name(no)]), _broadcast(*given)


def _not_equal(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Negate equality."""
    del params, shape
    return graph.add("Not", [graph.add("Equal", [graph.name(v) for v in given])]), _broadcast(*given)


def _power(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Multiply out the square; other whole powers are `Pow`."""
    del shape
    x, y = graph.name(given[0]), params.get("y", 2)
    return graph.add(*(("Mul", [x, x]) if y == 2 else ("Pow", [x, graph.constant(float(y))]))), _actual(given[0])


def _log1p(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Take the log of 1 + x."""
    del params, shape
    return graph.add("Log", [graph.add("Add", [graph.name(given[0]), graph.constant(1.0)])]), _actual(given[0])


def _expm1(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Take the exponential less 1."""
    del params, shape
    return graph.add("Sub", [graph.add("Exp", [graph.name(given[0])]), graph.constant(1.0)]), _actual(given[0])


def _rsqrt(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Invert the square root."""
    del params, shape
    return graph.add("Reciprocal", [graph.add("Sqrt", [graph.name(given[0])])]), _actual(given[0])


def _finite(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Tell finite numbers by their size, which is false of NaN."""
    del params, shape
    size = graph.add("Abs", [graph.name(given[0])])
    return graph.add("Less", [size, graph.constant(np.inf)]), _actual(given[0])


def _clamp(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Cut at both ends."""
    del params, shape
    low, x, high = (graph.name(value) for value in given)
    return graph.add("Min", [graph.add("Max", [x, low]), high]), _broadcast(*given)


def _cast(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Change the type; floats have one only."""
    del shape
    (value,), dtype = given, np.dtype(params["new_dtype"])
    target = "float32" if dtype.kind == "f" else dtype.name
    if isinstance(value, Value) and np.dtype(value.dtype).kind == "f" == dtype.kind:
        return value.name, value.actual
    return graph.add("Cast", [graph.name(value)], to=_NAMES[target]), _actual(value)


def _broadcast_in_dim(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Put new axes of length 1 where a value is repeated."""
    new = [i for i in range(len(shape)) if i not in params["broadcast_dimensions"]]
    old = iter(_actual(given[0]))
    actual = tuple(1 if i in new else next(old) for i in range(len(shape)))
    return _unsqueeze(graph, graph.name(given[0]), new), actual


def _unsqueeze(graph: Graph, name: str, axes: Sequence[int]) -> str:
    """Add axes of length 1."""
    return graph.add("Unsqueeze", [name, graph.constant(np.array(axes, np.int64))]) if len(axes) else name


def _squeeze(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Take axes of length 1 away."""
    del shape
    gone = params["dimensions"]
    actual = tuple(n for i, n in enumerate(_actual(given[0])) if i not in gone)
    return graph.add("Squeeze", [graph.name(given[0]), graph.constant(np.array(gone, np.int64))]), actual


def _reshape(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Change the shape of the whole value."""
    del params
    return graph.add("Reshape", [graph.whole(given[0]), graph.shape(shape)]), shape


def _transpose(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Change the order of the axes."""
    del shape
    order = [int(i) for i in params["permutation"]]
    return graph.add("Transpose", [graph.name(given[0])], perm=order), tuple(_actual(given[0])[i] for i in order)


def _stack(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Join values along a new axis."""
    axis = int(params["axis"])
    return graph.add("Concat", [_unsqueeze(graph, graph.whole(v), [axis]) for v in given], axis=axis), shape


def _concatenate(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Join values along an axis."""
    return graph.add("Concat", [graph.whole(v) for v in given], axis=int(params["dimension"])), shape


def _slice(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Cut out a part along the axes that are not taken whole."""
    start, stop, strides = params["start_indices"], params["limit_indices"], params["strides"]
    full = given[0].shape
    axes = [i for i in range(len(full)) if not (start[i] == 0 and stop[i] == full[i])]
    if not axes:
        return graph.whole(given[0]), shape
    steps = [1 if strides is None else strides[i] for i in axes]
    bounds = [graph.constant(np.array(v, np.int64)) for v in ([start[i] for i in axes], [stop[i] for i in axes], axes)]
    return graph.add("Slice", [graph.whole(given[0]), *bounds, graph.constant(np.array(steps, np.int64))]), shape


def _split(graph: Graph, value: Known, equation: Any) -> list[Known]:
    """Cut a value into parts along an axis."""
    parts: list[Known] = []
    axis, start = int(equation.params["axis"]), 0
    name = graph.whole(value)
    for out, size in zip(equation.outvars, equation.params["sizes"], strict=True):
        bounds = [graph.constant(np.array([v], np.int64)) for v in (start, start + int(size), axis)]
        shape = tuple(out.aval.shape)
        parts.append(Value(name=graph.add("Slice", [name, *bounds]), shape=shape, actual=shape, dtype=out.aval.dtype))
        start += int(size)
    return parts


def _gather(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Take what lies at one known place along one axis, which is how JAX indexes arrays of unknown length."""
    numbers, index = params["dimension_numbers"], given[1]
    axes, name = numbers.start_index_map, graph.whole(given[0])
    if isinstance(index, Value) or index.size != 1 or len(axes) != 1 or numbers.operand_batching_dims:
        raise ModelError("ONNX export knows gathers at fixed places only. Use the likelihood itself.")
    axis, start = int(axes[0]), int(index.item())
    if numbers.collapsed_slice_dims == axes:
        taken = graph.add("Gather", [name, graph.constant(np.int64(start))], axis=axis)
        return _unsqueeze(graph, taken, [i for i in range(len(shape)) if i not in numbers.offset_dims]), shape
    stop = start + int(params["slice_sizes"][axis])
    return graph.add("Slice", [name, *(graph.constant(np.array([v], np.int64)) for v in (start, stop, axis))]), shape


def _reverse(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Take the places along some axes in reverse order."""
    name = graph.whole(given[0])
    for axis in params["dimensions"]:
        places = graph.constant(np.arange(int(shape[axis]), dtype=np.int64)[::-1])
        name = graph.add("Gather", [name, places], axis=int(axis))
    return name, shape


def _reduce(op: str) -> Callable[..., tuple[str, Any]]:
    """Make the rule of a reduction."""

    def rule(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
        axes, name = [int(i) for i in params["axes"]], graph.whole(given[0])
        if op == "ReduceSum":
            return graph.add(op, [name, graph.constant(np.array(axes, np.int64))], keepdims=0), shape
        return graph.add(op, [name], axes=axes, keepdims=0), shape

    return rule


def _reduce_truth(op: str) -> Callable[..., tuple[str, Any]]:
    """Make the rule of a reduction of truth values."""

    def rule(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
        number = graph.add("Cast", [graph.whole(given[0])], to=_NAMES["float32"])
        found = graph.add(op, [number], axes=[int(i) for i in params["axes"]], keepdims=0)
        return graph.add("Less", [graph.constant(0.5), found]), shape

    return rule


def _cumsum(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Sum up along the last axis, by a triangular matrix."""
    if int(params["axis"]) != len(shape) - 1 or params["reverse"]:
        raise ModelError("ONNX export knows cumulative sums along the last axis only. Use the likelihood itself.")
    n = int(shape[-1])
    return graph.add("MatMul", [graph.whole(given[0]), graph.constant(np.triu(np.ones((n, n))))]), shape


def _dot(graph: Graph, given: list[Known], params: Mapping[str, Any], shape: Any) -> tuple[str, Any]:
    """Multiply by a matrix from the right."""
    ((left,), (right,)), (batch, _) = params["dimension_numbers"]
    a, b = given
    if batch or left != len(a.shape) - 1 or len(b.shape) != 2:
        raise ModelError("ONNX export knows products with a matrix on the right only. Use the likelihood itself.")
    matrix = graph.whole(b) if right == 0 else graph.add("Transpose", [graph.whole(b)], perm=[1, 0])
    return graph.add("MatMul", [graph.whole(a), matrix]), shape


_RULES: dict[str, Callable[..., tuple[str, Any]]] = {
    "select_n": _select, "ne": _not_equal, "integer_pow": _power, "square": _power, "log1p": _log1p, "expm1": _expm1,
    "rsqrt": _rsqrt, "is_finite": _finite, "clamp": _clamp, "convert_element_type": _cast,
    "broadcast_in_dim": _broadcast_in_dim, "squeeze": _squeeze, "reshape": _reshape, "transpose": _transpose,
    "stack": _stack, "concatenate": _concatenate, "slice": _slice, "split": lambda *_: ("", ()), "gather": _gather,
    "cumsum": _cumsum, "dot_general": _dot, "rev": _reverse,
    **{name: _reduce(op) for name, op in _REDUCTIONS.items()},
    **{name: _reduce_truth(op) for name, op in _OF_TRUTH.items()},
}  # fmt: skip
