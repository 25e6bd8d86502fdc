"""Propagation: what a signal and a gradient become, layer by layer, measured and predicted.

>>> made = propagate(Network(depth=6, width=64, activation="relu", batch=32, seeds=2))
>>> made.verdict.state, round(made.verdict.signal, 1)
('vanishing', 0.7)

For every layer, over the units and the inputs of the batch: the standard deviation about the mean
of pre-activations, of activations, and of the gradient with respect to the pre-activations, of a
loss whose gradient at the last layer's pre-activations is N(0, 1). The theory is mean field
(``initcore.meanfield``), from the variances that the schemes' laws give to each layer as it is.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from csv import DictWriter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from initcore import meanfield
from initcore.activations import Array
from initcore.counting import Counts
from initcore.draw import draw_spec
from initcore.laws import Law, number
from initcore.layers import ROLES, Role
from initcore.measure import Progress
from initcore.network import EPSILON, Network, NetworkLimits
from initcore.problems import load

# What is measured of each layer, and what theory has to say about it.
MEASURED = (
    "preactivation_std",
    "activation_std",
    "gradient_std",
    "saturated",
    "dead",
    "correlation",
)
PREDICTED = (
    "preactivation_std",
    "activation_std",
    "gradient_std",
    "saturated",
    "correlation",
)
_MOST_HISTOGRAMS, _BINS = 8, 61
_LSUV_TOLERANCE, _LSUV_ROUNDS = 0.1, 10


class Histogram(NamedTuple):
    """Activations or gradients of one layer, of all seeds: ``counts`` between shared ``edges``."""

    layer: int
    edges: Array
    counts: Counts
    total: int


@dataclass(frozen=True)
class Verdict:
    """``state`` is stable, vanishing or exploding.

    ``signal`` and ``gradient`` are the factors per layer by which the std of the pre-activations
    grows forwards and that of the gradient backwards; nan where there is nothing to compare.
    """

    state: str
    signal: float
    gradient: float
    sentence: str


@dataclass(frozen=True)
class Propagation:
    """Statistics of every layer.

    ``measured`` holds an array (seeds, depth) for each name of ``MEASURED``, ``theory`` one
    (depth,) for each of ``PREDICTED``; nan from the layer on where float32 overflows, and where
    theory has nothing to say, for the reason in ``theory_note``. ``saturated`` is the share of
    pre-activations in the activation's flat part, ``dead`` the share of units that are there for
    every input of the batch. ``overflow`` is the first layer (from 1) in which a pre-activation of
    any seed was not finite, ``gradient_overflow`` the same, backwards.
    """

    network: Network
    measured: dict[str, Array]
    theory: dict[str, Array]
    theory_note: str
    activations: tuple[Histogram, ...]
    gradients: tuple[Histogram, ...]
    overflow: int | None
    gradient_overflow: int | None

    def mean(self, name: str) -> Array:
        """A measured statistic of each layer, as the mean over the seeds."""
        return np.asarray(self.measured[name].mean(axis=0))

    @cached_property
    def chi(self) -> float:
        """χ of the deepest layer's σ_w and σ_b, without its residual connection; nan: no theory."""
        return _chi(self.network) if not self.theory_note else math.nan

    @cached_property
    def verdict(self) -> Verdict:
        return _verdict(self)


# --- measuring ----------------------------------------------------------------------------------


def spread(x: Tensor) -> tuple[float, float]:
    """Mean and standard deviation about it, of all entries of a float32 matrix (rows, columns).

    Rows are summed in float32 and the rows' sums in float64; a mean far from 0 is subtracted first,
    and what squares would take out of float32 is taken in float64.
    """
    rows = x.numpy()
    ones = np.ones(rows.shape[1], rows.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.vecdot(rows, ones).sum(dtype=np.float64)) / rows.size
        square = float(np.vecdot(rows, rows).sum(dtype=np.float64)) / rows.size
        if 1e-30 < square < 1e30 and mean**2 < 0.9 * square:
            return mean, math.sqrt(square - mean**2)
        if not math.isfinite(mean) and not bool(torch.isfinite(x).all()):
            return math.nan, math.nan
        values = rows.astype(np.float64)
        return float(values.mean()), float(values.std())


