"""Papers: classic claims about initialisation, each checked live with the parts of this library.

>>> result = get_paper("klambauer-2017").measure()
>>> result.state
'agrees'

A claim is a few numbers: what the paper says, what is measured or derived here, and the range in
which the two count as equal, with its reason. Sizes, rates and some ranges were chosen after trial
runs; a record says where. A claim that does not hold at the size tried is shown as one that does
not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from initcore import meanfield
from initcore.activations import Array, get_activation
from initcore.draw import draw_spec
from initcore.errors import InitError
from initcore.laws import number
from initcore.measure import Progress, workers
from initcore.network import Network
from initcore.problems import load
from initcore.propagation import Propagation, Weights, propagate
from initcore.report import finite
from initcore.schemes import Init
from initcore.spectrum import (
    Spectra,
    SpectrumSpec,
    expected_jacobian,
    measure_spectra,
    singular_values,
)
from initcore.training import Curve, Entrant, RaceSpec, race

State = Literal["agrees", "disagrees", "not computed"]


# --- records ------------------------------------------------------------------------------------


class PhasePoint(NamedTuple):
    """A point of the phase diagram, for a preset: what opens the Phase page."""

    activation: str
    weight_std: float
    bias_std: float


Preset = Network | RaceSpec | SpectrumSpec | PhasePoint


@dataclass(frozen=True)
class Row:
    """One number of a claim: the paper's with what counts as equal, in words; ours; the range.

    Made by ``near`` or ``within``.
    """

    what: str
    paper: str
    ours: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        return self.low <= self.ours <= self.high

    @property
    def off(self) -> float:
        """How far ours lies outside the range: below it negative, above it positive, else 0."""
        return min(self.ours - self.low, 0.0) + max(self.ours - self.high, 0.0)


def near(what: str, paper: float, ours: float, tolerance: float) -> Row:
    """A row that agrees within ``tolerance`` of the paper's number."""
    low, high = paper - tolerance, paper + tolerance
    text, allowed = number(paper), number(tolerance, 2)
    return Row(what, f"{text} ± {allowed}", ours, low, high)


def within(
    what: str, paper: str, ours: float, low: float = -math.inf, high: float = math.inf
) -> Row:
    """A row whose paper says something in words, ``paper``, that a range stands for."""
    return Row(what, paper, ours, low, high)


@dataclass(frozen=True)
class Result:
    """A claim as measured; ``reason`` says why it could not be, and is else empty."""

    rows: tuple[Row, ...]
    reason: str = ""

    @property
    def state(self) -> State:
        if self.reason:
            return "not computed"
        return "agrees" if all(row.agrees for row in self.rows) else "disagrees"

    @property
    def sentence(self) -> str:
        """Why the state is what it is, with by how much ours is off."""
        if self.reason:
            return f"{self.reason[0].upper()}{self.reason[1:]}."
        wrong = [row for row in self.rows if not row.agrees]
        if not wrong:
            return f"All {len(self.rows)} numbers are within the stated tolerance."
        parts = [
            f"{row.what} is {number(row.ours)}, by {number(abs(row.off), 2)} too "
            f"{'low' if row.off < 0 else 'high'} for {row.paper}"
            for row in wrong
        ]
        return f"{'; '.join(parts)}."


@dataclass(frozen=True)
class Paper:
    """A claim of a paper: a record of ``PAPERS``.

    Fields
    ------
    slug, authors, year, title, venue, url: which paper.
    claim: what it says, in a sentence. where: its figure, equation or section. figure: its number,
    for people.
    setting: what is run here, and how it is scaled down. tolerance: what counts as equal, and why.
    preset: the spec that a page opens to show the same.
    rows: the work: reports its progress, gives the claim's numbers.
    """

    slug: str
    authors: str
    year: int
    title: str
    venue: str
    url: str
    claim: str
    where: str
    number: str
    setting: str
    tolerance: str
    preset: Preset
    rows: Callable[[Progress], tuple[Row, ...]]

    def measure(self, progress: Progress | None = None) -> Result:
        """Check the claim: some seconds of work.

        ``progress`` is told of the share done; what it raises ends the work. A number that is not
        finite, or a spec that is refused, makes a result without a verdict.
        """
        try:
            rows = self.rows(progress or _silent)
        except InitError as error:
            return Result((), str(error))
        lost = [row.what for row in rows if not math.isfinite(row.ours)]
        return Result(rows, f"{lost[0]} is not a finite number" if lost else "")


