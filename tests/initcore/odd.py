"""Whatever tensor comes: a strategy for patterns, draws, mixtures and faults, in every dtype."""

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from initcore.draw import DTYPES

# Each of (rows, columns, generator).
PATTERNS = {
    "ones beside a diagonal": lambda n, c, g: 1 - torch.eye(n, c),
    "triangle": lambda n, c, g: torch.tril(torch.ones(n, c)),
    "permutation": lambda n, c, g: torch.eye(max(n, c))[torch.randperm(max(n, c), generator=g)],
    "chess board": lambda n, c, g: (torch.arange(n)[:, None] + torch.arange(c)) % 2.0,
    "sines": lambda n, c, g: torch.sin(torch.arange(n)[:, None] * torch.exp(-torch.arange(c) / 3)),
    "in order": lambda n, c, g: torch.arange(n * c).reshape(n, c).float(),
    "few whole numbers": lambda n, c, g: torch.randint(-2, 3, (n, c), generator=g).float(),
    "rank one": lambda n, c, g: torch.outer(normal(n, generator=g), normal(c, generator=g)),
    "one row": lambda n, c, g: normal(1, c, generator=g).expand(n, c).clone(),
    "sorted": lambda n, c, g: normal(n, c, generator=g).sort(0).values,
    "normal": lambda n, c, g: normal(n, c, generator=g),
    "kernels": lambda n, c, g: normal(n, c, 2, 3, generator=g),
    "uniform": lambda n, c, g: torch.rand(n, c, generator=g),
    "sparse": lambda n, c, g: normal(n, c, generator=g) * (torch.rand(n, c, generator=g) < 0.3),
    "clamped": lambda n, c, g: normal(n, c, generator=g).clamp(-0.5, 0.5),
    "signs": lambda n, c, g: torch.where(torch.rand(n, c, generator=g) < 0.5, 1.0, -1.0),
    "two scales": lambda n, c, g: normal(n, c, generator=g) * (1 + 2 * (torch.arange(c) % 2)),
    "nans": lambda n, c, g: spoilt(normal(n, c, generator=g), math.nan, g),
    "infinities": lambda n, c, g: spoilt(normal(n, c, generator=g), -math.inf, g),
    "constant": lambda n, c, g: torch.full((n, c), 0.1),
    "one of a kind": lambda n, c, g: spoilt(torch.zeros(n, c), 1.0, g, share=1 / (n * c)),
}
SIZES = (1, 2, 3, 4, 5, 7, 8, 16, 17, 31, 33, 64, 100, 200)


def normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def spoilt(x: Tensor, value: float, generator: torch.Generator, share: float = 0.2) -> Tensor:
    return torch.where(torch.rand(x.shape, generator=generator) < share, value, x)


@st.composite
def tensors(choose):
    """Any pattern of any size, scaled, moved, rounded, turned or laid flat."""
    generator = torch.Generator().manual_seed(choose(st.integers(0, 10_000)))
    rows, columns = choose(st.sampled_from(SIZES)), choose(st.sampled_from(SIZES))
    x = PATTERNS[choose(st.sampled_from(sorted(PATTERNS)))](rows, columns, generator)
    scale = choose(st.sampled_from([1.0, 0.02, 1e-8, 1e4, 1e-40, 1e20]))
    moved = choose(st.sampled_from([0.0, 0.0, 1.0, -0.5, 1e3]))
    x = (x * scale + moved).to(DTYPES[choose(st.sampled_from(sorted(DTYPES)))])
    return choose(st.sampled_from([x, x.transpose(0, 1), x.flatten()]))