class Weights:
    """The weights and biases of one run, drawn when asked for, and kept where they may be."""

    def __init__(self, network: Network, run: int, *, keep: bool) -> None:
        self._network, self._run, self._keep = network, run, keep
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        self._scales = [network.weight_scale(i) for i in range(1, network.depth + 1)]

    def __getitem__(self, layer: int) -> tuple[Tensor, Tensor]:
        """Weight (out, in) and bias (out,) of a layer, from 1."""
        if layer in self._kept:
            return self._kept[layer]
        drawn = draw_spec(self._network.spec(layer, self._run))
        assert drawn.bias is not None
        if self._scales[layer - 1] != 1:
            drawn.weight.mul_(self._scales[layer - 1])
        if self._keep:
            self._kept[layer] = drawn.weight, drawn.bias
        return drawn.weight, drawn.bias

    def divide(self, layer: int, weight: Tensor, std: float) -> None:
        """Divide a layer's weight, in place and whenever it is drawn again."""
        weight.div_(std)
        self._scales[layer - 1] /= std


def _inputs(network: Network, generator: torch.Generator) -> Tensor:
    """The batch, (batch, features), with second moment 1 on the average."""
    shape = network.batch, network.features
    if network.inputs == "digits":
        images = load("digits").train.inputs
        return images[torch.randperm(len(images), generator=generator)[: network.batch]]
    noise = torch.randn(shape, generator=generator)
    if network.inputs == "white":
        return noise
    common = torch.randn(1, network.features, generator=generator)
    share = network.correlation
    return noise.mul_(math.sqrt(1 - share)).add_(common, alpha=math.sqrt(share))


def correlation_of_pairs(h: Tensor) -> float:
    """Of neighbours in a batch (inputs, units): their mean product over their mean square."""
    count = len(h) // 2 * 2
    first, second = h[0:count:2].numpy(), h[1:count:2].numpy()
    square = float(np.vecdot(first, first).sum(dtype=np.float64))
    if not 1e-30 < square / first.size < 1e30:  # products would leave float32
        first, second = first.astype(np.float64), second.astype(np.float64)
        square = float(np.vecdot(first, first).sum())
    square += float(np.vecdot(second, second).sum(dtype=np.float64))
    product = float(np.vecdot(first, second).sum(dtype=np.float64))
    return 2 * product / square if square > 0 else math.nan


class Statistics:
    """What is measured of one run: an array (depth,) by name, and pattern counts of some layers."""

    def __init__(self, network: Network) -> None:
        self.arrays = {name: np.full(network.depth, np.nan) for name in MEASURED}
        self.activations: dict[int, Counts] = {}
        self.gradients: dict[int, Counts] = {}
        self._flat = network.function.flat
        steps = np.linspace(1, network.depth, min(network.depth, _MOST_HISTOGRAMS))
        self._shown = {int(step) for step in steps.round()}

    def forward(self, layer: int, h: Tensor, u: Tensor, x: Tensor) -> bool:
        """Take in pre-activations, what enters the activation, and activations; False: overflow."""
        std = spread(h)[1]
        if not math.isfinite(std):
            return False
        a, at = self.arrays, layer - 1
        a["preactivation_std"][at] = std
        a["activation_std"][at] = spread(x)[1]
        with np.errstate(over="ignore", invalid="ignore"):
            a["correlation"][at] = correlation_of_pairs(h)
        a["saturated"][at], a["dead"][at] = _flat_shares(u, self._flat)
        if layer in self._shown:
            self.activations[layer] = _count_patterns(x)
        return True

    def backward(self, layer: int, gradient: Tensor) -> bool:
        """Take in the gradient with respect to a layer's pre-activations; False: overflow."""
        std = spread(gradient)[1]
        if not math.isfinite(std):
            return False
        self.arrays["gradient_std"][layer - 1] = std
        if layer in self._shown:
            self.gradients[layer] = _count_patterns(gradient)
        return True


def _flat_shares(u: Tensor, flat: tuple[float, float]) -> tuple[float, float]:
    """The share of entries in the activation's flat part, and of columns that are all there."""
    rows, (low, high) = u.numpy(), flat
    sides = [rows <= low] if math.isfinite(low) else []
    sides += [rows >= high] if math.isfinite(high) else []
    counts = [int(np.count_nonzero(side)) for side in sides]
    # No column is full where there are fewer entries than rows.
    full = (side for side, count in zip(sides, counts, strict=True) if count >= len(rows))
    dead = sum(int(np.count_nonzero(side.all(axis=0))) for side in full)
    return sum(counts) / rows.size, dead / rows.shape[1]


