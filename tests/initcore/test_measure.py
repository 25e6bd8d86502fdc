"""Measurements against numpy and scipy in float64, and heat maps against brute force."""

import contextlib
import itertools
import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from initcore.draw import BLOCK, DTYPES, Spec, Stream, draw_spec
from initcore.errors import InitError
from initcore.fit import std_error
from initcore.identify import identify
from initcore.laws import Constant, Normal, Uniform
from initcore.layers import Layer
from initcore.measure import (
    _BLOCK,
    Grid,
    HalfGrid,
    Heat,
    grid_for,
    grid_to_grow,
    measure,
    measure_stream,
    workers,
)
from initcore.schemes import Init

every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(count, mean=0.0, std=1.0, dtype=torch.float32):
    return torch.empty(count, dtype=torch.float64).normal_(mean, std, generator=rng()).to(dtype)


def uniform(count, low, high, dtype=torch.float32):
    return torch.empty(count, dtype=torch.float64).uniform_(low, high, generator=rng()).to(dtype)


def with_odd_ones(values):
    values = values.clone()
    values[::7] = 0.0
    values[1::50] = math.nan
    values[2::60] = math.inf
    values[3::70] = -math.inf
    return values


def with_last(values, *last):
    return torch.cat([values[: len(values) - len(last)], torch.tensor(last)])


def finite_values(tensor):
    values = tensor.detach().double().flatten().numpy()
    return values[np.isfinite(values)]


def assert_measured_exactly(m, tensor):
    values = finite_values(tensor)
    assert m.count == tensor.numel()
    assert m.nonfinite == m.count - len(values)
    assert m.finite == len(values)
    assert m.zeros == int((values == 0).sum())
    assert (m.min, m.max) == (values.min(), values.max())
    assert m.counts.sum() + m.below + m.above == m.finite


def assert_moments(m, tensor):
    values = finite_values(tensor)
    unit = np.abs(values).max()
    scaled = values / unit if unit else values  # so that the reference neither over- nor underflows
    std = scaled.std(ddof=1) * unit
    assert m.mean == pytest.approx(values.mean(), rel=1e-12, abs=1e-6 * std)
    assert m.std == pytest.approx(std, rel=1e-6)
    assert m.skewness == pytest.approx(stats.skew(scaled), rel=1e-6, abs=1e-6)
    assert m.kurtosis == pytest.approx(stats.kurtosis(scaled, fisher=False), rel=1e-6)


SPREADS = {
    "standard normal": lambda n, dtype: normal(n, dtype=dtype),
    "narrow about 1": lambda n, dtype: normal(n, 1.0, 0.01, dtype=dtype),
    "uniform from 0": lambda n, dtype: uniform(n, 0.0, 3.0, dtype=dtype),
    "weights": lambda n, dtype: uniform(n, -0.03, 0.03, dtype=dtype),
    "heavy tail": lambda n, dtype: normal(n).pow(3).to(dtype),
    "one far away": lambda n, dtype: with_last(normal(n, 0.0, 0.02), -2.0).to(dtype),
    "narrow but two": lambda n, dtype: with_last(normal(n, 1.0, 0.01), -10.0, 3.0).to(dtype),
    "a few zeros": lambda n, dtype: with_odd_ones(normal(n)).nan_to_num(0.5, 2.0, -2.0).to(dtype),
}


