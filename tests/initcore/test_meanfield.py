"""Mean field: closed forms, published values, and results where nothing settles."""

import math

import numpy as np
import pytest

from initcore.activations import ACTIVATIONS, get_activation
from initcore.meanfield import (
    chi,
    critical_weight_var,
    first_moment,
    fixed_length,
    fixed_point,
    length_map,
    product_moment,
    second_moment,
    slope_moment,
)

each = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.slug)
RELU, TANH, LINEAR = (get_activation(slug) for slug in ("relu", "tanh", "linear"))


# --- moments


def test_relus_moments_in_closed_form():
    q = np.geomspace(1e-9, 1e9, 7)
    np.testing.assert_allclose(second_moment(RELU, q), q / 2, rtol=1e-13)
    np.testing.assert_allclose(first_moment(RELU, q), np.sqrt(q / (2 * np.pi)), rtol=1e-13)
    np.testing.assert_allclose(slope_moment(RELU, q), 0.5, rtol=1e-13)


def test_relus_products_are_the_arc_cosine_kernels():
    # Cho & Saul 2009, orders 1 and 0.
    c = np.array([-1, -0.9, -0.2, 0, 0.3, 0.999, 1])
    phi = np.arccos(c)
    kernel = (np.sin(phi) + (np.pi - phi) * c) / (2 * np.pi)
    np.testing.assert_allclose(product_moment(RELU, 3.0, c), 3 * kernel, atol=1e-12)
    steps = (np.pi - phi) / (2 * np.pi)
    np.testing.assert_allclose(product_moment(RELU, 3.0, c, slopes=True), steps, atol=1e-12)


@each
def test_products_of_equal_and_of_independent_inputs(activation):
    q = np.array([0.01, 1.0, 9.0])
    np.testing.assert_allclose(
        product_moment(activation, q, 1.0), second_moment(activation, q), rtol=1e-7
    )
    np.testing.assert_allclose(
        product_moment(activation, q, 0.0), first_moment(activation, q) ** 2, rtol=1e-7, atol=1e-14
    )
    np.testing.assert_allclose(
        product_moment(activation, q, 1.0, slopes=True), slope_moment(activation, q), rtol=1e-6
    )


@each
def test_products_against_a_sample(activation):
    q, c, count = 1.7, 0.6, 400_000
    z = np.random.default_rng(3).standard_normal((2, count))
    u, v = math.sqrt(q) * z[0], math.sqrt(q) * (c * z[0] + math.sqrt(1 - c * c) * z[1])
    products = activation.values(u) * activation.values(v)
    error = products.std() / math.sqrt(count)
    assert abs(products.mean() - product_moment(activation, q, c)) < 4 * error


# --- known values


def test_relu_is_critical_at_weight_variance_2_without_bias():
    assert critical_weight_var(RELU, 0.0) == pytest.approx(2.0, rel=1e-9)
    assert chi(RELU, 2.0, 0.0) == pytest.approx(1.0, rel=1e-12)
    # The length map is marginal there: every length stays, also that of the input.
    assert fixed_length(RELU, 2.0, 0.0) == 1.0


def test_tanh_is_critical_at_weight_variance_1_without_bias():
    assert critical_weight_var(TANH, 0.0) == pytest.approx(1.0, abs=1e-6)


def test_tanhs_critical_line_is_that_of_schoenholz_et_al_2017():
    assert critical_weight_var(TANH, 0.05) == pytest.approx(1.76, abs=0.005)


@each
def test_the_length_map_has_its_gain_as_fixed_point(activation):
    weight_var = activation.gain**2
    assert length_map(activation, 1.0, weight_var, 0.0) == pytest.approx(1.0, rel=1e-12)


def test_selu_holds_variance_1_with_gain_1():
    point = fixed_point(get_activation("selu"), 1.0, 0.0)
    assert point.length == pytest.approx(1.0, rel=1e-6)


# --- properties


@each
def test_the_fixed_point_is_one_and_attracts(activation):
    w, b = np.meshgrid(np.linspace(0.2, 3, 7) ** 2, np.linspace(0, 1, 4) ** 2)
    q = fixed_length(activation, w, b)
    inside = np.isfinite(q) & (q > 0)
    after = length_map(activation, q[inside], w[inside], b[inside])
    np.testing.assert_allclose(after, q[inside], rtol=1e-9)
    # From q = 1 the map itself goes the same way.
    walked = np.ones_like(w)
    for _ in range(60):
        walked = np.minimum(length_map(activation, walked, w, b), 1e9)
    settled = inside & (np.abs(length_map(activation, walked, w, b) / walked - 1) < 1e-9)
    np.testing.assert_allclose(q[settled], walked[settled], rtol=1e-6)
    assert (walked[np.isinf(q)] > 1).all()
    assert (walked[q == 0] < 1).all()


@each
def test_chi_changes_sides_at_the_critical_line(activation):
    bias_var = np.array([0.0, 0.01, 0.25, 1.0])
    line = critical_weight_var(activation, bias_var)
    assert (chi(activation, 0.98 * line, bias_var) < 1).all()
    assert (chi(activation, 1.02 * line, bias_var) > 1).all()


def test_depth_scales_are_what_the_maps_do():
    w, b = np.array([1.3, 2.5]), np.array([0.05, 0.05])
    point = fixed_point(TANH, w, b)
    assert point.chi[0] < 1 < point.chi[1]
    assert point.correlation[0] == 1
    assert 0 < point.correlation[1] < 1
    # q and c close in on their fixed points by e^(−1/ξ) in each layer.
    q = length_map(TANH, point.length * 1.001, w, b)
    shrunk = (q - point.length) / (0.001 * point.length)
    np.testing.assert_allclose(shrunk, np.exp(-1 / point.xi_q), rtol=0.01)
    c = point.correlation - 0.001
    mapped = (w * product_moment(TANH, point.length, c) + b) / point.length
    closing = (point.correlation - mapped) / 0.001
    np.testing.assert_allclose(closing, np.exp(-1 / point.xi_c), rtol=0.01)


def test_where_nothing_settles_results_are_0_or_infinite():
    weight_var = np.array([0.0, 0.5, 2.0, 5.0])
    for activation in (RELU, LINEAR):
        points = fixed_point(activation, weight_var, 0.0)
        assert points.length[0] == points.length[1] == 0
        assert np.isinf(points.length[-1])
        assert not any(np.isnan(part).any() for part in points)
    assert math.isinf(fixed_point(RELU, 2.0, 0.0).xi_q)  # critical: nothing is forgotten
    assert math.isinf(fixed_point(LINEAR, 1.0, 0.0).xi_c)
    grown = fixed_point(RELU, 8.0, 0.0)
    assert grown.xi_q == pytest.approx(1 / math.log(4))  # q grows fourfold in each layer


@each
def test_nothing_is_nan_on_a_plane(activation):
    w, b = np.meshgrid(np.linspace(0, 4, 9) ** 2, np.linspace(0, 2, 5) ** 2)
    assert not any(np.isnan(part).any() for part in fixed_point(activation, w, b))