def as_dict(paper: Paper, result: Result) -> dict[str, Any]:
    """A checked claim as plain data for JSON, in full precision; what is not finite is None."""
    data = {
        "slug": paper.slug,
        "authors": paper.authors,
        "year": paper.year,
        "title": paper.title,
        "url": paper.url,
        "claim": paper.claim,
        "where": paper.where,
        "number": paper.number,
        "setting": paper.setting,
        "tolerance": paper.tolerance,
        "torch_version": torch.__version__,
        "state": result.state,
        "sentence": result.sentence,
        "rows": [asdict(row) | {"agrees": row.agrees} for row in result.rows],
    }
    plain = finite(data)
    assert isinstance(plain, dict)
    return plain


def _silent(share: float, now: str = "") -> None:
    pass


def _part(progress: Progress, index: int, count: int) -> Progress:
    """The progress of part ``index`` of ``count`` equal parts."""

    def report(share: float, now: str = "") -> None:
        progress((index + share) / count, now)

    return report


def _propagate(networks: Sequence[Network], progress: Progress) -> list[Propagation]:
    return [
        propagate(network, progress=_part(progress, index, len(networks)))
        for index, network in enumerate(networks)
    ]


def _normal(weight_std: float, width: int) -> Init:
    """Normal weights of σ_w²/width."""
    return Init("normal", {"std": weight_std / math.sqrt(width)})


def _variances(made: Propagation) -> Array:
    """Of the pre-activations, (seeds, layers)."""
    return np.asarray(made.measured["preactivation_std"] ** 2)


# --- Glorot & Bengio 2010 -----------------------------------------------------------------------

_STANDARD = Network(
    depth=5, width=1000, weight=Init("default"), inputs="digits", batch=128, seeds=3
)
_NORMALIZED = Network(
    depth=5, width=1000, weight=Init("xavier_uniform"), inputs="digits", batch=128, seeds=3
)


def _layer_jacobian(network: Network, progress: Progress) -> float:
    """The mean singular value of ∂x_ℓ/∂x_ℓ₋₁, over the layers from the second on, at one input."""
    x = load("digits").train.inputs[0]
    means = []
    with workers(1) as worker:
        for layer in range(1, network.depth + 1):
            progress((layer - 1) / network.depth, f"Jacobian of layer {layer}")
            weight = draw_spec(network.spec(layer, 0)).weight
            h = weight @ x
            slopes = torch.from_numpy(network.function.slopes(h.numpy()))
            if layer > 1:
                jacobian = slopes[:, None] * weight.double()
                means.append(float(worker.submit(singular_values, jacobian).result().mean()))
            x = network.function.function(h)
    return float(np.mean(means))


def _glorot(progress: Progress) -> tuple[Row, ...]:
    rows = []
    for index, (name, network) in enumerate((("U(±1/√n)", _STANDARD), ("normalized", _NORMALIZED))):
        made = propagate(network, progress=_part(progress, 2 * index, 4))
        value = _layer_jacobian(network, _part(progress, 2 * index + 1, 4))
        paper = (0.5, 0.8)[index]
        activations, gradients = made.mean("activation_std"), made.mean("gradient_std")
        forward = float(activations[-1] / activations[0])
        backward = float(gradients[0] / gradients[-1])
        rows.append(near(f"Mean singular value of a layer's Jacobian, {name}", paper, value, 0.1))
        for what, ours in (
            ("Activations: std, layer 5 ÷ layer 1", forward),
            ("Gradients: std, layer 1 ÷ layer 5", backward),
        ):
            if index == 0:
                rows.append(within(f"{what}, {name}", "≤ 1/9 + 5 %", ours, high=1.05 / 9))
            else:
                rows.append(within(f"{what}, {name}", "about 1: 0.5 to 2", ours, 0.5, 2.0))
    return tuple(rows)


# --- He et al. 2015 -----------------------------------------------------------------------------


