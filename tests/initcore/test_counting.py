"""Counting: exact whatever the counts, and never a write outside them."""

import math

import numpy as np
import pytest

from initcore import counting
from initcore.counting import Counter, LateCounter


def numbers(count, size, seed=0):
    return np.random.default_rng(seed).integers(0, size, count).astype(np.int32)


def counts(size, *arrays, kind=Counter):
    counter = kind(size)
    counter.clear(sum(map(len, arrays)))
    for array in arrays:
        assert counter.add(array)
    return counter.counts


@pytest.fixture(params=["scipy's product", "without it"])
def either_way(request, monkeypatch):
    """Each way to count; the second is for a scipy that no longer has what the first uses."""
    assert counting.csc_matvec is not None
    if request.param == "without it":
        monkeypatch.setattr(counting, "csc_matvec", None)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("size", [1, 2, 4097, 2**16])
@pytest.mark.parametrize("count", [0, 1, 2**15 - 1, 2**15, 2**15 + 1, 100_003])
def test_numbers_are_counted(size, count):
    drawn = numbers(count, size)
    np.testing.assert_array_equal(counts(size, drawn), np.bincount(drawn, minlength=size))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("count", [2**15 - 1, 2**15, 2**16 - 1, 2**16, 2**17 + 3, 2**20])
def test_no_count_overflows(count):
    same = np.full(count, 2, np.int32)
    assert counts(4, same).tolist() == [0, 0, count, 0]
    assert counts(4, *np.split(same, [100, 40_000]), same).tolist() == [0, 0, 2 * count, 0]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("wrong", [4, 5, 2**31 - 1, -1, 1e30, -math.inf, math.nan])
@pytest.mark.parametrize("at", [0, 7, 99_999])
def test_a_number_out_of_range_is_told_and_never_written(wrong, at):
    drawn = numbers(100_000, 4).astype(np.float64)
    counter = Counter(4)
    drawn[at] = wrong
    with np.errstate(invalid="ignore"):  # of a cast of nan
        assert not counter.add(drawn)
    counter.clear()
    assert counter.add(numbers(10, 4))
    assert counter.counts.sum() == 10


@pytest.mark.parametrize("size", [1, 2**15, 2**15 + 1, 2**16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_all_counters_agree_and_drop_fractions(size, dtype):
    drawn = numbers(70_001, size)
    given = drawn.astype(dtype) + (dtype(0.25) if dtype != np.uint16 else dtype(0))
    expected = np.bincount(drawn, minlength=size)
    for kind in (Counter, LateCounter):
        np.testing.assert_array_equal(counts(size, given[:9], given[9:], kind=kind), expected)


@pytest.mark.parametrize("kind", [Counter, LateCounter])
def test_a_counter_begins_anew(kind):
    counter = kind(8)
    for room in (50_000, 60_000, 5):
        counter.clear(room)
        counter.add(numbers(room, 8))
        assert counter.counts.sum() == room