# bfloat16 has float32's range: counting its 2¹⁶ bit patterns is a histogram whose edges can be
# chosen afterwards.
_PATTERNS = np.arange(2**16, dtype=np.uint32) << 16


def _count_patterns(x: Tensor) -> Counts:
    index = x.to(torch.bfloat16).view(torch.int16).view(-1).to(torch.int32).bitwise_and_(0xFFFF)
    return torch.bincount(index, minlength=2**16).numpy()


# --- one run: forwards, then backwards without the weights' gradients ----------------------------


def run(
    network: Network,
    weights: Weights,
    inputs: Tensor,
    gradient: Tensor,
    statistics: Statistics,
    step: Callable[[], None] = lambda: None,
) -> tuple[int | None, int | None]:
    """Propagate a batch (batch, features) forwards and a gradient (batch, units) backwards.

    ``statistics`` is filled, ``step`` called after each layer of each pass. Returns the layers in
    which the signal and the gradient overflow. All values are autograd's, to the bit.
    """
    f, s, sources, depth = network.function, network.branch_scale, network.sources, network.depth
    streams: dict[int, Tensor] = dict.fromkeys(sources.values(), inputs)
    saved: list[tuple[Tensor, ...]] = []
    x = inputs
    for layer in range(1, depth + 1):
        weight, bias = weights[layer]
        h = torch.addmm(bias, x, weight.t())
        if network.whole == "lsuv":
            h = _lsuv(weights, layer, x, h)
        if layer in sources:
            h = torch.add(streams.pop(sources[layer]), h, alpha=s)
        if layer in streams:
            streams[layer] = h
        u, norm = h, list[Tensor]()
        if network.layer_norm:
            u, mean, scale = torch.native_layer_norm(h, [h.shape[1]], None, None, EPSILON)
            norm = [h, mean, scale]
        x = f.function(u)
        if not statistics.forward(layer, h, u, x):
            return layer, None
        if layer < depth:
            saved.append((u if f.saves == "input" else x, *norm))
        step()
    del h, u, x
    skipping: dict[int, Tensor] = {}  # gradients on their way along the residual connections
    statistics.backward(depth, gradient)
    step()
    for layer in range(depth, 1, -1):
        if layer in sources:
            skipping[sources[layer]] = gradient
            gradient = gradient * s
        entry, *norm = saved.pop()
        gradient = f.backward(gradient.mm(weights[layer][0]), entry)
        if norm:
            h, mean, scale = norm
            gradient = torch.ops.aten.native_layer_norm_backward(
                gradient, h, [h.shape[1]], mean, scale, None, None, [True, False, False]
            )[0]
        if layer - 1 in skipping:
            gradient = gradient + skipping.pop(layer - 1)
        if not statistics.backward(layer - 1, gradient):
            return None, layer - 1
        step()
    return None, None


def _lsuv(weights: Weights, layer: int, x: Tensor, h: Tensor) -> Tensor:
    """Divide a layer's weight by the std of its output h until its variance is about 1; the output.

    Mishkin & Matas 2015, arXiv 1511.06422, algorithm 1.
    """
    weight, bias = weights[layer]
    for _ in range(_LSUV_ROUNDS):
        std = spread(h)[1]
        if not 0 < std < math.inf or abs(std**2 - 1) <= _LSUV_TOLERANCE:
            break
        weights.divide(layer, weight, std)
        h = torch.addmm(bias, x, weight.t())
    return h