def _rectifiers(layers: int, rate: float, steps: int) -> RaceSpec:
    return RaceSpec(
        (Entrant(Init("kaiming_normal"), rate), Entrant(Init("xavier_normal"), rate)),
        widths=(64,) * (layers - 1),
        steps=steps,
        momentum=0.9,
        seeds=2,
    )


_HE_22, _HE_30 = _rectifiers(22, 0.01, 400), _rectifiers(30, 0.002, 300)
_HE_SIGNAL = Network(depth=30, width=512, activation="relu", batch=128, seeds=5)


def _loss(curve: Curve, spec: RaceSpec) -> float:
    """The final training loss as a share of guessing's, the mean over seeds."""
    return float(curve.final_loss.mean()) / spec.chance


def _steps_to(curve: Curve, spec: RaceSpec, share: float) -> float:
    """The steps until the loss is this share of guessing's, the mean over seeds; inf where not."""
    reached = curve.train_loss < share * spec.chance
    if not reached.any(axis=0).all():
        return math.inf
    return float(curve.steps[reached.argmax(axis=0)].mean())


def _he(progress: Progress) -> tuple[Row, ...]:
    variances = _variances(propagate(_HE_SIGNAL, progress=_part(progress, 0, 3)))
    factor = float(((variances[:, -1] / variances[:, 0]) ** (1 / 29)).mean())
    he_22, xavier_22 = race(_HE_22, _part(progress, 1, 3)).runners
    he_30, xavier_30 = race(_HE_30, _part(progress, 2, 3)).runners
    learns = partial(within, paper="learns: < 0.9", high=0.9)
    return (
        near("Variance per layer, Xavier on ReLU", 0.5, factor, 0.01),
        learns("22 layers, He: loss ÷ guessing's", ours=_loss(he_22, _HE_22)),
        learns("22 layers, Xavier: loss ÷ guessing's", ours=_loss(xavier_22, _HE_22)),
        within(
            "22 layers: steps to 90 % of guessing's loss, He ÷ Xavier",
            "< 1",
            _steps_to(he_22, _HE_22, 0.9) / _steps_to(xavier_22, _HE_22, 0.9),
            high=1.0,
        ),
        learns("30 layers, He: loss ÷ guessing's", ours=_loss(he_30, _HE_30)),
        within(
            "30 layers, Xavier: loss ÷ guessing's",
            "stalls: > 0.99",
            _loss(xavier_30, _HE_30),
            low=0.99,
        ),
    )


# --- Saxe et al. 2013 ---------------------------------------------------------------------------

_SAXE_WIDTH = 64


def _linear(layers: int) -> RaceSpec:
    rate = 0.05 / layers
    return RaceSpec(
        (Entrant(Init("orthogonal"), rate), Entrant(_normal(1.0, _SAXE_WIDTH), rate)),
        widths=(_SAXE_WIDTH,) * (layers - 1),
        activation="linear",
        steps=80,
        seeds=2,
        every=2,
    )


_SHALLOW, _DEEP = _linear(4), _linear(32)


def _saxe(progress: Progress) -> tuple[Row, ...]:
    shallow = race(_SHALLOW, _part(progress, 0, 8)).runners
    deep = race(_DEEP, lambda share, now="": progress((1 + 7 * share) / 8, now)).runners
    orthogonal, gaussian = (
        _steps_to(late, _DEEP, 0.5) / _steps_to(early, _SHALLOW, 0.5)
        for early, late in zip(shallow, deep, strict=True)
    )
    return (
        near("Learning time at 32 ÷ at 4 layers, orthogonal", 1.0, orthogonal, 0.25),
        within("Learning time at 32 ÷ at 4 layers, Gaussian", "grows: > 1.5", gaussian, low=1.5),
    )


# --- Mishkin & Matas 2015 -----------------------------------------------------------------------


def _lsuv(activation: str) -> Network:
    return Network(
        depth=20,
        width=256,
        activation=activation,
        weight=Init("orthogonal"),
        whole="lsuv",
        inputs="digits",
        batch=128,
        seeds=3,
    )


