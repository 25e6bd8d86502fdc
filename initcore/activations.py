"""Activations: what follows a layer, and the gain that makes up for it. One record each.

>>> relu = get_activation("relu")
>>> round(relu.gain, 4), round(relu.slope_moment, 4)
(1.4142, 0.5)
>>> get_activation("gelu").torch_gain is None, round(get_activation("gelu").gain, 4)
(True, 1.5335)

The exact gain is 1/√E f(z)² for z ~ N(0, 1): weights of std gain/√fan_in then keep pre-activations
at unit variance from layer to layer (He et al. 2015, arXiv 1502.01852, eq. 7, for any activation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from initcore.errors import InitError

Array = npt.NDArray[np.float64]


def _normal_rule() -> tuple[Array, Array]:
    """Nodes and weights for means over N(0, 1).

    Gauss-Hermite converges slowly for an integrand with a kink, and every kink here is at 0: each
    side has a Gauss-Legendre rule of its own, on panels that halve towards 0, so that ReLU's
    moments are exact and tanh(1000 z) is as good as tanh(z).
    """
    x, w = np.polynomial.legendre.leggauss(16)
    edges = np.concatenate([[0.0], 13.0 * 0.5 ** np.arange(18, -1, -1)])
    half = np.diff(edges)[:, None] / 2
    nodes = (edges[:-1, None] + half * (x + 1)).ravel()
    weights = (half * w).ravel() * np.exp(-0.5 * nodes**2) / math.sqrt(2 * math.pi)
    return np.concatenate([-nodes[::-1], nodes]), np.concatenate([weights[::-1], weights])


NODES, WEIGHTS = _normal_rule()


@dataclass(frozen=True)
class Activation:
    """An activation f: a record of ``ACTIVATIONS``.

    Fields
    ------
    slug: torch's name in ``torch.nn.functional``. title, formula: its name and LaTeX.
    function: f, on tensors of any shape and floating type.
    backward: (gradient after f, saved tensor) → gradient before f, torch's own kernel and so equal
    to autograd's to the bit; ``saves`` says whether it needs f's input or its output.
    module: code of the module, for snippets.
    flat: (low, high) in units of the pre-activation: at or below ``low`` and at or above ``high``
    f's slope is under 1 % of its largest, there and all the way out: the unit is saturated.
    gain_note: why torch's gain differs from the exact one.
    """

    slug: str
    title: str
    formula: str
    module: str
    function: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    saves: Literal["input", "output"]
    flat: tuple[float, float]
    gain_note: str

    def values(self, x: npt.ArrayLike) -> Array:
        """f(x) in float64, of the shape of x."""
        return self.function(_tensor(x)).numpy()

    def slopes(self, x: npt.ArrayLike) -> Array:
        """f'(x) in float64, of the shape of x; torch's choice at a kink."""
        at = _tensor(x)
        saved = at if self.saves == "input" else self.function(at)
        return self.backward(torch.ones_like(at), saved).numpy()

    @cached_property
    def second_moment(self) -> float:
        """E f(z)² for z ~ N(0, 1)."""
        return float(WEIGHTS @ self.values(NODES) ** 2)

    @cached_property
    def slope_moment(self) -> float:
        """E f'(z)² for z ~ N(0, 1): the share of a gradient's second moment that passes."""
        return float(WEIGHTS @ self.slopes(NODES) ** 2)

    @property
    def gain(self) -> float:
        """1/√E f(z)²: the gain that keeps the second moment, at unit variance."""
        return 1 / math.sqrt(self.second_moment)

    @cached_property
    def torch_gain(self) -> float | None:
        """``torch.nn.init.calculate_gain``; None where it raises."""
        try:
            return float(nn.init.calculate_gain(self.slug))  # type: ignore[arg-type]
        except ValueError:
            return None

    @property
    def saturation(self) -> str:
        """The criterion of saturation in words."""
        low, high = self.flat
        if math.isinf(low) and math.isinf(high):
            return "never: its slope stays above 1 % of the largest"
        if low == 0:
            return "pre-activation at or below 0, where the slope is 0"
        if math.isinf(high):
            return f"pre-activation below {low:.3g}, where the slope is under 1 % of the largest"
        return f"pre-activation beyond ±{high:.3g}, where the slope is under 1 % of the largest"


def _tensor(x: npt.ArrayLike) -> Tensor:
    return torch.from_numpy(np.array(x, dtype=np.float64))


# --- the records --------------------------------------------------------------------------------

_aten = torch.ops.aten
_LEAK = 0.01  # torch's default slope, of the activation and of calculate_gain alike
_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805  # SELU's, as torch has them
_NO_GAIN = "calculate_gain does not know it; without a gain the signal shrinks by this factor."

ACTIVATIONS: tuple[Activation, ...] = (
    Activation(
        slug="linear",
        title="Linear",
        formula="f(x) = x",
        module="nn.Identity()",
        function=lambda x: x,
        backward=lambda g, x: g,
        saves="input",
        flat=(-math.inf, math.inf),
        gain_note="Equal: nothing is lost.",
    ),
    Activation(
        slug="tanh",
        title="Tanh",
        formula=r"f(x) = \tanh x",
        module="nn.Tanh()",
        function=torch.tanh,
        backward=_aten.tanh_backward,
        saves="output",
        flat=(-2.993222846, 2.993222846),
        gain_note="torch's 5/3 is a round number: the signal settles a little above unit variance.",
    ),
    Activation(
        slug="sigmoid",
        title="Sigmoid",
        formula=r"f(x) = \frac{1}{1 + e^{-x}}",
        module="nn.Sigmoid()",
        function=torch.sigmoid,
        backward=_aten.sigmoid_backward,
        saves="output",
        flat=(-5.986457106, 5.986457106),
        gain_note="torch takes it for linear; most of its second moment is its mean of 1/2.",
    ),
    Activation(
        slug="relu",
        title="ReLU",
        formula=r"f(x) = \max(0, x)",
        module="nn.ReLU()",
        function=torch.relu,
        backward=lambda g, x: _aten.threshold_backward(g, x, 0),
        saves="output",
        flat=(0.0, math.inf),
        gain_note="Equal: half of the second moment passes, at every scale.",
    ),
    Activation(
        slug="leaky_relu",
        title="Leaky ReLU",
        formula=rf"f(x) = \max({_LEAK}\,x, x)",
        module="nn.LeakyReLU()",
        function=lambda x: functional.leaky_relu(x, _LEAK),
        backward=lambda g, x: _aten.leaky_relu_backward(g, x, _LEAK, False),
        saves="input",
        flat=(-math.inf, math.inf),
        gain_note="Equal: √(2/(1 + slope²)), at every scale.",
    ),
    Activation(
        slug="elu",
        title="ELU",
        formula=r"f(x) = x\ \text{if}\ x > 0,\ \text{else}\ e^x - 1",
        module="nn.ELU()",
        function=functional.elu,
        backward=lambda g, x: _aten.elu_backward(g, 1, 1, 1, False, x),
        saves="input",
        flat=(math.log(0.01), math.inf),
        gain_note=_NO_GAIN,
    ),
    Activation(
        slug="selu",
        title="SELU",
        formula=(
            r"\begin{gathered} f(x) = \lambda x\ \text{if}\ x > 0,"
            r"\ \text{else}\ \lambda\alpha\,(e^x - 1) \\"
            r" \lambda = 1.0507,\ \alpha = 1.6733 \end{gathered}"
        ),
        module="nn.SELU()",
        function=torch.selu,
        backward=lambda g, x: _aten.elu_backward(g, _ALPHA, _SCALE, 1, False, x),
        saves="input",
        flat=(math.log(0.01), math.inf),
        gain_note=(
            "λ and α are made for gain 1 (Klambauer et al. 2017); torch's 3/4 shrinks the signal."
        ),
    ),
    Activation(
        slug="gelu",
        title="GELU",
        formula=r"f(x) = x\,\Phi(x)",
        module="nn.GELU()",
        function=functional.gelu,
        backward=_aten.gelu_backward,
        saves="input",
        flat=(-3.021662634, math.inf),
        gain_note=_NO_GAIN,
    ),
    Activation(
        slug="silu",
        title="SiLU (swish)",
        formula=r"f(x) = \frac{x}{1 + e^{-x}}",
        module="nn.SiLU()",
        function=functional.silu,
        backward=_aten.silu_backward,
        saves="input",
        flat=(-6.1429157, math.inf),
        gain_note=_NO_GAIN,
    ),
    Activation(
        slug="mish",
        title="Mish",
        formula=r"f(x) = x\,\tanh(\ln(1 + e^x))",
        module="nn.Mish()",
        function=functional.mish,
        backward=_aten.mish_backward,
        saves="input",
        flat=(-6.158741309, math.inf),
        gain_note=_NO_GAIN,
    ),
    Activation(
        slug="softplus",
        title="Softplus",
        formula=r"f(x) = \ln(1 + e^x)",
        module="nn.Softplus()",
        function=functional.softplus,
        backward=lambda g, x: _aten.softplus_backward(g, x, 1, 20),
        saves="input",
        flat=(-math.log(99.0), math.inf),
        gain_note=(
            "calculate_gain does not know it; most of its second moment is its mean of 0.806."
        ),
    ),
)
_BY_SLUG = {activation.slug: activation for activation in ACTIVATIONS}


def get_activation(slug: str) -> Activation:
    """The activation with this slug; raises InitError naming the allowed ones."""
    try:
        return _BY_SLUG[slug]
    except KeyError:
        raise InitError(f"activation {slug!r} is not one of: {', '.join(_BY_SLUG)}") from None
