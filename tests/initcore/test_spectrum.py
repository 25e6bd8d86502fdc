"""Spectra: exact singular values, laws that hold, and what depth does to both."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import comb

from initcore.activations import get_activation
from initcore.draw import draw_spec
from initcore.errors import InitError
from initcore.layers import Layer
from initcore.schemes import Init, schemes
from initcore.spectrum import (
    KINDS,
    FussCatalan,
    MarchenkoPastur,
    SpectrumSpec,
    as_dict,
    csv,
    depths_of,
    expected_jacobian,
    lyapunov_gap,
    measure_spectra,
    outlier,
    product_law,
    singular_values,
    snippet,
    verdict,
    weight_law,
)

LAWS = [
    MarchenkoPastur(256, 256, 0.1),
    MarchenkoPastur(100, 400, 0.5),
    MarchenkoPastur(400, 100, 0.5),
    FussCatalan(1, 1.0),
    FussCatalan(2, 3.0),
    FussCatalan(10, 0.5),
    FussCatalan(50, 1.0),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.notation)


def normal(rows, columns, seed=0, std=1.0):
    generator = torch.Generator().manual_seed(seed)
    return std * torch.randn(rows, columns, generator=generator, dtype=torch.float64)


# --- singular values ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (40, 40), (30, 90), (90, 30), (1, 50), (50, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_gram_path_gives_the_values_of_svdvals(shape, dtype):
    matrix = normal(*shape).to(dtype)
    exact = torch.linalg.svdvals(matrix.double()).numpy()
    np.testing.assert_allclose(singular_values(matrix), exact, atol=1e-9 * exact[0], rtol=0)


@pytest.mark.parametrize("decades", [2, 5, 7, 9, 13])
def test_a_small_singular_value_keeps_its_digits(decades):
    """Where squares would lose them, the values are taken from the matrix itself."""
    left, right = (torch.linalg.qr(normal(30, 30, seed))[0] for seed in (1, 2))
    exact = torch.logspace(0, -decades, 30, dtype=torch.float64)
    found = singular_values(left @ exact.diag() @ right)
    assert found[-1] == pytest.approx(10.0**-decades, rel=0.01)
    np.testing.assert_allclose(found, exact.numpy(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e150])
def test_no_square_leaves_float64(scale):
    matrix = normal(20, 30)
    np.testing.assert_allclose(
        singular_values(scale * matrix), scale * singular_values(matrix), rtol=1e-9
    )


def test_a_zero_matrix_has_zeros():
    assert singular_values(torch.zeros(3, 5)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("matrix", "part"),
    [
        (torch.zeros(3), "[3]"),
        (torch.zeros(0, 3), "[0, 3]"),
        (torch.tensor([[math.nan, 1.0]]), "nan"),
        (torch.tensor([[math.inf], [1.0]]), "infinity"),
    ],
)
def test_what_has_no_singular_values_is_refused(matrix, part):
    with pytest.raises(InitError) as error:
        singular_values(matrix)
    assert part in str(error.value)


# --- laws ---------------------------------------------------------------------------------------


@every_law
def test_a_density_integrates_to_the_cdf(law):
    # In the logarithm: a product's density is infinite at 0.
    start = law.low or 1e-6 * float(law.quantile(1e-4))
    x = np.exp(np.linspace(math.log(start), math.log(law.high), 400_001))
    mass = np.trapezoid(law.pdf(x) * x, np.log(x))
    assert mass == pytest.approx(float(law.cdf(law.high) - law.cdf(start)), abs=2e-4)
    middle = np.linspace(0.1, 0.9, 9)
    ends = law.quantile(middle)
    for a, b in itertools.pairwise(ends):
        x = np.geomspace(a, b, 20_001)
        assert np.trapezoid(law.pdf(x), x) == pytest.approx(0.1, abs=2e-4)


@every_law
def test_cdf_and_quantile_are_inverses_between_the_edges(law):
    p = np.linspace(0, 1, 101)
    np.testing.assert_allclose(law.cdf(law.quantile(p)), p, atol=1e-6)
    assert law.cdf([law.low - 1, law.high + 1]).tolist() == [0, 1]
    assert law.pdf([law.low - 1e-3, law.high + 1e-3]).tolist() == [0, 0]


@pytest.mark.parametrize(("rows", "columns"), [(256, 256), (100, 400), (400, 100)])
def test_marchenko_pasturs_mean_square_is_that_of_the_entries(rows, columns):
    """Σ s² is the sum of the squared entries: rows · columns · std²."""
    law = MarchenkoPastur(rows, columns, 0.3)
    square = law.mean**2 + law.std**2
    assert square * min(rows, columns) == pytest.approx(rows * columns * 0.09, rel=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_the_squares_of_a_product_have_the_fuss_catalan_numbers(depth):
    law = FussCatalan(depth, 2.0)
    x, mass, _ = law._table
    for k in (1, 2, 3):
        exact = 4**k * comb((depth + 1) * k, k) / (depth * k + 1)
        assert float(mass @ x ** (2 * k)) == pytest.approx(exact, rel=1e-6)


def test_a_product_of_one_is_the_quarter_circle():
    one, circle = FussCatalan(1, 1.5), MarchenkoPastur(100, 100, 0.15)
    x = np.linspace(0.01, 2.99, 200)
    np.testing.assert_allclose(one.cdf(x), circle.cdf(x), atol=1e-6)
    np.testing.assert_allclose(one.pdf(x), circle.pdf(x), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(circle.pdf(x), 2 * np.sqrt(9 - x**2) / (math.pi * 4.5), rtol=1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(300, 300), (200, 500), (500, 200)])
def test_marchenko_pastur_matches_simulation(rows, columns):
    law = MarchenkoPastur(rows, columns, 0.2)
    values = np.sort(singular_values(normal(rows, columns, std=0.2)))
    steps = (np.arange(len(values)) + 0.5) / len(values)
    # Singular values repel: hundreds of them stay within a few places of the law.
    assert np.abs(law.cdf(values) - steps).max() < 5 / len(values)
    assert values[0] == pytest.approx(law.low, abs=0.05 * law.high)
    assert values[-1] == pytest.approx(law.high, rel=0.03)


@pytest.mark.parametrize("depth", [2, 5])
def test_the_product_law_matches_simulation(depth):
    side, std = 300, 0.1
    matrix = normal(side, side, 0, std)
    for seed in range(1, depth):
        matrix = normal(side, side, seed, std) @ matrix
    law = FussCatalan(depth, (std * math.sqrt(side)) ** depth)
    values = np.sort(singular_values(matrix))
    steps = (np.arange(side) + 0.5) / side
    assert np.abs(law.cdf(values) - steps).max() < 6 / side
    assert values[-1] == pytest.approx(law.high, rel=0.06)


# --- schemes ------------------------------------------------------------------------------------


FULL = [slug for slug, scheme in schemes().items() if 2 in scheme.ranks]


@pytest.mark.parametrize("slug", FULL)
@pytest.mark.parametrize("sizes", [(200, 200), (100, 300)])
def test_every_schemes_weight_has_the_law_it_is_given(slug, sizes):
    spec = SpectrumSpec(Init(slug), *sizes, depth=1, seed=3)
    part = measure_spectra(spec).weight
    if part.law.is_discrete:
        assert part.distance < 1e-5
    else:
        assert part.distance < 6 / len(part.values)
        wrong = MarchenkoPastur(part.law.rows, part.law.columns, 1.1 * part.law.spread)
        assert np.abs(wrong.cdf(part.values) - part.law.cdf(part.values)).max() > 0.06


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("sizes", [(60, 60), (30, 80), (80, 30)])
def test_all_singular_values_of_an_orthogonal_weight_equal_its_gain(gain, sizes):
    spec = SpectrumSpec(Init("orthogonal", {"gain": gain}), *sizes, 6, "linear")
    spectra = measure_spectra(spec)
    np.testing.assert_allclose(spectra.weight.values, gain, rtol=1e-5)
    for part in (*spectra.products, *spectra.jacobians):
        np.testing.assert_allclose(part.values, gain**part.depth, rtol=1e-5)
        assert part.law.value == pytest.approx(gain**part.depth)
    assert spectra.growth("product") == pytest.approx(1, abs=1e-4)
    assert "every direction passes alike" in verdict(spectra, "jacobian")


def test_the_mean_of_the_entries_makes_a_value_of_its_own():
    init, layer = Init("uniform"), Layer("linear", (100, 300))
    values = measure_spectra(SpectrumSpec(init, 100, 300, 1)).weight.values
    assert outlier(init, layer) == pytest.approx(0.5 * math.sqrt(30_000))
    assert values[0] == pytest.approx(outlier(init, layer), rel=0.01)
    assert values[1] < 1.1 * weight_law(init, layer).high
    assert outlier(Init("xavier_uniform"), layer) == 0


def test_a_product_has_a_law_only_where_one_is_known():
    square, wide = SpectrumSpec(Init("normal"), 50, 50, 3), SpectrumSpec(Init("normal"), 30, 50, 3)
    assert isinstance(product_law(square, 1), MarchenkoPastur)
    assert product_law(square, 3) == FussCatalan(3, pytest.approx(50**1.5))
    assert isinstance(product_law(wide, 1), MarchenkoPastur)
    assert product_law(wide, 3) is None
    assert product_law(replace(square, weight=Init("uniform")), 2) is None
    assert product_law(replace(wide, weight=Init("orthogonal", {"gain": 2.0})), 3).mean == 8


# --- depth --------------------------------------------------------------------------------------


def test_a_gaussian_products_condition_number_grows_by_its_lyapunov_exponents():
    """Least squares over the depths, the mean over networks."""
    side, rates = 4, []
    for seed in range(16):
        spec = SpectrumSpec(Init("normal", {"std": 0.5}), side, side, 24, "linear", seed)
        rates.append(math.log(measure_spectra(spec).growth("product")))
    error = np.std(rates, ddof=1) / math.sqrt(len(rates))
    assert error < 0.1 * lyapunov_gap(side)
    assert np.mean(rates) == pytest.approx(lyapunov_gap(side), abs=4 * error)


def autograd(spec):
    """The Jacobian by autograd, of an nn.Sequential's worth of layers."""
    function = get_activation(spec.activation).function
    weights = [draw_spec(spec.draws(i)).weight.double() for i in range(1, spec.depth + 1)]

    def network(x):
        for weight in weights:
            x = function(weight @ x)
        return x

    generator = torch.Generator().manual_seed(spec.seed * 2**16)
    signal = torch.randn(spec.inputs, generator=generator, dtype=torch.float64)
    return torch.autograd.functional.jacobian(network, signal)


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "gelu"])
def test_the_jacobian_is_autograds(activation):
    spec = SpectrumSpec(Init("kaiming_normal"), 20, 30, 4, activation, seed=2)
    exact = torch.linalg.svdvals(autograd(spec)).numpy()
    np.testing.assert_allclose(measure_spectra(spec).jacobian.values, exact, atol=1e-9)