def _mishkin(progress: Progress) -> tuple[Row, ...]:
    slugs = ("relu", "leaky_relu", "tanh")
    runs = _propagate([_lsuv(slug) for slug in slugs], progress)
    return tuple(
        within(
            f"Largest |variance − 1| of 20 layers, {get_activation(slug).title}",
            "< 0.1",
            float(np.abs(_variances(made) - 1).max()),
            high=0.1,
        )
        for slug, made in zip(slugs, runs, strict=True)
    )


# --- Poole et al. 2016 --------------------------------------------------------------------------

_POOLE_BIAS = 0.3


def _poole_network(weight_std: float) -> Network:
    return Network(
        depth=20,
        width=1000,
        weight=_normal(weight_std, 1000),
        bias=Init("normal", {"std": _POOLE_BIAS}),
        inputs="correlated",
        batch=32,
        seeds=3,
    )


def _poole(progress: Progress) -> tuple[Row, ...]:
    stds = (1.3, 2.5, 4.0)
    runs = _propagate([_poole_network(std) for std in stds], progress)
    rows = [
        near(
            f"Correlation in layer 20, σ_w = {std:g}",
            float(made.theory["correlation"][-1]),
            float(made.mean("correlation")[-1]),
            1 / math.sqrt(1000),
        )
        for std, made in zip(stds, runs, strict=True)
    ]
    ordered, chaotic = (runs[index].chi for index in (0, 1))
    return (
        *rows,
        within("Slope χ of the map at c = 1, σ_w = 1.3", "< 1", ordered, high=1.0),
        within("Slope χ of the map at c = 1, σ_w = 2.5", "> 1", chaotic, low=1.0),
    )


# --- Schoenholz et al. 2017 ---------------------------------------------------------------------

_SCHOENHOLZ_BIAS, _ORDERED = 0.05, 1.3  # σ_b², and a σ_w² below the critical one
_SCHOENHOLZ = Network(
    depth=30,
    width=1000,
    weight=_normal(math.sqrt(_ORDERED), 1000),
    bias=Init("normal", {"std": math.sqrt(_SCHOENHOLZ_BIAS)}),
    inputs="correlated",
    correlation=0.95,
    batch=32,
    seeds=5,
)


def _schoenholz(progress: Progress) -> tuple[Row, ...]:
    tanh = get_activation("tanh")
    critical = float(meanfield.critical_weight_var(tanh, _SCHOENHOLZ_BIAS))
    point = meanfield.fixed_point(tanh, _ORDERED, _SCHOENHOLZ_BIAS)
    made = propagate(_SCHOENHOLZ, progress=progress)
    # From layer 8 on lengths have settled: ξ_q is 1.8 layers.
    first, last = 7, 29
    away = 1 - made.mean("correlation")
    scale = (last - first) / float(np.log(away[first] / away[last]))
    gradients = (made.measured["gradient_std"] ** 2).mean(axis=0)
    factor = float(gradients[first] / gradients[last]) ** (1 / (last - first))
    xi = float(point.xi_c)
    return (
        near("Critical σ_w² at σ_b² = 0.05", 1.76, critical, 0.005),
        near("ξ_c at σ_w² = 1.3: layers in which 1 − c falls by e", xi, scale, 0.1 * xi),
        near("Gradient's variance per layer at σ_w² = 1.3: χ", float(point.chi), factor, 0.03),
    )


# --- Pennington et al. 2017 ---------------------------------------------------------------------


def _square(weight: Init, depth: int, activation: str) -> SpectrumSpec:
    return SpectrumSpec(weight, 256, 256, depth, activation)


_ISOMETRIC = _square(Init("orthogonal", {"gain": 1.05}), 16, "tanh")
_SPECTRA = (
    ("linear, Gaussian, 8 layers", _square(_normal(1.0, 256), 8, "linear")),
    ("ReLU, orthogonal, 8 layers", _square(Init("orthogonal", {"gain": math.sqrt(2)}), 8, "relu")),
    ("tanh, orthogonal, 16 layers", _ISOMETRIC),
    ("tanh, Gaussian, 16 layers", _square(_normal(1.05, 256), 16, "tanh")),
)


def _growth(made: Spectra) -> float:
    """σ_max of the deepest Jacobian ÷ that of the first layer's."""
    return made.jacobian.largest / made.jacobians[0].largest