@every_dtype
@pytest.mark.parametrize("values", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("count", [2, 3, 255, 256, 257, 10_007])
def test_statistics_agree_with_numpy_in_float64(values, dtype, count):
    tensor = values(count, DTYPES[dtype])
    m = measure(tensor)
    assert m.dtype == dtype
    assert_measured_exactly(m, tensor)
    assert_moments(m, tensor)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("scale", [1e30, 1e6, 1e-6, 1e-12, 1e-30])
def test_scale_does_not_matter(scale, dtype):
    tensor = normal(5000, std=scale, dtype=DTYPES[dtype])
    m = measure(tensor)
    assert_measured_exactly(m, tensor)
    assert_moments(m, tensor)


@pytest.mark.parametrize("scale", [1e100, 1e-100])
def test_what_no_fourth_power_can_hold_is_measured_or_refused(scale):
    tensor = normal(5000, std=scale, dtype=torch.float64)
    with contextlib.suppress(InitError):
        m = measure(tensor)
        assert_measured_exactly(m, tensor)
        assert_moments(m, tensor)


def test_subnormal_float32_is_measured():
    tensor = normal(5000, std=1e-40)
    m = measure(tensor)
    assert_measured_exactly(m, tensor)
    assert m.std == pytest.approx(finite_values(tensor).std(ddof=1), rel=1e-4)


@pytest.mark.parametrize("mean", [100.0, 1e6])
@pytest.mark.parametrize("shape", [None, (50, 100)], ids=["alone", "with a heat map"])
def test_a_mean_far_above_the_std_keeps_both_exact(mean, shape):
    tensor = normal(5000, mean, 1.0)
    m = measure(tensor, heat=Heat.empty(shape, 8) if shape else None)
    assert_moments(m, tensor)


@every_dtype
@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -3.25, 2.0**-14])
@pytest.mark.parametrize("count", [1, 2, 300, 1000])
def test_constants_have_no_spread(value, dtype, count):
    tensor = torch.full((count,), value, dtype=DTYPES[dtype])
    m = measure(tensor)
    assert_measured_exactly(m, tensor)
    assert m.mean == value
    assert m.std == 0 if count > 1 else math.isnan(m.std)
    assert math.isnan(m.skewness)
    assert math.isnan(m.kurtosis)


@pytest.mark.parametrize("seed", range(40))
def test_two_values_in_equal_parts_have_the_least_kurtosis(seed):
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.randn(2, generator=generator).tolist()
    m = measure(torch.tensor([one, other] * 1536))
    assert m.kurtosis >= 1
    assert m.kurtosis == pytest.approx(1, abs=1e-5)
    law = Constant(((one, 0.5), (other, 0.5)))
    assert law.kurtosis >= 1
    assert std_error(law, m.count) == pytest.approx(0, abs=1e-6)


@every_dtype
@pytest.mark.parametrize("count", [100, 5000])
def test_nan_and_infinities_are_counted_apart(dtype, count):
    tensor = with_odd_ones(normal(count)).to(DTYPES[dtype])
    m = measure(tensor)
    assert m.nonfinite > 0
    assert_measured_exactly(m, tensor)
    assert_moments(m, tensor)


@every_dtype
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nothing_finite_leaves_nothing_to_say(dtype, value):
    m = measure(torch.full((10,), value, dtype=DTYPES[dtype]))
    assert (m.count, m.nonfinite, m.finite, m.counts.sum()) == (10, 10, 0, 0)
    for statistic in (m.min, m.max, m.mean, m.std, m.skewness, m.kurtosis):
        assert math.isnan(statistic)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("count", [_BLOCK - 1, _BLOCK, _BLOCK + 1, _BLOCK + 257])
@pytest.mark.parametrize("threaded", [False, True], ids=["alone", "beside others"])
def test_blocks_leave_no_seam(dtype, count, threaded):
    tensor = normal(count, 0.5, 1.0, DTYPES[dtype])
    tensor[-1] = 9.0
    m = measure(tensor, threaded=threaded)
    assert_measured_exactly(m, tensor)
    assert_moments(m, tensor)