def propagate(
    network: Network, limits: NetworkLimits | None = None, progress: Progress | None = None
) -> Propagation:
    """Draw the networks of all seeds, and measure what a signal and a gradient become.

    ``progress`` is called with the share done after each layer; an exception that it raises ends
    the work and frees its memory. Raises InitError, before anything is allocated, when the network
    exceeds ``limits``.
    """
    limits = limits or NetworkLimits()
    limits.check(network)
    keep = limits.keeps_weights(network)
    done, total = 0, 2 * network.depth * network.seeds

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done / total, f"network {(done - 1) * network.seeds // total + 1}")

    runs, overflows, second, correlation = [], [], [], []
    for index in range(network.seeds):
        generator = torch.Generator().manual_seed(network.input_seed(index))
        inputs = _inputs(network, generator)
        gradient = torch.randn(network.batch, network.widths[-1], generator=generator)
        second.append(float(inputs.double().square().mean()))
        correlation.append(correlation_of_pairs(inputs))
        statistics = Statistics(network)
        weights = Weights(network, index, keep=keep)
        overflows.append(run(network, weights, inputs, gradient, statistics, step))
        runs.append(statistics)
    theory, note = predict(network, float(np.mean(second)), float(np.mean(correlation)))
    forward = [layer for layer, _ in overflows if layer]
    backward = [layer for _, layer in overflows if layer]
    return Propagation(
        network=network,
        measured={name: np.stack([one.arrays[name] for one in runs]) for name in MEASURED},
        theory=theory,
        theory_note=note,
        activations=_shared([one.activations for one in runs]),
        gradients=_shared([one.gradients for one in runs]),
        overflow=min(forward, default=None),
        gradient_overflow=max(backward, default=None),
    )


def _shared(runs: list[dict[int, Counts]]) -> tuple[Histogram, ...]:
    """Histograms of the layers that all runs reached, added up, on edges that hold them all."""
    reached = sorted(layer for layer in runs[0] if all(layer in one for one in runs))
    if not reached:
        return ()
    values = _PATTERNS.view(np.float32)
    order = np.argsort(values)[: int(np.count_nonzero(~np.isnan(values)))]
    values = values[order].astype(np.float64)
    tables = {layer: sum(one[layer] for one in runs)[order] for layer in reached}  # type: ignore[index]
    ends = []
    for table in tables.values():
        below = np.cumsum(table)
        ends += [values[np.searchsorted(below, p * below[-1])] for p in (0.001, 0.999)]
    reach = max(np.abs(ends)) or 1.0
    edges = np.linspace(-reach if min(ends) < 0 else 0.0, reach, _BINS + 1)
    return tuple(
        Histogram(
            layer,
            edges,
            np.histogram(values, edges, weights=table)[0].astype(np.int64),
            int(table.sum()),
        )
        for layer, table in tables.items()
    )


# --- the theory ---------------------------------------------------------------------------------


def _laws(network: Network, layer: int) -> dict[Role, Law]:
    spec = network.spec(layer, 0)
    return {role: init.law(spec.slot(role)) for role in ROLES if (init := spec.init(role))}


def variances(network: Network, layer: int) -> tuple[float, float]:
    """σ_w² and σ_b² of a layer: fan_in × the variance of its weight's law, that of its bias's."""
    laws = _laws(network, layer)
    weight = laws["weight"].std * network.weight_scale(layer)
    return network.layer(layer).fan_in * weight**2, laws["bias"].std ** 2


def no_theory(network: Network) -> str:
    """Why mean field says nothing of this network; empty where it does."""
    if network.weight.slug == "eye":
        return "Mean field needs random weights: eye has none."
    for role, law in _laws(network, 1).items():
        if abs(law.mean) > 1e-9 * law.std:
            return f"Mean field needs a mean of 0: that of the {role} is {number(law.mean)}."
    return ""