def _pennington(progress: Progress) -> tuple[Row, ...]:
    runs = [
        measure_spectra(spec, _part(progress, index, len(_SPECTRA)))
        for index, (_, spec) in enumerate(_SPECTRA)
    ]
    rows = []
    for (name, spec), made in zip(_SPECTRA, runs, strict=True):
        expected = expected_jacobian(spec, spec.depth)
        assert expected is not None
        assert expected.dispersion is not None
        paper, ours = expected.dispersion, made.jacobian.dispersion
        rows.append(near(f"Relative variance of σ²: {name}", paper, ours, 0.15 * paper))
    edge = 9**9 / 8**8  # (L+1)^(L+1)/L^L
    largest = runs[0].jacobian.largest ** 2
    return (
        *rows,
        near("Largest σ²: linear, Gaussian, 8 layers", edge, largest, 0.15 * edge),
        within("σ_max, layer 16 ÷ layer 1: tanh, orthogonal", "≤ 1", _growth(runs[2]), high=1.0),
        within("σ_max, layer 16 ÷ layer 1: tanh, Gaussian", "> 1", _growth(runs[3]), low=1.0),
    )


# --- Klambauer et al. 2017 ----------------------------------------------------------------------


def _selu(gain: float) -> Network:
    return Network(
        depth=50, width=512, activation="selu", weight=_normal(gain, 512), batch=64, seeds=5
    )


def _klambauer(progress: Progress) -> tuple[Row, ...]:
    selu = get_activation("selu")
    assert selu.torch_gain is not None
    runs = _propagate([_selu(1.0), _selu(selu.torch_gain)], progress)
    ours, torchs = (float((made.measured["activation_std"][:, -1] ** 2).mean()) for made in runs)
    return (
        near("Mean E f(z), z ~ N(0, 1)", 0.0, float(meanfield.first_moment(selu, 1.0)), 1e-6),
        near("Second moment E f(z)²", 1.0, selu.second_moment, 1e-6),
        near("Gain that keeps it: 1/√E f(z)²", 1.0, selu.gain, 1e-6),
        near("Variance after 50 layers, gain 1", 1.0, ours, 0.05),
        within("Variance after 50 layers, torch's gain 3/4", "lost: < 0.5", torchs, high=0.5),
    )


# --- Zhang et al. 2019 --------------------------------------------------------------------------


def _residual(whole: str, branches: int) -> Network:
    length = 2 if whole == "fixup" else 1
    return Network(
        depth=1 + length * branches,
        width=256,
        activation="relu",
        weight=Init("kaiming_normal"),
        residual="plain",
        whole=whole,
        batch=64,
        seeds=5,
    )


def _update(network: Network) -> float:
    """How far a step of gradient descent moves the output, per unit of learning rate and width.

    The loss is <u, output> for a random unit vector u, at one input of squared length 1 a unit: to
    first order a step moves <u, output> by the learning rate × the squared norm of the gradient of
    all weights.
    """
    weights = Weights(network, 0, keep=True)
    layers = [weights[layer][0].requires_grad_() for layer in range(1, network.depth + 1)]
    generator = torch.Generator().manual_seed(network.input_seed(0))
    x, u = torch.randn(2, network.features, generator=generator)
    stream: dict[int, torch.Tensor] = {}
    for layer, weight in enumerate(layers, 1):
        h = weight @ (x if layer == 1 else network.function.function(stream[layer - 1]))
        if layer in network.sources:
            h = stream[network.sources[layer]] + network.branch_scale * h
        stream[layer] = h
    gradients = torch.autograd.grad((u / u.norm()) @ stream[network.depth], layers)
    return float(sum(g.double().square().sum() for g in gradients)) / network.features


