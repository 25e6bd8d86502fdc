"""Laws against quadrature, scipy, simulation and real orthogonal matrices."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from initcore.errors import InitError
from initcore.laws import (
    HaarCoordinate,
    Normal,
    Pattern,
    TruncatedNormal,
    Uniform,
    ZeroInflated,
    constant,
    distance,
    number,
)

LAWS = {
    "uniform": Uniform(-0.3, 1.2),
    "normal": Normal(0.5, 0.2),
    "truncated centre": TruncatedNormal(0.1, 1.5, -2.0, 1.0),
    "truncated upper tail": TruncatedNormal(0.0, 1.0, 6.0, 8.0),
    "truncated lower tail": TruncatedNormal(1.0, 0.5, -3.5, -2.0),
    "truncated narrow": TruncatedNormal(0.0, 1.0, 0.1, 0.1001),
    "truncated far out": TruncatedNormal(0.3, 0.5, -100.0, 100.0),
    "truncated from below": TruncatedNormal(0.0, 1.0, -1.0, math.inf),
    "truncated from above": TruncatedNormal(0.0, 1.0, -math.inf, -2.0),
    "constant": constant(0.7),
    "pattern": Pattern(((1.0, 0.1), (-2.0, 0.3), (0.0, 0.6))),
    "orthogonal 2": HaarCoordinate(2, 1.5),
    "orthogonal 3": HaarCoordinate(3, 1.5),
    "orthogonal 5": HaarCoordinate(5, 0.5),
    "orthogonal 100": HaarCoordinate(100, 2.0),
    "sparse": ZeroInflated(0.3, Normal(0.0, 0.5)),
    "sparse off centre": ZeroInflated(0.8, Normal(0.2, 0.1)),
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
every_density = pytest.mark.parametrize(
    "law",
    [law for law in LAWS.values() if not law.is_discrete],
    ids=[name for name, law in LAWS.items() if not law.is_discrete],
)
PROBABILITIES = np.array([1e-5, 1e-3, 0.01, 0.2, 0.35, 0.5, 0.65, 0.8, 0.99, 0.9999])

# 200 panels of 20 Gauss-Legendre nodes on [-π/2, π/2].
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_PANEL = math.pi / 200
ANGLES = (-math.pi / 2 + _PANEL * (np.arange(200)[:, None] + (_NODES + 1) / 2)).ravel()
ANGLE_WEIGHTS = np.tile(_WEIGHTS * _PANEL / 2, 200)


def density_integral(law, function, upto=math.inf):
    """∫ function(x) pdf(x) dx. With x = middle + half·sin t the arcsine law's ends are finite."""
    low = max(law.low, law.mean - 40 * law.std)
    high = min(law.high, law.mean + 40 * law.std, upto)
    middle, half = (low + high) / 2, (high - low) / 2
    x = middle + half * np.sin(ANGLES)
    return float(np.sum(function(x) * law.pdf(x) * half * np.cos(ANGLES) * ANGLE_WEIGHTS))


def expectation(law, function):
    atoms = sum(mass * function(np.float64(value)) for value, mass in law.atoms)
    return atoms if law.is_discrete else atoms + density_integral(law, function)


@every_law
def test_density_and_atoms_hold_all_the_mass(law):
    assert expectation(law, np.ones_like) == pytest.approx(1.0, abs=1e-9)


@every_density
def test_cdf_is_the_integral_of_the_density(law):
    for x in law.quantile(PROBABILITIES[2:-1]):
        atoms = sum(mass for value, mass in law.atoms if value <= x)
        assert law.cdf(x) == pytest.approx(
            density_integral(law, np.ones_like, upto=x) + atoms, abs=1e-8
        )


@every_law
def test_cdf_rises_from_zero_to_one_over_the_support(law):
    low, high = max(law.low, law.mean - 9 * law.std), min(law.high, law.mean + 9 * law.std)
    cdf = law.cdf(np.linspace(low - 0.1, high + 0.1, 1001))
    assert np.all(np.diff(cdf) >= 0)
    assert cdf[0] == pytest.approx(0, abs=1e-5)
    assert cdf[-1] == pytest.approx(1, abs=1e-5)
    assert np.all(law.pdf(np.linspace(low, high, 101)) >= 0)


@every_law
def test_nothing_lies_outside_the_support(law):
    for end, outward in ((law.low, -1), (law.high, 1)):
        if math.isfinite(end):
            assert law.pdf(end + outward * 1e-6) == 0
    assert law.cdf_below(law.low) == 0
    assert law.cdf(law.high) == 1


@every_law
def test_quantile_is_the_smallest_value_that_reaches_the_probability(law):
    x = law.quantile(PROBABILITIES)
    # Beside the arcsine law's infinite density one step of a float64 moves the cdf by 1e-8.
    assert np.all(law.cdf(x) >= PROBABILITIES - 1e-8)
    assert np.all(law.cdf_below(x) <= PROBABILITIES + 1e-8)
    assert law.quantile([0.0, 1.0]) == pytest.approx([law.low, law.high])


