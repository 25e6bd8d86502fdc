"""Problems: small data sets to train a small network on, each made in milliseconds from a seed.

>>> data = load("digits")
>>> data.train.inputs.shape, data.test.inputs.shape, data.classes
(torch.Size([1438, 64]), torch.Size([359, 64]), 10)

All are classification, so that one loss and one accuracy serve for each. A problem is split at
random, a fifth for testing, and standardised: from each feature its mean over the training inputs
is subtracted, and all are divided by one number, after which the mean square of the training inputs
is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from initcore.draw import MAX_SEED
from initcore.errors import InitError

_TEST_SHARE = 0.2
_DIGITS = files("initcore") / "data" / "digits.npz"


@dataclass(frozen=True)
class Part:
    """Examples: ``inputs`` (count, features) float32, ``labels`` (count,) int64."""

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Data:
    """A problem, split and standardised; ``classes`` is the number of labels."""

    train: Part
    test: Part
    classes: int

    @property
    def features(self) -> int:
        return self.train.inputs.shape[1]


@dataclass(frozen=True)
class Problem:
    """A row of ``PROBLEMS``. ``make`` gives all examples, as they are, from a seed."""

    slug: str
    title: str
    about: str
    source: str
    make: Callable[[int], Part]


def digits() -> Part:
    """The 1,797 handwritten digits of 8 × 8 pixels, each 0 to 16, in the order of the file.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, test set, UCI
    Machine Learning Repository 1998, CC BY 4.0.
    """
    with _DIGITS.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        pixels, labels = arrays["pixels"], arrays["labels"]
    return Part(torch.from_numpy(pixels).float(), torch.from_numpy(labels).long())


def spirals(seed: int, *, arms: int = 3, noise: float = 0.15, count: int = 1500) -> Part:
    """Points on ``arms`` spirals of one turn and radius 1 in the plane; the label is the arm.

    Both coordinates get normal noise, whose std is ``noise`` times the distance of neighbouring
    arms, 1/arms. Raises InitError for fewer than 2 arms or negative noise.
    """
    if arms < 2 or not noise >= 0:
        raise InitError(f"arms = {arms}, noise = {noise}: must be at least 2 and at least 0")
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % arms
    # The root spreads the points evenly along the arm's area, not crowded in the middle.
    radius = torch.rand(count, generator=generator).sqrt()
    angle = 2 * math.pi * (radius + labels / arms)
    points = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    shift = torch.randn(count, 2, generator=generator)
    return Part(points + noise / arms * shift, labels)


def teacher(
    seed: int, *, features: int = 16, width: int = 32, classes: int = 4, count: int = 2000
) -> Part:
    """Normal inputs, labelled by a random network: the largest of its outputs.

    The teacher has one hidden tanh layer of ``width`` with weights N(0, 4/features), then
    N(0, 1/width); its outputs are standardised over the inputs, so that classes are about equal.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, features, generator=generator)
    first = torch.randn(features, width, generator=generator) * 2 / math.sqrt(features)
    second = torch.randn(width, classes, generator=generator) / math.sqrt(width)
    outputs = torch.tanh(inputs @ first) @ second
    outputs = (outputs - outputs.mean(0)) / outputs.std(0)
    return Part(inputs, outputs.argmax(1))


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "digits",
        "Handwritten digits",
        "1,797 digits of 8 × 8 pixels, 10 classes",
        "Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI, CC BY 4.0",
        lambda seed: digits(),
    ),
    Problem(
        "spirals",
        "Spirals",
        "1,500 points in the plane on 3 interleaved spiral arms with noise, 3 classes",
        "made from the seed",
        lambda seed: spirals(seed),
    ),
    Problem(
        "teacher",
        "Teacher network",
        "2,000 normal inputs of 16 features, labelled by a random tanh network, 4 classes",
        "made from the seed",
        lambda seed: teacher(seed),
    ),
)


def get_problem(slug: str) -> Problem:
    """The row of ``PROBLEMS`` with this slug; raises InitError naming the allowed ones."""
    for problem in PROBLEMS:
        if problem.slug == slug:
            return problem
    allowed = ", ".join(problem.slug for problem in PROBLEMS)
    raise InitError(f"problem {slug!r} is not one of: {allowed}")


@lru_cache(maxsize=4)  # each holds at most half a megabyte
def load(slug: str, seed: int = 0) -> Data:
    """A problem, split and standardised (see the module's head); the seed also decides the split.

    Raises InitError for an unknown problem, or a seed that is out of range.
    """
    if not 0 <= seed <= MAX_SEED:
        raise InitError(f"seed = {seed}: must be at least 0 and at most {MAX_SEED}")
    whole = get_problem(slug).make(seed)
    count = len(whole.labels)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    for_test, for_train = order.tensor_split([round(_TEST_SHARE * count)])
    centred = whole.inputs - whole.inputs[for_train].mean(0)
    inputs = centred / centred[for_train].square().mean().sqrt()
    return Data(
        Part(inputs[for_train], whole.labels[for_train]),
        Part(inputs[for_test], whole.labels[for_test]),
        int(whole.labels.max()) + 1,
    )