def predict(
    network: Network, second: float = 1.0, correlation: float = 0.0
) -> tuple[dict[str, Array], str]:
    """The mean-field prediction of each statistic for each layer, and why there is none.

    ``second`` is the second moment of the inputs, ``correlation`` that of two of them.
    """
    depth, f = network.depth, network.function
    theory = {name: np.full(depth, np.nan) for name in PREDICTED}
    note = no_theory(network)
    if note:
        return theory, note
    s, sources = network.branch_scale, network.sources
    lengths, products = np.full(depth + 1, np.nan), np.full(depth + 1, np.nan)
    weight_vars, passing = np.full(depth + 1, np.nan), np.full(depth + 1, np.nan)
    moment, product = second, correlation * second  # of what enters a layer
    for layer in range(1, depth + 1):
        w, b = variances(network, layer)
        q = w * moment + b
        if network.whole == "lsuv" and moment > 0 and abs(q - 1) > _LSUV_TOLERANCE:
            w = max(1 - b, 0.0) / moment
            q = w * moment + b
        c = w * product + b
        if layer in sources:
            q, c = lengths[sources[layer]] + s**2 * q, products[sources[layer]] + s**2 * c
        lengths[layer], products[layer], weight_vars[layer] = q, c, w
        share = min(c / q, 1.0) if q > 0 else 1.0
        # LayerNorm divides by the std of the layer's own pre-activations; backwards it takes out
        # two directions of the gradient: the mean, and the pre-activations themselves.
        entering = q / (q + EPSILON) if network.layer_norm else q
        if not math.isfinite(entering):
            break
        moment = float(meanfield.second_moment(f, entering))
        mean = float(meanfield.first_moment(f, entering))
        passing[layer] = meanfield.slope_moment(f, entering)
        if network.layer_norm:
            passing[layer] *= max(1 - 2 / network.widths[layer - 1], 0.0) / (q + EPSILON)
        product = float(meanfield.product_moment(f, entering, share)) if share < 1 else moment
        theory["preactivation_std"][layer - 1] = math.sqrt(q)
        theory["activation_std"][layer - 1] = math.sqrt(max(moment - mean**2, 0.0))
        theory["saturated"][layer - 1] = _flat_mass(f.flat, math.sqrt(entering))
        theory["correlation"][layer - 1] = share
    gradients = np.zeros(depth + 1)
    gradients[depth] = 1.0
    for layer in range(depth, 1, -1):
        branch = gradients[layer]
        if layer in sources:
            gradients[sources[layer]] += gradients[layer]
            branch = branch * s**2
        widths = network.layer(layer).size
        back = weight_vars[layer] * widths[1] / widths[0]
        gradients[layer - 1] += branch * back * passing[layer - 1]
    theory["gradient_std"][:] = np.sqrt(gradients[1:])
    return theory, note


def _flat_mass(flat: tuple[float, float], std: float) -> float:
    """The share of N(0, std²) in the flat part."""
    if std == 0:
        return float(flat[0] >= 0)
    return float(ndtr(flat[0] / std) + ndtr(-flat[1] / std))


def _chi(network: Network) -> float:
    w, b = variances(network, network.depth)
    if network.layer_norm:
        q = w * network.function.second_moment + b + EPSILON
        return w * network.function.slope_moment / q
    return float(meanfield.chi(network.function, w, b))


# --- the verdict --------------------------------------------------------------------------------

# Growth by under 5 % a layer, and by under a factor 3 in all, counts as stable.
_STABLE_LAYER, _STABLE_TOTAL = 1.05, 3.0


def _factor(first: float, last: float, steps: int) -> float:
    """The factor per step from the first to the last value."""
    if steps < 1 or not (first > 0 and last >= 0 and math.isfinite(last)):
        return math.nan
    return float((last / first) ** (1 / steps))


def _state(factor: float, steps: int) -> str:
    if math.isnan(factor):
        return "stable"
    rate = abs(math.log(factor)) if factor > 0 else math.inf
    if rate <= math.log(_STABLE_LAYER) and rate * steps <= math.log(_STABLE_TOTAL):
        return "stable"
    return "exploding" if factor > 1 else "vanishing"


def _verdict(made: Propagation) -> Verdict:
    depth = made.network.depth
    std, gradient = made.mean("preactivation_std"), made.mean("gradient_std")
    last = (made.overflow or depth + 1) - 1  # the deepest layer reached, and the shallowest
    first = (made.gradient_overflow or 0) + 1
    if last < 1:
        text = "The signal overflows float32 in the first layer."
        return Verdict("exploding", math.nan, math.nan, text)
    if not std[0] > 0:
        text = "Nothing gets through the first layer: its pre-activations are all equal."
        return Verdict("vanishing", math.nan, math.nan, text)
    signal = _factor(std[0], std[last - 1], last - 1)
    back = math.nan if made.overflow else _factor(gradient[-1], gradient[first - 1], depth - first)
    states = [_state(signal, last - 1), _state(back, depth - first)]
    if made.overflow:
        states[0] = "exploding"
    if made.gradient_overflow:
        states[1] = "exploding"
    state = next(s for s in ("exploding", "vanishing", "stable") if s in states)
    where = f"in layer {made.overflow}" if made.overflow else ""
    parts = [_way("signal", signal, states[0], std[0], std[last - 1], where)]
    if not made.overflow and depth > 1:
        where = f"in layer {made.gradient_overflow}" if made.gradient_overflow else ""
        ends = gradient[-1], gradient[first - 1]
        parts.append(_way("gradient on its way back", back, states[1], *ends, where))
    text = f"{state.capitalize()}: {'; '.join(parts)}."
    sentences = [text, _reach(made, signal, back, states), _holding(made)]
    return Verdict(state, signal, back, " ".join(filter(None, sentences)))


