"""Singular values, on one thread: by the Gram matrix in float64, and as torch has them."""

import torch

from benchmarks.table import Row, ms, side_by_side, threads
from initcore.spectrum import singular_values


def _matrix(rows: int, columns: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.nn.init.xavier_normal_(torch.empty(rows, columns), generator=generator)


def svdvals_to_singular_values(quick: bool) -> Row:
    (rows, columns), rounds = ((512, 2048), 5) if quick else ((1024, 4096), 15)
    matrix = _matrix(rows, columns)
    with threads(1):
        theirs, mine, ratio = side_by_side(
            lambda: torch.linalg.svdvals(matrix), lambda: singular_values(matrix), rounds
        )
    name = f"svdvals in float32 ÷ singular values, {rows} × {columns}"
    return Row(name, ms(mine), ms(theirs), ratio, must=3, aim=5, more_is_better=True)


def smallest_error(quick: bool) -> Row:
    rows, columns = (512, 2048) if quick else (1024, 4096)
    matrix = _matrix(rows, columns)
    exact = torch.linalg.svdvals(matrix.double())
    error = abs(float(singular_values(matrix)[-1]) - float(exact[-1])) / float(exact[0])
    name = f"error of the smallest singular value ÷ the largest, {rows} × {columns}"
    return Row(name, f"{error:.1e}", "svdvals, float64", error, must=1e-8, unit="")


ROWS = (svdvals_to_singular_values, smallest_error)
