"""Measuring a matrix that is held in memory, on one thread."""

import math

import numpy as np
import torch
from scipy import stats

from benchmarks.table import Row, ms, side_by_side, threads
from initcore.fit import ks_bracket
from initcore.laws import Uniform
from initcore.measure import Heat, grid_for, measure
from initcore.report import HEAT_SIDE


def _matrix(side: int) -> tuple[torch.Tensor, float]:
    """A square matrix after ``xavier_uniform_``, and its bound."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.nn.init.xavier_uniform_(torch.empty(side, side), generator=generator)
    return matrix, math.sqrt(6 / (2 * side))


def measurement_to_sampling(quick: bool) -> Row:
    side, rounds = (2048, 5) if quick else (4096, 31)
    matrix, bound = _matrix(side)
    target, generator = torch.empty_like(matrix), torch.Generator()

    def ours() -> None:
        grid = grid_for(Uniform(-bound, bound), matrix.numel(), "float32", bound)
        measure(matrix, grid, heat=Heat.empty((side, side), HEAT_SIDE))

    def peer() -> None:
        torch.nn.init.xavier_uniform_(target, generator=generator)

    with threads(1):
        mine, theirs, ratio = side_by_side(ours, peer, rounds)
    name = f"exact measurement with heat map ÷ xavier_uniform_, {side}²"
    return Row(name, ms(mine), ms(theirs), ratio, must=0.80, aim=0.60)


def scipy_to_measurement(quick: bool) -> Row:
    side, rounds = (1024, 2) if quick else (4096, 15)
    matrix, bound = _matrix(side)
    law = Uniform(-bound, bound)

    def ours() -> None:
        ks_bracket(measure(matrix, grid_for(law, matrix.numel(), "float32")), law)

    def peer() -> None:
        values = matrix.numpy().ravel()
        stats.describe(values)
        stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf)
        np.histogram(values, bins=100)
        np.percentile(values, [1, 25, 50, 75, 99])

    with threads(1):
        theirs, mine, ratio = side_by_side(peer, ours, rounds)
    name = f"scipy and numpy ÷ measurement with KS bracket, {side}²"
    return Row(name, ms(mine), ms(theirs), ratio, must=60, aim=100, more_is_better=True)


ROWS = (measurement_to_sampling, scipy_to_measurement)