@pytest.mark.parametrize("slug", ["xavier_normal", "xavier_uniform", "orthogonal"])
@pytest.mark.parametrize("activation", ["linear", "tanh", "relu"])
def test_theory_foretells_the_jacobians_moments(slug, activation):
    found = []
    for seed in range(8):
        spec = SpectrumSpec(Init(slug, {"gain": 1.2}), 128, 128, 3, activation, seed)
        part = measure_spectra(spec).jacobian
        found.append((part.mean_square, part.dispersion))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / math.sqrt(len(found))
    theory = expected_jacobian(spec, 3)
    expected = np.array([theory.mean_square, theory.dispersion])
    # Chance, and what a width of 128 leaves of the limit.
    assert np.all(np.abs(mean - expected) < 4 * error + 0.03 * expected + 1e-6)
    assert np.all(error < 0.15 * expected + 1e-6)


def test_theory_knows_rectangular_means_and_says_where_it_knows_nothing():
    spec = SpectrumSpec(Init("xavier_normal"), 200, 400, 3, "relu")
    expected = expected_jacobian(spec, 3)
    assert expected.dispersion is None
    found = measure_spectra(spec).jacobian.mean_square
    assert found == pytest.approx(expected.mean_square, rel=0.15)
    assert expected_jacobian(replace(spec, weight=Init("uniform")), 3) is None
    assert expected_jacobian(replace(spec, weight=Init("eye")), 3) is None