@every_law
def test_moments_agree_with_quadrature(law):
    mean = expectation(law, lambda x: x)
    variance = expectation(law, lambda x: (x - mean) ** 2)
    assert law.mean == pytest.approx(mean, rel=1e-9, abs=1e-12)
    assert law.std == pytest.approx(math.sqrt(variance), rel=1e-7)
    if law.std:
        kurtosis = expectation(law, lambda x: ((x - law.mean) / law.std) ** 4)
        assert law.kurtosis == pytest.approx(kurtosis, rel=1e-6)
    else:
        assert math.isnan(law.kurtosis)


def scipy_truncated(loc, scale, a, b):
    return stats.truncnorm((a - loc) / scale, (b - loc) / scale, loc, scale)


@pytest.mark.parametrize(
    ("law", "other"),
    [
        (Uniform(-0.3, 1.2), stats.uniform(-0.3, 1.5)),
        (Normal(0.5, 0.2), stats.norm(0.5, 0.2)),
        (TruncatedNormal(0.1, 1.5, -2.0, 1.0), scipy_truncated(0.1, 1.5, -2.0, 1.0)),
        (TruncatedNormal(0.0, 1.0, 6.0, 8.0), scipy_truncated(0.0, 1.0, 6.0, 8.0)),
        (TruncatedNormal(1.0, 0.5, -3.5, -2.0), scipy_truncated(1.0, 0.5, -3.5, -2.0)),
    ],
    ids=lambda law: getattr(law, "notation", ""),
)
def test_scipy_agrees(law, other):
    x = law.quantile(PROBABILITIES)
    np.testing.assert_allclose(x, other.ppf(PROBABILITIES), rtol=1e-7)
    np.testing.assert_allclose(law.cdf(x), other.cdf(x), rtol=1e-6)
    np.testing.assert_allclose(law.pdf(x), other.pdf(x), rtol=1e-7)
    assert (law.mean, law.std) == pytest.approx((other.mean(), other.std()), rel=1e-6)
    assert law.kurtosis == pytest.approx(3 + float(other.stats("k")), rel=1e-3)


@given(st.floats(-10, 10), st.floats(0.01, 100), st.floats(-8, 8), st.floats(0.01, 16))
def test_truncated_normal_stays_in_its_interval(loc, scale, start, width):
    a, b = loc + scale * start, loc + scale * (start + width)
    law = TruncatedNormal(loc, scale, a, b)
    assert a <= law.mean <= b
    # Truncation narrows the normal, and no density that falls away from its mode is wider than
    # the uniform on the same interval.
    assert law.std <= min(scale, (b - a) / math.sqrt(12)) * (1 + 1e-6)
    x = law.quantile(PROBABILITIES)
    assert np.all((x >= a) & (x <= b))
    np.testing.assert_allclose(law.cdf(x), PROBABILITIES, rtol=1e-4, atol=1e-7)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.floats(0, 1))
def test_uniform_and_normal_scale_with_their_parameters(loc, scale, p):
    for law, unit in (
        (Uniform(loc, loc + scale), Uniform(0, 1)),
        (Normal(loc, scale), Normal(0, 1)),
    ):
        assert law.quantile(p) == pytest.approx(loc + scale * float(unit.quantile(p)))
        assert law.std == pytest.approx(scale * unit.std)


@given(st.integers(2, 10_000), st.floats(1e-3, 1e3))
def test_haar_coordinate_has_the_variance_of_a_unit_vector(dimension, scale):
    law = HaarCoordinate(dimension, scale)
    assert dimension * law.std**2 == pytest.approx(scale**2)
    assert law.kurtosis < 3
    assert law.cdf(law.quantile(0.3)) == pytest.approx(0.3)


@given(st.floats(0.01, 0.99), st.floats(-2, 2), st.floats(0.01, 10))
def test_zero_inflation_adds_a_jump_at_zero(share, loc, scale):
    law = ZeroInflated(share, Normal(loc, scale))
    assert law.cdf(0.0) - law.cdf_below(0.0) == pytest.approx(share)
    assert law.mean == pytest.approx((1 - share) * loc)


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (5, 2), (2, 5), (4, 12)])
def test_haar_coordinate_is_the_law_of_orthogonal_matrices(shape):
    generator = torch.Generator().manual_seed(1)
    gain = 1.5
    law = HaarCoordinate(max(shape), gain)
    corners = []
    for _ in range(1000):
        matrix = torch.empty(shape, dtype=torch.float64)
        torch.nn.init.orthogonal_(matrix, gain=gain, generator=generator)
        corners.append(float(matrix[0, -1]))
    assert stats.kstest(corners, law.cdf).pvalue > 0.001
    # All the entries' squares add to gain² for each vector of the shorter side: no chance at all.
    assert float((matrix**2).mean()) == pytest.approx(law.std**2)


