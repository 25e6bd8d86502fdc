"""Network: a deep fully connected network as a small record, and code that builds the same one.

>>> network = Network(depth=3, width=4, weight=Init("orthogonal"))
>>> network.widths, network.layer(2).code
((4, 4, 4), 'nn.Linear(4, 4)')

Layer ℓ = 1 … depth computes its pre-activations hℓ = Wℓ xℓ₋₁ + bℓ and its activations xℓ = f(hℓ).
With LayerNorm xℓ = f(LayerNorm(hℓ)). A residual connection adds hℓ₋₁ to s·(Wℓ xℓ₋₁ + bℓ): each
layer is a branch of its own, and h the stream.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from functools import cached_property

from initcore.activations import Activation, get_activation
from initcore.draw import MAX_SEED, Spec
from initcore.errors import InitError, check_whole
from initcore.layers import MAX_SIZE, Layer
from initcore.schemes import Init

INPUTS = ("white", "correlated", "digits")
RESIDUALS = ("none", "plain", "scaled")
WHOLES = ("none", "fixup", "lsuv")
DIGITS_FEATURES, DIGITS_COUNT = 64, 1438

MAX_DEPTH, MAX_SEEDS = 1000, 100
# Each layer of each seed has a generator seed of its own: run · 2¹⁶ + layer.
_STRIDE = 2**16
MAX_RUN = MAX_SEED // _STRIDE
EPSILON = 1e-5  # of LayerNorm, as torch's


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InitError(f"{name} = {value}: must be one of: {', '.join(allowed)}")


@dataclass(frozen=True)
class Network:
    """Everything that decides what is propagated; hashable and small, the key of caches.

    Fields
    ------
    depth: number of layers. width: units of every layer, or one number for each layer.
    activation: slug of ``ACTIVATIONS``. weight, bias: schemes of every layer.
    inputs: ``white`` noise N(0, 1) as wide as the first layer; ``correlated`` noise, of which any
    two share ``correlation``; or the ``digits``, 64 pixels, standardised over all of them.
    batch: how many inputs. seeds: how many networks, of the seeds ``seed``, ``seed`` + 1, …
    layer_norm: LayerNorm before every activation.
    residual: ``plain`` (s = 1) or ``scaled`` (s = 1/√N for N branches: GPT-2's 1/√(2L) for L blocks
    of two branches, Radford et al. 2019).
    whole: ``fixup`` (Zhang et al. 2019, arXiv 1901.09321): residual branches of two layers, the
    first scaled by 1/√N, the second 0; ``lsuv`` (Mishkin & Matas 2015, arXiv 1511.06422): each
    layer divided by the std of its output until that is within 0.1 of 1. The paper starts LSUV
    from ``orthogonal``.

    Raises InitError for a value outside its range, or parts that do not go together.
    """

    depth: int = 50
    width: int | tuple[int, ...] = 512
    activation: str = "tanh"
    weight: Init = field(default_factory=lambda: Init("xavier_normal"))
    bias: Init = field(default_factory=lambda: Init("zeros"))
    inputs: str = "white"
    correlation: float = 0.5
    batch: int = 256
    seeds: int = 5
    seed: int = 0
    layer_norm: bool = False
    residual: str = "none"
    whole: str = "none"

    def __post_init__(self) -> None:
        check_whole("depth", self.depth, 1, MAX_DEPTH)
        if not isinstance(self.width, int) and len(self.width) != self.depth:
            raise InitError(f"{len(self.width)} widths for depth {self.depth}: give one, or each")
        for width in self.widths:
            check_whole("width", width, 1, MAX_SIZE)
        check_whole("batch", self.batch, 2, MAX_SIZE)
        check_whole("seeds", self.seeds, 1, MAX_SEEDS)
        check_whole("seed", self.seed, 0, MAX_RUN - MAX_SEEDS)
        _check_choice("inputs", self.inputs, INPUTS)
        _check_choice("residual", self.residual, RESIDUALS)
        _check_choice("whole", self.whole, WHOLES)
        get_activation(self.activation)
        if not 0 <= self.correlation <= 1:
            raise InitError(f"correlation = {self.correlation:g}: must be at least 0 and at most 1")
        if self.inputs == "digits" and self.batch > DIGITS_COUNT:
            raise InitError(f"batch = {self.batch}: there are {DIGITS_COUNT:,} digits")
        if self.whole == "fixup" and self.residual != "plain":
            raise InitError("fixup initialises residual branches: set residual to plain")
        if self.residual != "none" and len(set(self.widths)) > 1:
            raise InitError("a residual connection adds layers of one width: give one width")
        for layer in {self.layer(1), self.layer(min(2, self.depth))}:
            Spec(layer, self.weight, self.bias)

    @property
    def widths(self) -> tuple[int, ...]:
        """The units of each layer."""
        return (self.width,) * self.depth if isinstance(self.width, int) else tuple(self.width)

    @property
    def features(self) -> int:
        """The width of the input."""
        return DIGITS_FEATURES if self.inputs == "digits" else self.widths[0]

    @property
    def function(self) -> Activation:
        return get_activation(self.activation)

    def layer(self, number: int) -> Layer:
        """Layer ``number``, from 1."""
        widths = (self.features, *self.widths)
        return Layer("linear", (widths[number - 1], widths[number]))

    def spec(self, number: int, run: int) -> Spec:
        """What is drawn for layer ``number`` (from 1) in run 0 … seeds − 1."""
        seed = (self.seed + run) * _STRIDE + number
        return Spec(self.layer(number), self.weight, self.bias, seed)

    def input_seed(self, run: int) -> int:
        """The seed of a run's inputs and of the gradient at its output, drawn in this order."""
        return (self.seed + run) * _STRIDE

    @property
    def is_plain(self) -> bool:
        """Whether layers follow each other with nothing between or beside them."""
        return not self.layer_norm and self.residual == self.whole == "none"

    # --- residual structure

    @cached_property
    def sources(self) -> dict[int, int]:
        """For each layer that ends a residual branch: the layer whose h is added to its own."""
        if self.residual == "none":
            return {}
        ends = range(1 + self.branch_length, self.depth + 1, self.branch_length)
        return {end: end - self.branch_length for end in ends}

    @property
    def branch_length(self) -> int:
        """The layers of a residual branch: Fixup's have two, one to scale and one of zeros."""
        return 2 if self.whole == "fixup" else 1

    @property
    def branch_scale(self) -> float:
        """s: what a residual branch is multiplied by."""
        scaled = self.residual == "scaled" and self.sources
        return 1 / math.sqrt(len(self.sources)) if scaled else 1.0

    def weight_scale(self, number: int) -> float:
        """What Fixup multiplies the drawn weight of layer ``number`` by: 1 without Fixup."""
        if self.whole != "fixup":
            return 1.0
        if number in self.sources:
            return 0.0
        # N^(−1/(2m−2)) for branches of m = 2 layers.
        return 1 / math.sqrt(len(self.sources)) if number + 1 in self.sources else 1.0

    # --- cost

    @property
    def weights_mb(self) -> float:
        """All weights of one run, in MB."""
        return sum(4 * self.layer(i).count for i in range(1, self.depth + 1)) / 1e6

    @property
    def signals_mb(self) -> float:
        """What one run keeps for its backward pass, in MB, and the work on one layer."""
        kept = 2 if self.layer_norm else 1
        working = 6 * max(self.widths) + self.features
        weight = max(self.layer(1).count, self.layer(self.depth).count)
        copies = 1 + self.weight.scheme.working_copies
        return 4 * (self.batch * (kept * sum(self.widths) + working) + copies * weight) / 1e6

    @property
    def work(self) -> float:
        """Multiply-adds of all runs, in 10⁹: two products with every weight, and drawing it."""
        total = 0.0
        for number in range(1, self.depth + 1):
            layer = self.layer(number)
            # A QR decomposition, twice where the weights are drawn again for the backward pass.
            drawing = 8 * min(layer.matrix_shape) if self.weight.slug == "orthogonal" else 32
            total += layer.count * (2 * self.batch + drawing)
        return self.seeds * total / 1e9


