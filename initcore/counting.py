"""Counting: how often each of many small numbers came.

>>> counter = FloatCounter(4)
>>> counter.add(np.float32([2.5, 0, 2]) + np.float32(counter.origin))
>>> counter.counts.tolist()
[1, 0, 2, 0]
"""

import mmap
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

try:
    from scipy.sparse._sparsetools import csc_matvec
except ImportError:  # no public part of scipy: it may move
    csc_matvec = None

Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]

# The largest count of 16 bits.
_MOST = 2**16 - 1
_ONES = np.ones(_MOST, np.uint16)
# So many patterns are read as indices at once.
_PIECE = 2**15


class Counter(Protocol):
    """How often each number below some size came; ``origin`` must have been added to all."""

    origin: float

    def clear(self, room: int) -> None:
        """Begin anew, with room for so many numbers."""

    def add(self, numbers: Numbers) -> None:
        """Count a flat array, which is used up."""

    @property
    def counts(self) -> Counts:
        """Of all numbers so far; the next change them."""


class _CacheCounter:
    """Counts numbers as they come, in the processor's cache.

    ``torch.bincount`` adds to counts of 64 bits, which leave the nearest cache, and takes twice as
    long where the numbers are spread over 32,768. Here counts are of 16 bits, emptied in time: the
    largest says how many more numbers may come before the next look at it. What adds is the product
    of a sparse matrix of ones, whose row indices are the numbers, with a vector. It does not look
    where it writes: ``everything`` has a count for all that can come, of which those from ``first``
    on are asked for.
    """

    def __init__(self, everything: npt.NDArray[np.uint16], first: int, size: int) -> None:
        self._everything, self._first = everything, first
        self._few = everything[first : first + size]
        self._many: Counts = np.zeros(size, np.int64)
        self._ends = np.zeros(2, np.int32)
        self._left = _MOST

    def clear(self, room: int) -> None:
        self._few[:] = self._many[:] = 0
        self._left = _MOST

    def _count(self, index: npt.NDArray[np.int32]) -> None:
        """Count indices of ``everything``."""
        ends, everything, few, start = self._ends, self._everything, self._few, 0
        while start < len(index):
            if not self._left:
                self._left = _MOST - int(np.maximum.reduce(few))
                if self._left < _MOST // 2:
                    self._empty()
            piece = index[start : start + self._left]
            start += len(piece)
            self._left -= len(piece)
            if csc_matvec is None:
                asked = piece - self._first
                asked = asked[(asked >= 0) & (asked < len(few))]
                few += np.bincount(asked, minlength=len(few)).astype(np.uint16)
            else:
                ends[1] = len(piece)
                csc_matvec(len(everything), 1, ends, piece, _ONES, _ONES, everything)

    def _empty(self) -> None:
        self._many += self._few
        self._few[:] = 0
        self._left = _MOST

    @property
    def counts(self) -> Counts:
        self._empty()
        return self._many


class FloatCounter(_CacheCounter):
    """Counts floats without their fraction; those out of range, and nan, are left out.

    With ``origin`` added, a power of two, the leading bits of a float32 tell the numbers apart:
    sign, exponent and some of the fraction. Whatever floats come, there is a count for each such
    pattern. Memory of those that never come is not taken: the system gives it when it is written.
    """

    def __init__(self, size: int) -> None:
        places = (size - 1).bit_length()
        self.origin = 2.0**places
        self._dropped = 23 - places
        everything = np.frombuffer(mmap.mmap(-1, 2 << 9 + places), np.uint16)
        super().__init__(everything, (127 + places) << places, size)

    def add(self, numbers: Numbers) -> None:
        if numbers.itemsize != 4:
            numbers = numbers.astype(np.float32)
        bits = numbers.view(np.uint32)
        np.right_shift(bits, self._dropped, out=bits)
        self._count(bits.view(np.int32))


class PatternCounter(_CacheCounter):
    """Counts the patterns of 16 bits, given as uint16."""

    origin = 0.0

    def __init__(self) -> None:
        super().__init__(np.zeros(2**16, np.uint16), 0, 2**16)

    def add(self, numbers: Numbers) -> None:
        for start in range(0, len(numbers), _PIECE):
            self._count(numbers[start : start + _PIECE].astype(np.int32))


class LateCounter:
    """A counter for one of several threads: it keeps the numbers, and counts them at once.

    A call of the others may wait for the interpreter's lock, and they make many. Floats are counted
    without their fraction; if some are out of range, the counts are of no use.
    """

    origin = 0.0

    def __init__(self, size: int) -> None:
        self._size = size
        self._index: Numbers = np.empty(0, np.int16 if size <= 2**15 else np.int32)
        self._taken = 0

    def clear(self, room: int) -> None:
        if len(self._index) < room:
            self._index = np.empty(room, self._index.dtype)
        self._taken = 0

    def add(self, numbers: Numbers) -> None:
        at, self._taken = self._taken, self._taken + len(numbers)
        np.copyto(self._index[at : self._taken], numbers, casting="unsafe")

    @property
    def counts(self) -> Counts:
        index = torch.from_numpy(self._index[: self._taken])
        return torch.bincount(index, minlength=self._size).numpy()