def _zhang(progress: Progress) -> tuple[Row, ...]:
    few, many = 8, 64
    plain, fixup = _propagate([_residual("none", 40), _residual("fixup", 40)], progress)
    grown = _variances(plain)
    factor = float(((grown[:, -1] / grown[:, 0]) ** (1 / 40)).mean())
    kept = float((_variances(fixup)[:, -1] / _variances(fixup)[:, 0]).mean())
    updates = [
        _update(_residual(whole, many)) / _update(_residual(whole, few))
        for whole in ("none", "fixup")
    ]
    return (
        near("Stream's variance per branch, He", 2.0, factor, 0.1),
        near("Stream's variance after 40 branches, Fixup", 1.0, kept, 1e-6),
        within("Update at 64 ÷ at 8 branches, He", "explodes: > 100", updates[0], low=100.0),
        near("Update at 64 ÷ at 8 branches, Fixup", 1.0, updates[1], 0.25),
    )


# --- GPT-2 --------------------------------------------------------------------------------------


def _stream(residual: str, branches: int) -> Network:
    gelu = get_activation("gelu")
    return Network(
        depth=1 + branches,
        width=512,
        activation="gelu",
        weight=_normal(gelu.gain, 512),
        residual=residual,
        layer_norm=True,
        batch=64,
        seeds=2,
    )


def _gpt2(progress: Progress) -> tuple[Row, ...]:
    runs = _propagate(
        [_stream(residual, count) for residual in ("plain", "scaled") for count in (24, 96)],
        progress,
    )
    # What the branches add to the variance that enters them.
    added = [float((_variances(made)[:, -1] - _variances(made)[:, 0]).mean()) for made in runs]
    plain_small, plain_large, small, large = added
    return (
        near("Added by 96 ÷ by 24 branches, without 1/√N", 4.0, plain_large / plain_small, 0.2),
        near("Added by 96 ÷ by 24 branches, with 1/√N", 1.0, large / small, 0.05),
        near("Added by 24 branches, without ÷ with 1/√N", 24.0, plain_small / small, 1.2),
    )


# --- the records --------------------------------------------------------------------------------

_ARXIV = "https://arxiv.org/abs/"