def test_shorter_side_is_not_the_dimension_of_an_orthogonal_matrix():
    generator = torch.Generator().manual_seed(1)
    matrices = [
        torch.nn.init.orthogonal_(torch.empty(5, 2), generator=generator) for _ in range(500)
    ]
    values = torch.stack(matrices)[:, 0, 0].numpy()
    assert stats.kstest(values, HaarCoordinate(2, 1.0).cdf).pvalue < 1e-6


def test_cdf_below_leaves_out_the_atom():
    law = Pattern(((1.0, 0.25), (0.0, 0.75)))
    np.testing.assert_allclose(law.cdf([-0.1, 0.0, 0.5, 1.0]), [0, 0.75, 0.75, 1])
    np.testing.assert_allclose(law.cdf_below([-0.1, 0.0, 0.5, 1.0]), [0, 0, 0.75, 0.75])
    assert Normal(0, 1).cdf_below(0.0) == Normal(0, 1).cdf(0.0)


def test_quantile_of_a_pattern_steps_after_its_share():
    law = Pattern(((1.0, 0.25), (0.0, 0.75)))
    assert list(law.quantile([0.0, 0.75, 0.7501, 1.0])) == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("law", "sample"),
    [
        (Uniform(-1.0, 2.0), lambda rng, size: rng.uniform(-1, 2, size)),
        (Normal(1.0, 0.5), lambda rng, size: rng.normal(1, 0.5, size)),
    ],
    ids=["uniform", "normal"],
)
@pytest.mark.parametrize("count", [1, 7, 100])
def test_expected_extremes_are_medians_of_simulated_ones(law, sample, count):
    draws = sample(np.random.default_rng(2), (20_000, count))
    # Half of the draws exceed the median; 20,000 of them say so within 0.014 (four sigma).
    assert np.mean(draws.max(axis=1) > law.expected_max(count)) == pytest.approx(0.5, abs=0.014)
    assert np.mean(draws.min(axis=1) < law.expected_min(count)) == pytest.approx(0.5, abs=0.014)


@every_law
def test_distance_is_zero_to_itself_and_symmetric(law):
    other = Normal(0.1, 0.9)
    assert distance(law, law) == 0
    assert distance(law, other) == pytest.approx(distance(other, law))
    assert 0 < distance(law, other) <= 1


def test_known_distances():
    half = math.sqrt(3.0)
    # The gap between the cdfs is largest where the densities cross: φ(x) = 1/(2√3).
    x = math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) / (2 * half)))
    gap = stats.norm.cdf(x) - (x + half) / (2 * half)
    assert distance(Uniform(-half, half), Normal(0, 1)) == pytest.approx(gap, abs=5e-4)
    assert distance(constant(0.0), constant(1e-9)) == 1
    assert distance(constant(0.0), Normal(0, 1)) == pytest.approx(0.5)
    assert distance(ZeroInflated(0.3, Normal(0, 1)), Normal(0, 1)) == pytest.approx(0.15)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Uniform(1.0, 1.0),
        lambda: Uniform(2.0, 1.0),
        lambda: Normal(0.0, 0.0),
        lambda: Normal(0.0, -1.0),
        lambda: Normal(0.0, math.nan),
        lambda: TruncatedNormal(0.0, 0.0, -1.0, 1.0),
        lambda: TruncatedNormal(0.0, 1.0, 1.0, 1.0),
        lambda: TruncatedNormal(0.0, 1.0, 50.0, 51.0),
        lambda: Pattern(((0.0, 0.5), (1.0, 0.4))),
        lambda: HaarCoordinate(1, 1.0),
        lambda: HaarCoordinate(5, 0.0),
        lambda: ZeroInflated(0.0, Normal(0.0, 1.0)),
        lambda: ZeroInflated(1.0, Normal(0.0, 1.0)),
    ],
)
def test_impossible_laws_are_refused(build):
    with pytest.raises(InitError):
        build()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (-0.77459667, "−0.7746"),
        (123456.0, "1.235e5"),
        (-2.5e-10, "−2.5e−10"),
        (20.0, "20"),
        (1 / 64, "0.01563"),  # as tables and charts write it
        (-1 / 64, "−0.01563"),
    ],
)
def test_numbers_are_short_with_a_true_minus_sign(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("law", "numbers"),
    [
        (Uniform(-0.25, 0.75), ["−0.25", "0.75"]),
        (Normal(1.5, 0.2), ["1.5", "0.2²"]),
        (TruncatedNormal(0.5, 0.2, -1.0, 3.0), ["0.5", "0.2²", "−1", "3"]),
        (constant(0.7), ["0.7"]),
        (Pattern(((0.0, 0.75), (2.0, 0.25))), ["75 % 0", "25 % 2"]),
        (HaarCoordinate(7, 1.5), ["1.5", "7 dimensions"]),
        (ZeroInflated(0.3, Normal(0.0, 0.01)), ["30 % zeros", "0.01²"]),
    ],
    ids=lambda value: getattr(value, "family", ""),
)
def test_notation_names_the_numbers(law, numbers):
    for text in numbers:
        assert text in law.notation