def test_orthogonal_tanh_is_better_conditioned_than_gaussian():
    """Dynamical isometry, Pennington et al. 2017."""
    gaussian = SpectrumSpec(Init("normal", {"std": 1.05 / 8}), 64, 64, 8, "tanh")
    orthogonal = replace(gaussian, weight=gaussian.counterpart)
    assert orthogonal.weight.params["gain"] == pytest.approx(1.05)
    growths = [measure_spectra(spec).growth("jacobian") for spec in (gaussian, orthogonal)]
    assert growths[0] > 10
    assert growths[1] < 2


def test_the_counterpart_has_the_same_mean_square():
    for init in (Init("normal", {"std": 0.2}), Init("uniform"), Init("orthogonal", {"gain": 3.0})):
        spec = SpectrumSpec(init, 40, 90)
        other = replace(spec, weight=spec.counterpart)
        laws = [one.weight.law(one.draws(1).slot("weight")) for one in (spec, other)]
        first, second = (law.std**2 + law.mean**2 for law in laws)
        assert first == pytest.approx(second)
    assert SpectrumSpec(Init("eye"), 5, 5).counterpart is None


def test_what_float64_cannot_resolve_is_no_number():
    spectra = measure_spectra(SpectrumSpec(Init("xavier_normal"), 64, 64, 30, "linear"))
    last = spectra.product
    assert math.isnan(last.smallest)
    assert math.isnan(last.condition)
    assert "lost in float64" in verdict(spectra, "product")
    assert math.isfinite(spectra.growth("product"))