@dataclass(frozen=True)
class NetworkLimits:
    """How much one propagation may use: two settings.

    ``hold_mb`` (10⁶ bytes) bounds what one run keeps for its backward pass; its weights are kept,
    too, where they fit, and else drawn twice. ``work`` bounds the multiply-adds of all runs, in
    10⁹. The defaults fit a server of 690 MB and 2 cores: about a minute.
    """

    hold_mb: float = 100.0
    work: float = 1000.0

    @classmethod
    def from_environment(cls) -> NetworkLimits:
        """Read INITCORE_PROPAGATE_MB and INITCORE_PROPAGATE_WORK; InitError if one is no number."""
        values = {}
        for name, variable in (
            ("hold_mb", "INITCORE_PROPAGATE_MB"),
            ("work", "INITCORE_PROPAGATE_WORK"),
        ):
            text = os.environ.get(variable)
            if text is not None:
                try:
                    values[name] = float(text)
                except ValueError:
                    values[name] = math.nan
                if not values[name] >= 0:
                    raise InitError(f"{variable} = {text}: must be a number")
        return cls(**values)

    def check(self, network: Network) -> None:
        """Raises InitError, before anything is allocated, when the network exceeds the limits."""
        widest = max(network.widths)
        size = f"depth {network.depth} × width {widest:,} × batch {network.batch:,}"
        if network.signals_mb > self.hold_mb:
            raise InitError(
                f"{size} keeps {network.signals_mb:,.0f} MB for the backward pass, and the limit "
                f"is {self.hold_mb:g} MB: choose smaller sizes, or raise INITCORE_PROPAGATE_MB"
            )
        if network.work > self.work:
            raise InitError(
                f"{size} × {network.seeds} seeds takes {network.work:,.0f}·10⁹ multiply-adds, and "
                f"the limit is {self.work:g}·10⁹: choose smaller sizes or fewer seeds, or raise "
                "INITCORE_PROPAGATE_WORK"
            )

    def keeps_weights(self, network: Network) -> bool:
        """Whether a run's weights are kept for the backward pass, or drawn again."""
        return network.signals_mb + network.weights_mb <= self.hold_mb


