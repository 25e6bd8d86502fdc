"""Activations: torch's own functions and slopes, and gains that are exact."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from initcore import InitError
from initcore.activations import ACTIVATIONS, NODES, WEIGHTS, get_activation

each = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.slug)
# Everywhere but at the kinks, where a slope is torch's choice.
X = torch.linspace(-9, 9, 1000, dtype=torch.float64)


def test_the_rule_gives_the_moments_of_a_normal():
    moments = [float(WEIGHTS @ NODES**order) for order in range(9)]
    assert moments == pytest.approx([1, 0, 1, 0, 3, 0, 15, 0, 105], abs=1e-12)


@each
def test_function_and_slope_are_those_of_the_module_and_of_autograd(activation):
    module = eval(activation.module, {"nn": nn})
    for dtype in (torch.float32, torch.float64):
        x = X.to(dtype, copy=True).requires_grad_()
        g = torch.linspace(-2, 3, len(X), dtype=dtype)
        out = module(x)
        out.backward(g)
        y = activation.function(x.detach())
        assert torch.equal(y, out.detach())
        saved = x.detach() if activation.saves == "input" else y
        assert torch.equal(activation.backward(g, saved), x.grad)


@each
def test_the_slope_is_the_derivative(activation):
    h = 1e-6
    x = X.numpy()
    secant = (activation.values(x + h) - activation.values(x - h)) / (2 * h)
    np.testing.assert_allclose(activation.slopes(x), secant, atol=1e-8)


# relu, leaky_relu: half-normal moments in closed form. The others as published to 3 digits.
CLOSED = {"linear": 1.0, "relu": math.sqrt(2), "leaky_relu": math.sqrt(2 / (1 + 1e-4))}
PUBLISHED = {
    "tanh": 1.593,
    "gelu": 1.533,
    "silu": 1.676,
    "elu": 1.245,
    "selu": 1.0,
    "mish": 1.487,
}


@each
def test_the_exact_gain(activation):
    if activation.slug in CLOSED:
        assert activation.gain == pytest.approx(CLOSED[activation.slug], rel=1e-14)
    if activation.slug in PUBLISHED:
        assert activation.gain == pytest.approx(PUBLISHED[activation.slug], abs=1e-3)
    # By another rule, and by its meaning. Gauss-Hermite is slow where f has a kink.
    z, w = np.polynomial.hermite_e.hermegauss(180)
    moment = float(w @ activation.values(z) ** 2 / w.sum())
    assert activation.second_moment == pytest.approx(moment, rel=1e-3)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(400_000, generator=generator, dtype=torch.float64)
    kept = activation.gain**2 * activation.function(sample) ** 2
    assert abs(float(kept.mean()) - 1) < 4 * float(kept.std()) / 400_000**0.5


@each
def test_the_slope_moment(activation):
    sample = torch.randn(400_000, generator=torch.Generator().manual_seed(1)).numpy()
    squares = activation.slopes(sample) ** 2
    error = max(4 * squares.std() / len(sample) ** 0.5, 1e-12)
    assert abs(squares.mean() - activation.slope_moment) < error


@each
def test_torchs_gain_stands_beside_it_or_is_none(activation):
    known = {"linear", "tanh", "sigmoid", "relu", "leaky_relu", "selu"}
    assert (activation.torch_gain is not None) == (activation.slug in known)
    if activation.torch_gain is not None:
        assert activation.torch_gain == nn.init.calculate_gain(activation.slug)
    equal = activation.torch_gain == pytest.approx(activation.gain, rel=1e-9)
    assert activation.gain_note.startswith("Equal") == equal


@each
def test_flat_is_where_the_slope_is_under_one_per_cent_of_the_largest(activation):
    x = np.linspace(-60, 60, 120_001)
    slopes = np.abs(activation.slopes(x))
    low, high = activation.flat
    flat = (x <= low) | (x >= high)
    assert (slopes[flat] <= 0.01001 * slopes.max()).all()
    # And not before: just inside each finite end the slope is larger.
    for end, inside in ((low, 1e-3), (high, -1e-3)):
        if math.isfinite(end):
            assert abs(activation.slopes(end + inside)) > 0.0099 * slopes.max()
    assert ("never" in activation.saturation) == (not flat.any())


def test_an_unknown_activation_is_named_with_the_known():
    with pytest.raises(InitError, match=r"'swish'.*linear.*silu"):
        get_activation("swish")