PAPERS: tuple[Paper, ...] = (
    Paper(
        slug="glorot-2010",
        authors="Glorot & Bengio",
        year=2010,
        title="Understanding the difficulty of training deep feedforward neural networks",
        venue="AISTATS 2010",
        url="https://proceedings.mlr.press/v9/glorot10a.html",
        claim=(
            "With the standard U(±1/√n), activations shrink on their way up and gradients on their "
            "way down; the normalized initialisation keeps both."
        ),
        where="Section 4.2.2, figures 6 and 7; eq. 15 and 16",
        number="mean singular value 0.5 (standard), 0.8 (normalized)",
        setting=(
            "The paper's five tanh layers of 1,000 units. The input is the digits: the paper's "
            "Shapeset-3×2 is not at hand."
        ),
        tolerance=(
            "Singular values ± 0.1: the paper says “around” and prints one digit. 1/9 is the "
            "linear limit of four layers, which saturation can only lower; 5 % more for sampling. "
            "“About 1” is read off a figure: within a factor 2."
        ),
        preset=_STANDARD,
        rows=_glorot,
    ),
    Paper(
        slug="saxe-2013",
        authors="Saxe, McClelland & Ganguli",
        year=2013,
        title="Exact solutions to the nonlinear dynamics of learning in deep linear networks",
        venue="arXiv 1312.6120",
        url=f"{_ARXIV}1312.6120",
        claim=(
            "From orthogonal weights, a deep linear network learns in a time that does not depend "
            "on its depth; from scaled Gaussian weights it takes longer, the deeper it is."
        ),
        where="Section 3, figure 6",
        number="learning time independent of depth",
        setting=(
            "4 and 32 linear layers of 64 units on the digits, two seeds, at a learning rate of "
            "0.05/depth; the time to half of guessing's loss. The paper trains on MNIST with a "
            "squared error, up to 100 layers."
        ),
        tolerance=(
            "± 25 %: the loss is looked at every 2 steps of about 20, by two seeds. “Grows”: by "
            "half or more."
        ),
        preset=_DEEP,
        rows=_saxe,
    ),
    Paper(
        slug="he-2015",
        authors="He, Zhang, Ren & Sun",
        year=2015,
        title="Delving deep into rectifiers",
        venue="arXiv 1502.01852",
        url=f"{_ARXIV}1502.01852",
        claim=(
            "ReLU halves the variance in each layer, which Xavier leaves out: 22 layers still "
            "converge from it, but later; 30 layers stall, and converge with the factor 2."
        ),
        where="Eq. 7 to 10, figures 2 and 3",
        number="factor ½ per layer; 22 layers: both converge, 30 layers: Xavier stalls",
        setting=(
            "22 and 30 fully connected ReLU layers of 64 units on the digits, 400 and 300 steps, "
            "two seeds, momentum 0.9, learning rate 0.01 and 0.002; the factor at width 512. The "
            "rates are those of trial runs at which He's weights train: 30 layers of this width "
            "learn badly at 0.005 and 0.01, and diverge at 0.03, while Xavier stalls at all. The "
            "paper trains convolutional networks on ImageNet for many epochs."
        ),
        tolerance=(
            "Factor ± 0.01: 5 networks of width 512, whose logarithm is biased by 5/(4·512). "
            "“Learns”: the loss falls below 90 % of guessing's, chosen after a trial run in which "
            "Xavier's 22 layers were half-way; “stalls”: it stays within 1 %."
        ),
        preset=_HE_30,
        rows=_he,
    ),
    Paper(
        slug="mishkin-2015",
        authors="Mishkin & Matas",
        year=2015,
        title="All you need is a good init",
        venue="arXiv 1511.06422",
        url=f"{_ARXIV}1511.06422",
        claim=(
            "Orthonormal weights, each layer divided by the std of its output (LSUV), give every "
            "layer an output variance of 1, whatever the activation."
        ),
        where="Algorithm 1",
        number="|variance − 1| < 0.1 in every layer",
        setting="20 layers of 256 units on 128 digits, three seeds. The paper has convolutions.",
        tolerance="The algorithm's own.",
        preset=_lsuv("relu"),
        rows=_mishkin,
    ),
    Paper(
        slug="poole-2016",
        authors="Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli",
        year=2016,
        title="Exponential expressivity in deep neural networks through transient chaos",
        venue="arXiv 1606.05340",
        url=f"{_ARXIV}1606.05340",
        claim=(
            "The correlation of two inputs follows a map: below the slope χ = 1 all inputs become "
            "alike, above it they part until a fixed point c* < 1."
        ),
        where="Eq. 5 to 7, figure 2: tanh, σ_b = 0.3, σ_w = 1.3, 2.5 and 4",
        number="simulated networks follow the map",
        setting=(
            "Width 1,000 as in the paper, two inputs of correlation 0.5, three networks. The "
            "paper's numbers are its map, iterated by our quadrature: it prints none."
        ),
        tolerance="1/√1,000: the sampling error of a correlation over 1,000 units.",
        preset=_poole_network(2.5),
        rows=_poole,
    ),
    Paper(
        slug="schoenholz-2017",
        authors="Schoenholz, Gilmer, Ganguli & Sohl-Dickstein",
        year=2017,
        title="Deep information propagation",
        venue="arXiv 1611.01232",
        url=f"{_ARXIV}1611.01232",
        claim=(
            "Correlations settle and gradients vanish exponentially, with depth scales that mean "
            "field gives, and that diverge on the critical line."
        ),
        where="Eq. 8 to 10 and 22, figures 1 and 2: tanh, σ_b² = 0.05",
        number="critical σ_w² ≈ 1.76 at σ_b² = 0.05",
        setting=(
            "The line by quadrature; ξ_c and χ as measured over layers 8 to 30 of five networks of "
            "width 1,000, from inputs of correlation 0.95. Their paper's numbers are its formulas, "
            "by our quadrature."
        ),
        tolerance=(
            "Half of the last printed digit for 1.76. ξ_c ± 10 %: one network varied by about 9 % "
            "in a trial run, so 2.5 standard errors of five. χ ± 0.03, in the same "
            "way, over 22 layers."
        ),
        preset=PhasePoint("tanh", math.sqrt(1.76), math.sqrt(_SCHOENHOLZ_BIAS)),
        rows=_schoenholz,
    ),
    Paper(
        slug="pennington-2017",
        authors="Pennington, Schoenholz & Ganguli",
        year=2017,
        title="Resurrecting the sigmoid in deep learning through dynamical isometry",
        venue="arXiv 1711.04735",
        url=f"{_ARXIV}1711.04735",
        claim=(
            "Orthogonal tanh networks come near isometry: the spectrum of their Jacobian stays "
            "narrow with depth. Gaussian weights, and ReLU with any, spread it in proportion to "
            "the depth."
        ),
        where="Eq. 15 to 22, table 1",
        number="relative variance L (μ₂/μ₁² − 1 − s₁), s₁ = −1 Gaussian, 0 orthogonal",
        setting=(
            "One network of width 256 each, tanh at σ_w = 1.05. The formula is applied layer by "
            "layer, as lengths are still settling. The largest σ² is the limit of wide layers: at "
            "width 256 three draws gave 18.6, 19.3 and 25.6, at width 512 21.5, 22.6 and 23.8."
        ),
        tolerance=(
            "± 15 %: one draw and one input, and corrections of L/256 for finite width. σ_max must "
            "not grow with orthogonal weights, and must with Gaussian ones."
        ),
        preset=_ISOMETRIC,
        rows=_pennington,
    ),
    Paper(
        slug="klambauer-2017",
        authors="Klambauer, Unterthiner, Mayr & Hochreiter",
        year=2017,
        title="Self-normalizing neural networks",
        venue="arXiv 1706.02515",
        url=f"{_ARXIV}1706.02515",
        claim=(
            "SELU maps mean 0 and variance 1 to themselves when weights have variance 1/n, a gain "
            "of 1. torch's calculate_gain says 3/4."
        ),
        where="Eq. 3 to 5 and 14, theorem 1",
        number="fixed point mean 0, variance 1, at variance 1/n",
        setting="The moments by quadrature; 50 layers of 512 units, five networks.",
        tolerance=(
            "10⁻⁶ for the quadrature, as λ and α are torch's double precision. Variance ± 0.05: "
            "five networks of width 512. “Lost”: below one half."
        ),
        preset=_selu(1.0),
        rows=_klambauer,
    ),
    Paper(
        slug="zhang-2019",
        authors="Zhang, Dauphin & Ma",
        year=2019,
        title="Fixup initialization: residual learning without normalization",
        venue="arXiv 1901.09321",
        url=f"{_ARXIV}1901.09321",
        claim=(
            "Without normalisation, He's initialisation doubles a residual stream's variance in "
            "each branch; Fixup keeps it, and keeps the effect of an update independent of depth."
        ),
        where="Sections 2 and 3",
        number="variance × 2 per branch; updates of order η at any depth",
        setting=(
            "Fully connected ReLU branches of 256 units: one layer for He, two for Fixup, without "
            "its scalar biases and multipliers. The update is that of a linear loss, to first "
            "order in the learning rate."
        ),
        tolerance=(
            "Factor ± 0.1: five networks of width 256. Fixup's branches end with zeros: exact but "
            "for rounding. Update ± 25 %: one draw and one input; “explodes”: by 100 or more."
        ),
        preset=_residual("fixup", 40),
        rows=_zhang,
    ),
    Paper(
        slug="gpt2-2019",
        authors="Radford et al. (GPT-2)",
        year=2019,
        title="Language models are unsupervised multitask learners",
        venue="OpenAI 2019",
        url="https://github.com/openai/gpt-2",
        claim=(
            "Weights of residual layers scaled by 1/√N, N the number of residual layers, make up "
            "for what accumulates on the residual path with depth."
        ),
        where="Section 2.3",
        number="scale 1/√N: the stream's growth is independent of N",
        setting=(
            "LayerNorm, GELU and one linear layer a branch, width 512; N = 24 as in GPT-2's "
            "smallest model, 96 as in its largest. No attention; the gain keeps each branch at "
            "variance 1. What the branches add to the stream's variance."
        ),
        tolerance="5 %: two networks of width 512.",
        preset=_stream("scaled", 24),
        rows=_gpt2,
    ),
)
_BY_SLUG = {paper.slug: paper for paper in PAPERS}


def get_paper(slug: str) -> Paper:
    """The record with this slug; raises InitError naming the allowed ones."""
    try:
        return _BY_SLUG[slug]
    except KeyError:
        raise InitError(f"paper {slug!r} is not one of: {', '.join(_BY_SLUG)}") from None
