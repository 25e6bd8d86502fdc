"""Counting: exact whatever the counts, and never a write outside them."""

import math

import numpy as np
import pytest

from initcore import counting
from initcore.counting import FloatCounter, LateCounter, PatternCounter


def numbers(count, size, seed=0):
    return np.random.default_rng(seed).integers(0, size, count).astype(np.float64)


def counts(counter, *arrays, dtype=np.float32):
    counter.clear(sum(map(len, arrays)))
    for array in arrays:
        # A copy: it is used up.
        counter.add((array + counter.origin).astype(dtype))
    return counter.counts


@pytest.fixture(params=["scipy's product", "without it"])
def either_way(request, monkeypatch):
    """Each way to count; the second is for a scipy that no longer has what the first uses."""
    assert counting.csc_matvec is not None
    if request.param == "without it":
        monkeypatch.setattr(counting, "csc_matvec", None)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("size", [1, 2, 3, 4097, 2**15, 2**15 + 1, 2**17 + 2])
@pytest.mark.parametrize("count", [0, 1, 2**15 - 1, 2**15, 2**15 + 1, 100_003])
def test_numbers_are_counted(size, count):
    drawn = numbers(count, size)
    expected = np.bincount(drawn.astype(int), minlength=size)
    np.testing.assert_array_equal(counts(FloatCounter(size), drawn), expected)
    np.testing.assert_array_equal(counts(LateCounter(size), drawn), expected)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 5, 2**15, 2**16])
def test_fractions_are_dropped(size, dtype):
    drawn = numbers(70_001, size)
    expected = np.bincount(drawn.astype(int), minlength=size)
    for fraction in (0.25, 0.5, 0.99):
        for kind in (FloatCounter, LateCounter):
            got = counts(kind(size), drawn[:9] + fraction, drawn[9:] + fraction, dtype=dtype)
            np.testing.assert_array_equal(got, expected)


@pytest.mark.usefixtures("either_way")
def test_patterns_are_counted():
    drawn = numbers(100_003, 2**16)
    expected = np.bincount(drawn.astype(int), minlength=2**16)
    for counter in (PatternCounter(), LateCounter(2**16)):
        np.testing.assert_array_equal(counts(counter, drawn, dtype=np.uint16), expected)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("make", [lambda: FloatCounter(4), PatternCounter])
@pytest.mark.parametrize("count", [2**15 - 1, 2**15, 2**16 - 1, 2**16, 2**17 + 3, 2**20])
def test_no_count_overflows(make, count):
    counter, dtype = make(), np.float32 if make is not PatternCounter else np.uint16
    same = np.full(count, 2.0)
    got = counts(counter, same, dtype=dtype)
    assert got[:4].tolist() == [0, 0, count, 0]
    got = counts(counter, *np.split(same, [100, 40_000]), same, dtype=dtype)
    assert got[:4].tolist() == [0, 0, 2 * count, 0]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("wrong", [-1, 4, 5, -9, 2**20, 1e30, -1e30, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("many", [1, 90_000])
def test_a_number_out_of_range_is_left_out(wrong, many):
    drawn = numbers(100_000, 4)
    drawn[7 : 7 + many] = wrong
    inside = np.delete(drawn, np.s_[7 : 7 + many]).astype(int)
    counter = FloatCounter(4)
    np.testing.assert_array_equal(counts(counter, drawn), np.bincount(inside))
    assert counts(counter, numbers(10, 4)).sum() == 10


@pytest.mark.parametrize("size", [1, 4, 2**12 + 2, 2**15, 2**17 + 2])
def test_every_float32_has_a_count(size):
    """The product looks at nothing: the leading bits of any float must be those of a count."""
    counter = FloatCounter(size)
    worst = np.full(8, -math.nan, np.float32)
    worst.view(np.uint32)[:] = 2**32 - 1
    last = int(worst.view(np.uint32)[0]) >> counter._dropped
    assert last == len(counter._everything) - 1
    counter.add(worst)
    assert counter._everything[last] == 8
    assert not counter.counts.any()


@pytest.mark.parametrize("make", [FloatCounter, LateCounter])
def test_a_counter_begins_anew(make):
    counter = make(8)
    for room in (50_000, 60_000, 5):
        assert counts(counter, numbers(room, 8)).sum() == room
