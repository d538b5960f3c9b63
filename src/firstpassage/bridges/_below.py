"""The line of a variable that stays below another one: where the bound is far, the coordinate does not feel it.

PyMC's own transform of an interval stretches with it. A narrow variable below a wide one then has a coordinate as wide
as the other, and bent, which slows samplers down.
"""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.tensor.variable import TensorVariable

_SHARPNESS = 20.0  # the bound is felt within a twentieth of the interval


class Below(Transform):
    """Map an interval to the real line by ``log(value - lower)``, bent upwards near the upper end only.

    The last two inputs of the variable are the ends.
    """

    name = "below"
    ndim_supp = 0

    def forward(self, value: TensorVariable, *inputs: Any) -> TensorVariable:
        """Map a value to the line."""
        *_, lower, upper = inputs
        short = -pt.log1p((value - upper) / (upper - lower))
        return pt.log(upper - lower) - pt.log(pt.expm1(_SHARPNESS * short)) / _SHARPNESS

    def backward(self, value: TensorVariable, *inputs: Any) -> TensorVariable:
        """Map the line into the interval."""
        *_, lower, upper = inputs
        away = _SHARPNESS * (value - pt.log(upper - lower))
        return lower + (upper - lower) * pt.exp(-pt.softplus(-away) / _SHARPNESS)

    def log_jac_det(self, value: TensorVariable, *inputs: Any) -> TensorVariable:
        """Give the log derivative of `backward`."""
        *_, lower, upper = inputs
        away = _SHARPNESS * (value - pt.log(upper - lower))
        return pt.log(upper - lower) - pt.softplus(-away) / _SHARPNESS - pt.softplus(away)