GROWTHS = {
    "a law": lambda n: normal(n),
    "a uniform law": lambda n: uniform(n, -0.03, 0.03),
    "far from zero": lambda n: normal(n, 1.0, 0.01),
    "ever farther": lambda n: normal(n) * torch.logspace(-9, 3, n),
    "ever nearer": lambda n: normal(n) * torch.logspace(3, -9, n),
    "to one side": lambda n: torch.linspace(0, 5, n),
    "zeros first": lambda n: torch.cat([torch.zeros(n // 2), normal(n - n // 2, 0, 1e-3)]),
    "one value first": lambda n: torch.cat([torch.full((n // 2,), 1.5), normal(n - n // 2)]),
    "one far away": lambda n: with_last(normal(n), -3e4),
    "garbage": lambda n: with_last(normal(n), 3e38, -1e-40),
    "odd ones": lambda n: with_odd_ones(normal(n)),
    "odd ones first": lambda n: torch.cat([torch.full((n // 2,), math.nan), normal(n - n // 2)]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("threaded", [False, True], ids=["alone", "beside others"])
@pytest.mark.parametrize("values", GROWTHS.values(), ids=GROWTHS)
def test_a_grid_grows_to_reach_all_values(values, threaded, dtype):
    tensor = values(2**19 + 7).to(dtype)
    grid = grid_to_grow(tensor[:1000])
    m = measure(tensor, grid, grows=True, threaded=threaded)
    assert_measured_exactly(m, tensor)
    assert_moments(m, tensor)
    assert m.below == m.above == 0
    assert m.grid.low <= m.min <= m.max < m.grid.high
    assert m.grid.bins < 2**15
    assert m.grid.joined(grid) == m.grid  # of the same edges
    # Rounding may carry a value across an edge, but no farther than the slack.
    finite = np.sort(finite_values(tensor))
    for shift, side in ((-m.grid.slack, "left"), (m.grid.slack, "right")):
        least = np.searchsorted(finite, m.grid.edges[1:-1] + shift, side=side)
        assert np.all((m.cumulative[1:-1] - least) * shift <= 0)


def test_a_grid_grows_by_halving_its_edges():
    grid = Grid(-10, 30, 0.25)
    assert grid.reaching(-2.5, 4.9) == grid
    assert grid.reaching(-2.6, 5.0) == Grid(-11, 32, 0.25)
    far = grid.reaching(0.0, 1e6)
    assert far.width == 32  # 1e6 / 16 would be too many
    assert set(far.edges) >= {0.0, 32.0}
    assert far.low <= grid.low < 1e6 < far.high


@settings(max_examples=60)
@given(
    st.integers(-50, 50),
    st.integers(1, 200),
    st.floats(1e-30, 1e30),
    st.tuples(*[st.floats(-1e32, 1e32)] * 2).map(sorted),
)
def test_a_grid_holds_what_it_has_grown_for(first, bins, width, ends):
    grid = Grid(first, bins, width)
    grown = grid.reaching(*ends)
    assert grown.low <= min(ends[0], grid.low)
    assert max(ends[1], np.nextafter(grid.high, 0)) < grown.high
    assert grown.bins < 2**15
    assert grown.reaching(*ends) == grown
    assert grown.joined(grid) == grid.joined(grown) == grown


@pytest.mark.parametrize("values", GROWTHS.values(), ids=GROWTHS)
def test_parts_on_grown_grids_merge_in_any_order(values):
    tensor = values(6000)
    grid = grid_to_grow(tensor[:100])
    a, b, c = (measure(part, grid, grows=True) for part in tensor.split(2000))
    whole = a.merge(b).merge(c)
    assert_measured_exactly(whole, tensor)
    assert_moments(whole, tensor)
    for other in (a.merge(b.merge(c)), c.merge(a).merge(b), b.merge(c).merge(a)):
        assert (other.grid, other.count, other.zeros) == (whole.grid, whole.count, whole.zeros)
        np.testing.assert_array_equal(other.counts, whole.counts)


def test_what_a_grid_grows_to_must_be_measurable():
    tensor = torch.ones(1000, dtype=torch.float64)
    grid = grid_to_grow(tensor)
    for far in (1e100, -1e100):
        tensor[-1] = far
        with pytest.raises(InitError, match="cannot be measured"):
            measure(tensor, grid, grows=True)
        with pytest.raises(InitError, match="cannot be measured"):
            grid_to_grow(tensor)
    tiny = torch.zeros(1000, dtype=torch.float64)
    tiny[-1] = 1e-100
    with pytest.raises(InitError, match="cannot be measured"):
        measure(tiny, grid_to_grow(tiny[:10]), grows=True)


@pytest.mark.parametrize("count", [_BLOCK, 2 * _BLOCK])
def test_blocks_about_different_means_keep_the_moments_exact(count):
    tensor = normal(count + _BLOCK, 0.0, 0.01)
    tensor[_BLOCK:] += 1.0
    assert_moments(measure(tensor), tensor)
    tensor[:_BLOCK] = math.nan
    assert_moments(measure(tensor), tensor)


def test_any_layout_is_measured():
    tensor = normal(600).reshape(20, 30)
    for view in (tensor.T, tensor[::2, 1::3], tensor.clone().requires_grad_(), tensor[0, 0]):
        assert_measured_exactly(measure(view), view)


@pytest.mark.parametrize("tensor", [torch.empty(0), torch.empty(3, 0)])
def test_empty_tensors_are_refused(tensor):
    with pytest.raises(InitError, match="empty"):
        measure(tensor)


def test_a_tensor_without_values_is_refused():
    for look in (measure, identify):
        with pytest.raises(InitError, match="meta device"):
            look(torch.empty(3, 3, device="meta"))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_dtypes_are_refused_by_name(dtype):
    with pytest.raises(InitError, match=rf"{dtype}.*float32, float64, bfloat16, float16"):
        measure(torch.zeros(3, dtype=dtype))


# --- histograms and quantiles -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("law", "values"),
    [(Normal(0.0, 0.1), normal(20_000, 0.0, 0.1)), (Uniform(0, 3), uniform(20_000, 0, 3))],
    ids=["normal", "uniform"],
)
def test_counts_are_numpys_up_to_the_slack_of_the_edges(law, values, dtype):
    tensor = values.to(DTYPES[dtype])
    grid = grid_for(law, 20_000, dtype)
    m = measure(tensor, grid)
    x = np.sort(finite_values(tensor))
    assert np.all(m.cumulative >= np.searchsorted(x, grid.edges - grid.slack))
    assert np.all(m.cumulative <= np.searchsorted(x, grid.edges + grid.slack))
    assert grid.slack < 0.01 * grid.width


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("far", [2.0, 1e30])
@pytest.mark.parametrize("shape", [None, (20, 50)], ids=["alone", "with a heat map"])
def test_values_off_the_grid_are_counted_on_their_side(dtype, far, shape):
    tensor = normal(1000, dtype=DTYPES[dtype])
    tensor[[3, 500]] = torch.tensor([far, -far], dtype=DTYPES[dtype])
    m = measure(tensor, Grid(-4, 10, 0.25), heat=Heat.empty(shape, 8) if shape else None)
    assert (m.below, m.above) == (int((tensor < -1).sum()), int((tensor >= 1.5).sum()))
    assert (m.cumulative[0], m.cumulative[-1]) == (m.below, 1000 - m.above)
    assert_measured_exactly(m, tensor)


@pytest.mark.parametrize("seed", range(40))
def test_values_at_the_ends_of_a_grid_are_inside(seed):
    """Rounding carries their bins past the first and the last."""
    rng = np.random.default_rng(seed)
    bins = int(rng.integers(2, 2**15))
    grid = Grid(int(rng.uniform(-20, 20) * bins), bins, 10 ** rng.uniform(-6, 2))
    low, high = np.float32([grid.low, grid.high])
    if float(low) < grid.low:
        low = np.nextafter(low, np.float32(np.inf))
    if float(high) >= grid.high:
        high = np.nextafter(high, np.float32(-np.inf))
    m = measure(torch.tensor([low, high] * 50), grid)
    assert (m.below, m.above, m.counts.sum(), m.min, m.max) == (0, 0, 100, low, high)
    middle = np.arange(len(m.counts)) > grid.bins / 2
    assert (m.counts[~middle].sum(), m.counts[middle].sum()) == (50, 50)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_counts_of_16_bit_types_are_exact(dtype):
    tensor = normal(20_000, dtype=DTYPES[dtype])
    m = measure(tensor)
    values, counts = np.unique(finite_values(tensor), return_counts=True)
    present = m.counts > 0
    np.testing.assert_array_equal(m.grid.values[present], values)
    np.testing.assert_array_equal(m.counts[present], counts)
    # Each edge parts its two neighbours.
    assert np.all(m.grid.edges[1:-1] > m.grid.values[:-1])
    assert np.all(m.grid.edges[1:-1] < m.grid.values[1:])


@every_dtype
def test_quantiles_are_exact_to_one_bin(dtype):
    tensor = normal(10_001, 0.2, 0.5, DTYPES[dtype])
    m = measure(tensor)
    p = np.linspace(0, 1, 101)
    exact = np.quantile(finite_values(tensor), p, method="inverted_cdf")
    edges = m.grid.edges
    bin_width = np.diff(edges)[np.clip(np.searchsorted(edges, exact), 1, len(edges) - 1) - 1]
    assert np.all(np.abs(m.quantile(p) - exact) <= 1.001 * bin_width + m.grid.slack)
    assert list(m.quantile([0.0, 1.0])) == [m.min, m.max]


@every_dtype
@pytest.mark.parametrize(
    "window", [(-5.0, 5.0), (-0.5, 1.0), (-100.0, 0.0), (-0.001, 0.001), (8.0, 9.0), (-9.0, -8.0)]
)
def test_display_histogram_counts_exactly_what_lies_in_its_window(dtype, window):
    tensor = normal(10_001, dtype=DTYPES[dtype])
    m = measure(tensor)
    edges, counts = m.histogram(*window, 40)
    assert 1 <= len(counts) <= 42
    exact = np.histogram(finite_values(tensor), edges)[0]
    # Rounding may carry the odd value across an edge of the fine grid.
    assert np.abs(np.cumsum(counts) - np.cumsum(exact)).max() <= (2 if m.grid.slack else 0)
    if window == (-5.0, 5.0):
        assert counts.sum() == m.finite
        assert len(counts) >= 20


def test_display_histogram_of_a_point():
    m = measure(torch.ones(10))
    assert m.histogram(m.min, m.max, 40)[1].sum() == 10


@every_dtype
@pytest.mark.parametrize("bound", [0.3, 0.774596669, 1.5])
def test_outside_is_exact_at_a_marked_bound(dtype, bound):
    tensor = normal(20_000, 0.1, 0.5, DTYPES[dtype])
    tensor = tensor[((tensor.abs() - bound).abs() > 1e-5)]  # clear of the slack of the edges
    m = measure(tensor, grid_for(Normal(0.1, 0.5), len(tensor), dtype, bound))
    assert m.outside(bound) == int((tensor.abs() > bound).sum()) > 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("bound", [0.3, 1.0, 9.0])
def test_outside_begins_one_step_beyond_the_rounded_bound(dtype, bound):
    at = torch.tensor(bound, dtype=DTYPES[dtype])
    beyond = at.nextafter(2 * at)
    assert measure(torch.stack([at, -at])).outside(bound) == 0
    assert measure(torch.stack([beyond, at, -at])).outside(bound) == 1
    assert measure(torch.stack([at, -at, -beyond])).outside(bound) == 1


def test_outside_of_a_uniform_on_its_own_bound_is_none():
    law = Uniform(-0.1, 0.1)
    tensor = uniform(20_000, -0.1, 0.1)
    m = measure(tensor, grid_for(law, 20_000, "float32", 0.1))
    assert m.outside(0.1) == 0
    assert m.outside(0.05) == int((tensor.abs() > 0.05).sum())


@pytest.mark.parametrize("mark", [None, 0.31])
def test_grids_are_anchored_at_zero_and_at_the_mark(mark):
    grid = grid_for(Normal(0.1, 0.2), 1000, "float32", mark)
    assert 0.0 in grid.edges
    assert grid.low < -0.8
    assert grid.high > 1.0
    if mark:
        assert np.isclose(grid.edges[:, None], [mark, -mark], rtol=1e-12).any(axis=0).all()


def test_the_law_alone_decides_the_grid():
    law = Normal(0.0, 1.0)
    assert grid_for(law, 100, "float32") == grid_for(law, 100, "float64")
    assert grid_for(law, 100, "float16") == HalfGrid("float16")
    assert grid_for(law, 10**6, "float32").width < grid_for(law, 100, "float32").width


# --- merging ------------------------------------------------------------------------------------


def assert_same_measurement(a, b):
    for name in ("grid", "dtype", "count", "nonfinite", "zeros", "min", "max", "below", "above"):
        assert getattr(a, name) == getattr(b, name)
    np.testing.assert_array_equal(a.counts, b.counts)
    assert a.mean == pytest.approx(b.mean, rel=1e-6, abs=1e-7, nan_ok=True)
    assert a.sums == pytest.approx(b.sums, rel=1e-5, abs=1e-5)


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20), min_size=3, max_size=3),
    st.sampled_from(["float32", "float64", "float16"]),
)
def test_merging_is_free_of_order_and_equals_the_whole(parts, dtype):
    # On edges narrower than the values, so that some fall below and above.
    grid = grid_for(Uniform(-1.0, 2.0), 60, dtype)
    tensors = [torch.tensor(part, dtype=DTYPES[dtype]) for part in parts]
    a, b, c = (measure(tensor, grid) for tensor in tensors)
    whole = measure(torch.cat(tensors), grid)
    assert_same_measurement(a.merge(b).merge(c), whole)
    assert_same_measurement(a.merge(b.merge(c)), whole)
    assert_same_measurement(c.merge(a).merge(b), whole)


def test_a_part_without_finite_values_changes_only_the_counts():
    grid = grid_for(Normal(0, 1), 100, "float32")
    values, odd = normal(100), torch.full((7,), math.nan)
    whole = measure(torch.cat([values, odd]), grid)
    assert_same_measurement(measure(values, grid).merge(measure(odd, grid)), whole)
    assert_same_measurement(measure(odd, grid).merge(measure(values, grid)), whole)


def test_different_edges_or_dtypes_do_not_merge():
    grid = grid_for(Normal(0, 1), 100, "float32")
    m = measure(normal(100), grid)
    with pytest.raises(InitError, match="cannot merge"):
        m.merge(measure(normal(100), grid_for(Normal(0, 3), 100, "float32")))
    outside = Grid(2 * grid.first + 1, 2 * grid.bins - 100, grid.width / 2)
    with pytest.raises(InitError, match="cannot merge"):  # where the values lie is not known
        m.merge(measure(normal(100, std=3.0), outside))
    with pytest.raises(InitError, match="cannot merge"):
        m.merge(measure(normal(100, dtype=torch.float64), grid))


@pytest.mark.parametrize(
    ("dtype", "grid"),
    [
        ("float32", HalfGrid("bfloat16")),
        ("bfloat16", HalfGrid("float16")),
        ("bfloat16", Grid(-10, 20, 0.1)),
    ],
)
def test_a_grid_of_another_type_is_refused(dtype, grid):
    with pytest.raises(InitError, match=dtype):
        measure(normal(100, dtype=DTYPES[dtype]), grid)


# --- heat maps ----------------------------------------------------------------------------------

SHAPES = [
    ((1, 1), 8),
    ((8, 8), 8),
    ((9, 8), 8),
    ((8, 9), 8),
    ((1, 1000), 8),
    ((1000, 1), 8),
    ((17, 23), 8),
    ((5, 100), 7),
    ((100, 5), 7),
    ((300, 257), 256),
    ((64, 700), 50),
]
every_shape = pytest.mark.parametrize(("shape", "side"), SHAPES, ids=str)


def cells(matrix, heat, reduce, filling=0.0):
    """Each cell reduced on its own; the last ones are filled up with what changes nothing."""
    (rows, columns), (height, width) = heat.total.shape, heat.cell
    filled = np.full((rows * height, columns * width), filling)
    filled[: matrix.shape[0], : matrix.shape[1]] = matrix
    return reduce(filled.reshape(rows, height, columns, width), axis=(1, 3))


def assert_heat(heat, matrix, side):
    assert max(heat.total.shape) <= side
    assert heat.is_exact == (max(matrix.shape) <= side)
    sums, sizes = cells(matrix, heat, np.sum), cells(np.ones_like(matrix), heat, np.sum)
    np.testing.assert_allclose(heat.total, sums, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(heat.mean, sums / sizes, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(heat.low, cells(matrix, heat, np.min, math.inf))
    np.testing.assert_array_equal(heat.high, cells(matrix, heat, np.max, -math.inf))
    assert np.all((heat.extreme == heat.low) | (heat.extreme == heat.high))
    np.testing.assert_array_equal(np.abs(heat.extreme), cells(np.abs(matrix), heat, np.max))
    assert heat.argmin == (matrix.min(), int(matrix.argmin()))
    assert heat.argmax == (matrix.max(), int(matrix.argmax()))


def matrix_of(shape):
    return normal(math.prod(shape)).reshape(shape)


@every_dtype
@every_shape
def test_cells_hold_their_sum_and_extremes(shape, side, dtype):
    matrix = matrix_of(shape).to(DTYPES[dtype])
    heat = Heat.empty(shape, side)
    m = measure(matrix, heat=heat)
    # Even the float64 entries were float32 once, so that the cells hold them exactly.
    assert_heat(heat, matrix.float().numpy(), side)
    assert_measured_exactly(m, matrix)
    if matrix.numel() > 1:
        assert_moments(m, matrix)


@every_shape
@pytest.mark.parametrize("seed", range(3))
def test_chunks_at_any_offset_merge_in_any_order(shape, side, seed):
    matrix = matrix_of(shape).numpy()
    random = np.random.default_rng(seed)
    cuts = [0, *sorted(random.integers(0, matrix.size + 1, 6)), matrix.size]
    heats = []
    for start, end in itertools.pairwise(cuts):
        heat = Heat.empty(shape, side)
        if end > start:
            heat.add(int(start), matrix.ravel()[start:end])
        heats.append(heat)
    random.shuffle(heats)
    merged = heats[0]
    for heat in heats[1:]:
        merged = merged.merge(heat)
    assert_heat(merged, matrix, side)


@every_shape
@pytest.mark.parametrize("first", [0, 1 / 3])
def test_a_run_is_passed_on_part_by_part(shape, side, first):
    matrix = matrix_of(shape).numpy()
    offset = int(first * matrix.size)
    run, parts = matrix.ravel()[offset:], []
    Heat.empty(shape, side).add(offset, run, lambda part: parts.append(part.copy()))
    np.testing.assert_array_equal(np.concatenate(parts), run)


@every_shape
@pytest.mark.parametrize("coarse", [1, 3, 1000])
def test_a_coarser_heat_map_has_the_same_entries_in_larger_cells(shape, side, coarse):
    matrix = matrix_of(shape)
    fine = Heat.empty(shape, side)
    measure(matrix, heat=fine)
    heat = fine.coarser(coarse)
    assert [size % small for size, small in zip(heat.cell, fine.cell, strict=True)] == [0, 0]
    assert_heat(heat, matrix.numpy(), min(side, coarse))


def test_of_equal_extremes_the_first_is_named_in_any_order():
    matrix = np.array([[0.0, 1.0, -1.0], [1.0, -1.0, 0.0]], dtype=np.float32)
    first, second = Heat.empty((2, 3), 4), Heat.empty((2, 3), 4)
    first.add(0, matrix[0])
    second.add(3, matrix[1])
    for merged in (first.merge(second), second.merge(first)):
        assert_heat(merged, matrix, 4)


def test_planted_outliers_survive_the_reduction():
    matrix = normal(4_000_000).reshape(2000, 2000)
    matrix[1234, 567], matrix[1999, 0] = 50.0, -60.0
    heat = Heat.empty((2000, 2000), 256)
    m = measure(matrix, heat=heat)
    assert_measured_exactly(m, matrix)
    assert_moments(m, matrix)
    assert heat.position(heat.argmax[1]) == (1234, 567)
    assert heat.position(heat.argmin[1]) == (1999, 0)
    height, width = heat.cell
    assert heat.extreme[1234 // height, 567 // width] == 50.0
    assert heat.extreme[1999 // height, 0] == -60.0
    assert np.count_nonzero(np.abs(heat.extreme) > 10) == 2


@every_dtype
@pytest.mark.parametrize("side", [4, 256])
def test_nan_and_infinities_mark_their_cells_only(dtype, side):
    matrix = matrix_of((20, 30)).to(DTYPES[dtype])
    matrix[0, 0], matrix[7, 9], matrix[7, 10] = math.nan, math.inf, -math.inf
    heat = Heat.empty((20, 30), side)
    m = measure(matrix, heat=heat)
    assert m.nonfinite == 3
    assert (heat.argmin, heat.argmax) == ((-math.inf, 7 * 30 + 10), (math.inf, 7 * 30 + 9))
    values = matrix.float().numpy()
    np.testing.assert_array_equal(heat.low, cells(values, heat, np.min, math.inf))
    np.testing.assert_array_equal(heat.high, cells(values, heat, np.max, -math.inf))


def test_cells_of_the_largest_numbers_do_not_warn():
    matrix = torch.full((20, 30), torch.finfo(torch.float32).max)
    heat = Heat.empty((20, 30), 4)
    assert measure(matrix, heat=heat).zeros == 0
    assert np.all(heat.high == heat.low)
    entries = Heat.empty((20, 30), 30)
    measure(matrix, heat=entries)
    assert np.all(entries.coarser(2).high == heat.high[0, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [1e-4, 1e-6])
def test_what_lies_outside_a_grid_far_from_zero_is_in_none_of_its_bins(dtype, spread):
    values = torch.empty(5000, dtype=torch.float64).uniform_(
        -spread, spread, generator=torch.Generator().manual_seed(0)
    )
    tensor = (10 + values).to(dtype)
    tensor[7] = math.nan
    whole = measure(tensor)
    assert (whole.below, whole.above, whole.nonfinite) == (0, 0, 1)
    assert whole.counts.min() >= 0
    low, high = sorted(tensor[tensor.isfinite()].double().tolist())[1000:4000:2999]
    part = measure(tensor, Grid.spanning(low, high, 5000))
    inside = tensor.double()
    grid = part.grid
    assert part.below == int((inside < grid.low).sum())
    assert part.above == int((inside >= grid.high).sum())
    assert part.counts.min() >= 0
    assert part.counts.sum() == 4999 - part.below - part.above


# --- streams ------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("slug", ["xavier_uniform", "normal", "constant"])
def test_measuring_a_stream_equals_measuring_the_draw(slug, dtype):
    layer = Layer("linear", (1000, BLOCK // 1000 + 9))
    spec = Spec(layer, Init(slug), seed=2, dtype=dtype)
    grid = grid_for(spec.weight.law(spec.slot("weight")), layer.count, dtype)
    weight = draw_spec(spec).weight
    held_heat, heat = (Heat.empty(layer.matrix_shape, 32) for _ in range(2))
    held = measure(weight, grid, heat=held_heat)
    streamed = measure_stream(Stream(spec), grid, heat=heat)
    assert_same_measurement(streamed, held)
    np.testing.assert_allclose(heat.total, held_heat.total, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(heat.low, held_heat.low)
    np.testing.assert_array_equal(heat.high, held_heat.high)
    assert (heat.argmin, heat.argmax) == (held_heat.argmin, held_heat.argmax)


def test_progress_rises_in_the_callers_thread():
    spec = Spec(Layer("linear", (1000, 3 * BLOCK // 1000)), Init("normal"))
    shares = []
    measure_stream(Stream(spec), grid_for(Normal(0, 1), 10, "float32"), progress=shares.append)
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert shares[-1] <= 1


def test_workers_shorten_the_wait_for_the_lock_while_any_are_there():
    before = sys.getswitchinterval()
    with workers(1):
        short = sys.getswitchinterval()
        assert short < before
        with workers(2):
            assert sys.getswitchinterval() == short
        assert sys.getswitchinterval() == short
    assert sys.getswitchinterval() == before


def test_an_error_of_the_measuring_thread_reaches_the_caller():
    spec = Spec(Layer("linear", (10, 10)), Init("normal"))
    with pytest.raises(ValueError, match="shape"):
        measure_stream(
            Stream(spec), grid_for(Normal(0, 1), 10, "float32"), heat=Heat.empty((1, 10), 4)
        )


@pytest.mark.parametrize("low", [-0.3, -1.0, 0.2, 5.0])
def test_a_coarser_measurement_counts_the_same_values(low):
    tensor = torch.empty(50_000).uniform_(low, low + 1, generator=torch.Generator().manual_seed(0))
    fine = measure(tensor)
    coarse = fine.coarser(100)
    assert 100 <= len(coarse.counts) <= 200
    assert coarse.below + coarse.counts.sum() + coarse.above == fine.count
    shared = np.rint(coarse.grid.edges / fine.grid.width).astype(int) - fine.grid.first
    assert fine.grid.edges[shared] == pytest.approx(coarse.grid.edges)
    assert (fine.cumulative[shared] == coarse.cumulative).all()
    assert fine.coarser(fine.grid.bins) is fine
    assert (coarse.mean, coarse.std, coarse.min) == (fine.mean, fine.std, fine.min)