def test_an_overflow_is_a_result():
    init = Init("normal", {"std": 1e37})
    spectra = measure_spectra(SpectrumSpec(init, 16, 16, 12, "linear"))
    assert spectra.overflow == 8
    assert len(spectra.products) == 7
    assert "Layer 8 overflows" in verdict(spectra, "product")
    assert as_dict(spectra)["overflow"] == 8


def test_nothing_passes_a_saturated_network():
    spectra = measure_spectra(SpectrumSpec(Init("constant", {"val": 50.0}), 32, 32, 3, "tanh"))
    assert "all 0: nothing passes" in verdict(spectra, "jacobian")
    assert "rank 1" in verdict(spectra, "weight")


def test_few_depths_are_all_measured_and_many_spread():
    assert depths_of(5) == (1, 2, 3, 4, 5)
    many = depths_of(100)
    assert (many[0], many[-1]) == (1, 100)
    assert len(many) <= 32


def test_progress_is_told_of_each_layer_and_can_end_the_work():
    told = []
    measure_spectra(SpectrumSpec(Init("normal"), 8, 8, 5), lambda share, now="": told.append(share))
    assert told == [0.0, 0.2, 0.4, 0.6, 0.8]

    def cancel(share, now=""):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_spectra(SpectrumSpec(Init("normal"), 8, 8, 5), cancel)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"inputs": 0}, "inputs = 0"),
        ({"width": 2000}, "width = 2000"),
        ({"depth": 0}, "depth = 0"),
        ({"depth": 1.5}, "depth = 1.5"),
        ({"seed": -1}, "seed = -1"),
        ({"activation": "sine"}, "'sine'"),
        ({"inputs": 1024, "width": 1024, "depth": 100}, "multiply-adds"),
        ({"weight": Init("dirac")}, "dirac"),
    ],
)
def test_impossible_specs_are_refused_before_any_work(change, part):
    with pytest.raises(InitError) as error:
        replace(SpectrumSpec(Init("normal")), **change)
    assert part in str(error.value)


# --- plain data ---------------------------------------------------------------------------------


def test_the_files_and_the_code_hold_the_very_values():
    spec = SpectrumSpec(Init("normal", {"std": 0.3}), 6, 8, 3, "relu", 5)
    spectra = measure_spectra(spec)
    data = as_dict(spectra)
    assert data["jacobians"][-1]["values"] == spectra.jacobian.values.tolist()
    assert (data["scheme"], data["params"]) == ("normal", {"mean": 0.0, "std": 0.3})
    rows = [line.split(",") for line in csv(spectra).splitlines()[1:]]
    shown = [float(v) for kind, depth, _, v in rows if (kind, depth) == ("product", "2")]
    assert shown == spectra.products[1].values.tolist()
    for kind in KINDS:
        defined = {}
        exec(snippet(spec, kind), defined)
        np.testing.assert_array_equal(defined["spectrum"].values, spectra.of(kind).values)