# --- code ---------------------------------------------------------------------------------------


def network_code(network: Network) -> str:
    """Runnable PyTorch code for the network of the first seed: the same values, bit for bit.

    It prints each layer's std of pre-activations and of gradients; ``pre`` holds the former. Only
    the digits need more than torch.
    """
    widths = network.widths
    same = len(set(widths)) == 1
    seed = network.input_seed(0)
    lines = [
        "import torch",
        "from torch import nn",
        *(["from initcore.problems import load"] if network.inputs == "digits" else []),
        "",
        f"widths = {f'[{widths[0]}] * {len(widths)}' if same else list(widths)}",
        f"activation = {network.function.module}",
        f"g = torch.Generator().manual_seed({seed})",
        *_input_code(network),
        f"gradient = torch.randn({network.batch}, widths[-1], generator=g)",
        "",
        "pre = []",
        "for number, width in enumerate(widths, 1):",
        *(f"    {line}" for line in _layer_code(network, seed)),
        "",
        "pre[-1].backward(gradient)",
        "for number, h in enumerate(pre, 1):",
        "    print(number, h.std(correction=0).item(), h.grad.std(correction=0).item())",
    ]
    return "\n".join(lines)


def _input_code(network: Network) -> list[str]:
    if network.inputs == "digits":
        return [
            'x = load("digits").train.inputs',
            f"x = x[torch.randperm(len(x), generator=g)[:{network.batch}]]",
        ]
    lines = [f"x = torch.randn({network.batch}, {network.features}, generator=g)"]
    if network.inputs == "correlated":
        own, shared = math.sqrt(1 - network.correlation), math.sqrt(network.correlation)
        lines += [
            f"common = torch.randn(1, {network.features}, generator=g)",
            f"x = x.mul_({own!r}).add_(common, alpha={shared!r})",
        ]
    return lines


def _layer_code(network: Network, seed: int) -> list[str]:
    spec = network.spec(1, 0)
    lines = [
        "layer = nn.Linear(x.shape[1], width)",
        f"g = torch.Generator().manual_seed({seed} + number)",
    ]
    if network.weight.slug == "sparse":
        lines.append(f"torch.manual_seed({seed} + number)  # sparse_ draws its zeros without g")
    lines.append(network.weight.call(spec.slot("weight")).code("layer.weight"))
    if network.bias.slug == "default":
        lines += [
            "bound = 1 / layer.in_features**0.5",
            "nn.init.uniform_(layer.bias, -bound, bound, generator=g)",
        ]
    else:
        lines.append(network.bias.call(spec.slot("bias")).code("layer.bias"))
    if network.whole == "fixup":
        scales = [network.weight_scale(number) for number in range(1, network.depth + 1)]
        lines += ["with torch.no_grad():", f"    layer.weight.mul_({scales}[number - 1])"]
    lines.append("h = layer(x)")
    if network.whole == "lsuv":
        lines += [
            "for _ in range(10):",
            "    if abs(h.std(correction=0) - 1) <= 0.1:",
            "        break",
            "    with torch.no_grad():",
            "        layer.weight.div_(h.std(correction=0))",
            "    h = layer(x)",
        ]
    if network.sources:
        length = network.branch_length
        lines += [
            f"if number > 1 and (number - 1) % {length} == 0:",
            f"    h = torch.add(pre[-{length}], h, alpha={network.branch_scale!r})",
        ]
    entering = "nn.functional.layer_norm(h, (width,))" if network.layer_norm else "h"
    return [*lines, "h.retain_grad()", "pre.append(h)", f"x = activation({entering})"]
