"""Log ratios of single trials, which mean nothing one by one: only their sum may leave a model."""

from __future__ import annotations

from collections.abc import Sequence

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.link.jax.ops import JAXOp
from pytensor.tensor.math import Sum
from pytensor.tensor.rewriting.basic import register_canonicalize


class AbstractRatios(JAXOp):
    """Stand for log ratios, of which only the sum over the trials may leave the model.

    Each holds an unknown constant of its trial, so that one by one (LOO, WAIC, model comparison) they mean nothing. A
    rewrite takes this away under a sum, which is all that sampling needs; what is made of anything else is said by the
    classes below.
    """

    __props__ = ()

    def make_node(self, ratios: Variable) -> Apply:
        """Declare the same type."""
        return Apply(self, [ratios], [ratios.type()])

    def infer_shape(self, node: Apply, shapes: Sequence[tuple[Variable, ...]]) -> list[tuple[Variable, ...]]:
        """Keep the shape."""
        del node
        return [shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Be differentiable."""
        del node
        return [[True]]

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], output_gradients: Sequence[Variable]
    ) -> list[Variable]:
        """Be the identity, as under a sum."""
        del inputs, outputs
        return list(output_gradients)


@register_canonicalize("fast_compile")
@node_rewriter([Sum])
def _sum_of_ratios(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """Let the sum over the trials pass."""
    del fgraph
    (ratios,) = node.inputs
    if ratios.owner is None or not isinstance(ratios.owner.op, AbstractRatios):
        return None
    return [node.op(ratios.owner.inputs[0])]
