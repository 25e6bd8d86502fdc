"""Counting: how often each of many small numbers came.

>>> counter = Counter(4)
>>> counter.add(np.array([2.5, 0, 2]))
True
>>> counter.counts.tolist()
[1, 0, 2, 0]
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

try:
    from scipy.sparse._sparsetools import csc_matvec
except ImportError:  # no public part of scipy: it may move
    csc_matvec = None

Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]

# As many numbers at once: with so many more, no count that was below half of 16 bits leaves them.
_PIECE = 2**15
_ONES = np.ones(_PIECE, np.int16)


class Counter:
    """How often each number below ``size`` came, counted as they come, in the processor's cache.

    ``torch.bincount`` adds to counts of 64 bits, which leave the nearest cache, and takes twice as
    long where the numbers are spread over 32,768. Here counts are of 16 bits, emptied in time. What
    adds is the product of a sparse matrix of ones, whose row indices are the numbers, with a
    vector.
    """

    def __init__(self, size: int) -> None:
        self._few = np.zeros(size, np.int16)
        self._many: Counts = np.zeros(size, np.int64)
        self._index, self._ends = np.empty(_PIECE, np.int32), np.zeros(2, np.int32)

    def clear(self, room: int = 0) -> None:
        """Begin anew, with room for so many numbers, which this counter does not need."""
        self._few[:] = self._many[:] = 0

    def add(self, numbers: Numbers) -> bool:
        """Count a flat array, floats without their fraction.

        False if a number is out of range, or nan: until cleared the counts are of no use then.
        """
        for start in range(0, len(numbers), _PIECE):
            piece = numbers[start : start + _PIECE]
            index = self._index[: len(piece)]
            np.copyto(index, piece, casting="unsafe")
            # The product does not look where it writes. Negative numbers read as large ones.
            if np.maximum.reduce(index.view(np.uint32)) >= len(self._few):
                return False
            if csc_matvec is None:
                self._many += np.bincount(index, minlength=len(self._few))
                continue
            self._ends[1] = len(piece)
            csc_matvec(len(self._few), 1, self._ends, index, _ONES, _ONES, self._few)
            # Counts of half of what 16 bits hold read as below zero.
            if np.minimum.reduce(self._few) < 0:
                self._empty()
        return True

    def _empty(self) -> None:
        self._many += self._few.view(np.uint16)
        self._few[:] = 0

    @property
    def counts(self) -> Counts:
        """Of all numbers so far; the next change them."""
        self._empty()
        return self._many


class LateCounter(Counter):
    """A counter for one of several threads: it keeps the numbers, and counts them at once.

    A call of the other may wait for the interpreter's lock, and it makes many. Numbers out of range
    are not looked for: the counts are of no use then.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._index: Numbers = np.empty(0, np.int16 if size <= 2**15 else np.int32)
        self._taken = 0

    def clear(self, room: int = 0) -> None:
        if len(self._index) < room:
            self._index = np.empty(room, self._index.dtype)
        self._taken = 0

    def add(self, numbers: Numbers) -> bool:
        at, self._taken = self._taken, self._taken + len(numbers)
        np.copyto(self._index[at : self._taken], numbers, casting="unsafe")
        return True

    @property
    def counts(self) -> Counts:
        index = torch.from_numpy(self._index[: self._taken])
        return torch.bincount(index, minlength=self._size).numpy()