def _way(what: str, factor: float, state: str, start: float, end: float, where: str) -> str:
    """What becomes of the signal or of the gradient, in words."""
    by = f"× {number(factor)} per layer, " if factor > 0 else ""
    if where:
        return f"the {what} grows ({by}overflowing float32 {where})"
    way = "keeps its size" if state == "stable" else "grows" if factor > 1 else "shrinks"
    return f"the {what} {way} ({by}std {number(start, 3)} to {number(end, 3)})"


def _reach(made: Propagation, signal: float, back: float, states: list[str]) -> str:
    """To what depth a signal survives."""
    rates = {
        name: math.log(factor)
        for name, factor, state in (("signal", signal, states[0]), ("gradient", back, states[1]))
        if state != "stable" and factor > 0
    }
    if rates:
        name = max(rates, key=lambda name: abs(rates[name]))
        change = "down to a tenth" if rates[name] < 0 else "ten times as large"
        layers = math.ceil(math.log(10) / abs(rates[name]))
        return f"The {name} is {change} after {layers} layer{'s' if layers > 1 else ''}."
    network = made.network
    if set(states) != {"stable"} or made.theory_note or not network.is_plain:
        return ""
    xi = float(meanfield.fixed_point(network.function, *variances(network, network.depth)).xi_c)
    if math.isinf(xi):
        return ""
    return f"Two inputs can be told apart down to about layer {6 * xi:,.0f}, 6 ξ_c."


def _holding(made: Propagation) -> str:
    """The gain that would hold the signal, the one that would hold the gradient, and this one."""
    network, f = made.network, made.network.function
    if not network.is_plain:
        return ""
    text = f"Gain {number(f.gain)} holds the signal's size at 1"
    if made.theory_note:
        return f"{text}."
    weight_var, bias_var = variances(network, network.depth)
    critical = math.sqrt(float(meanfield.critical_weight_var(f, bias_var)))
    if abs(critical / f.gain - 1) > 0.005:
        text += f", gain {number(critical)} the gradient's (χ = 1)"
    return f"{text}; this network has gain {number(math.sqrt(weight_var))}."


# --- plain data ---------------------------------------------------------------------------------


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def layers(made: Propagation) -> list[dict[str, float | None]]:
    """A row for each layer: means over the seeds, and theory; None for what is not finite."""
    columns = {name: made.mean(name) for name in MEASURED}
    columns |= {f"theory_{name}": made.theory[name] for name in PREDICTED}
    return [
        {"layer": index + 1} | {name: _plain(column[index]) for name, column in columns.items()}
        for index in range(made.network.depth)
    ]


def csv(made: Propagation) -> str:
    """``layers`` as a table with a heading; what is not finite is left empty."""
    rows = layers(made)
    text = io.StringIO()
    writer = DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_dict(made: Propagation) -> dict[str, Any]:
    """The propagation as plain data for JSON, in full precision."""
    network, f = made.network, made.network.function
    width = network.width if isinstance(network.width, int) else list(network.width)
    return {
        "activation": network.activation,
        "scheme": network.weight.slug,
        "params": dict(network.weight.params),
        "bias": {"scheme": network.bias.slug, "params": dict(network.bias.params)},
        "depth": network.depth,
        "width": width,
        "inputs": network.inputs,
        "input_correlation": network.correlation if network.inputs == "correlated" else None,
        "batch": network.batch,
        "seeds": network.seeds,
        "seed": network.seed,
        "layer_norm": network.layer_norm,
        "residual": network.residual,
        "whole_network": network.whole,
        "torch_version": torch.__version__,
        "gain": {"torch": f.torch_gain, "exact": f.gain},
        "chi": _plain(made.chi),
        "verdict": made.verdict.sentence,
        "state": made.verdict.state,
        "signal_factor": _plain(made.verdict.signal),
        "gradient_factor": _plain(made.verdict.gradient),
        "overflow": made.overflow,
        "gradient_overflow": made.gradient_overflow,
        "theory_note": made.theory_note,
        "layers": layers(made),
    }
