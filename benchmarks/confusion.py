"""How often ``identify`` is right: ``python -m benchmarks.confusion [--quick]`` prints the tables.

Fresh tensors of every scheme, over shapes and dtypes, and weights of small MLPs after training. All
cases are seeded. ``docs/identify.md`` is its output.
"""

import argparse
import itertools
import math
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from initcore.draw import DTYPES, Spec, draw_spec
from initcore.errors import InitError
from initcore.identify import CERTAIN, Identification, identify
from initcore.laws import Law, Normal
from initcore.layers import Layer
from initcore.schemes import Init

# --- fresh tensors ------------------------------------------------------------------------------

# Shapes from 25 values to a million, square and not, grouped and transposed.
LAYERS = (
    Layer("linear", (5, 5)),
    Layer("linear", (16, 8)),
    Layer("linear", (10, 100)),
    Layer("linear", (64, 64)),
    Layer("linear", (300, 100)),
    Layer("linear", (128, 512)),
    Layer("linear", (768, 2304)),
    Layer("linear", (1024, 1024)),
    Layer("conv1d", (16, 32, 5)),
    Layer("conv2d", (3, 16, 3)),
    Layer("conv2d", (64, 128, 3)),
    Layer("conv2d", (64, 64, 3), groups=64),
    Layer("conv3d", (8, 16, 3)),
    Layer("conv_transpose2d", (32, 64, 4)),
    Layer("embedding", (1000, 64)),
    Layer("embedding", (5000, 128)),
)

RELU = {"nonlinearity": "relu"}
INITS = (
    ("uniform", Init("default")),
    ("uniform", Init("xavier_uniform")),
    ("normal", Init("xavier_normal")),
    ("uniform", Init("xavier_uniform", {"gain": 5 / 3})),
    ("uniform", Init("kaiming_uniform", RELU)),
    ("normal", Init("kaiming_normal", RELU)),
    ("normal", Init("kaiming_normal", {**RELU, "mode": "fan_out"})),
    ("uniform", Init("lecun_uniform")),
    ("normal", Init("lecun_normal")),
    ("orthogonal", Init("orthogonal")),
    ("orthogonal", Init("orthogonal", {"gain": 2**0.5})),
    ("normal", Init("normal", {"std": 0.02})),
    ("normal", Init("normal", {"std": 0.0137})),
    ("uniform", Init("uniform", {"a": -0.05, "b": 0.05})),
    ("uniform", Init("uniform", {"a": 0.0, "b": 0.37})),
    ("truncated_normal", Init("trunc_normal", {"std": 0.02, "a": -0.04, "b": 0.04})),
    ("truncated_normal", Init("trunc_normal", {"std": 1.0, "a": -3.0, "b": 3.0})),
    ("truncated_normal", Init("trunc_normal", {"std": 0.02, "a": -0.01, "b": 0.05})),
    ("normal", Init("trunc_normal", {"std": 0.02})),
    ("sparse", Init("sparse")),
    ("sparse", Init("sparse", {"sparsity": 0.9, "std": 1.0})),
    ("zeros", Init("zeros")),
    ("ones", Init("ones")),
    ("constant", Init("constant", {"val": 0.1})),
    ("eye", Init("eye")),
    ("dirac", Init("dirac")),
)


@dataclass(frozen=True)
class Case:
    """A fresh tensor with what it is."""

    family: str
    init: Init
    layer: Layer
    dtype: str
    seed: int

    def tensor(self) -> Tensor:
        # orthogonal_ has no 16-bit version: such weights are drawn in float32 and converted.
        half = DTYPES[self.dtype].itemsize == 2 and self.init.slug == "orthogonal"
        drawn = "float32" if half else self.dtype
        weight = draw_spec(Spec(self.layer, self.init, seed=self.seed, dtype=drawn)).weight
        return weight.to(DTYPES[self.dtype])

    @property
    def law(self) -> Law:
        return self.init.law(Spec(self.layer, self.init).slot("weight"))


def cases(rounds: int) -> Iterator[Case]:
    """Every scheme on every layer that it can fill, in every dtype."""
    seed = 0
    for _, layer, (family, init), dtype in itertools.product(range(rounds), LAYERS, INITS, DTYPES):
        seed += 1
        try:
            law = init.law(Spec(layer, init).slot("weight"))
        except InitError:
            continue  # the layer's rank does not allow the scheme
        if init.slug == "sparse" and law.is_discrete:
            continue  # so few rows that all are zeros
        if init.slug == "default" and isinstance(law, Normal):
            family = "normal"  # an embedding's
        yield Case(family, init, layer, dtype, seed)


def holds(found: Identification, case: Case) -> bool:
    """Whether the true scheme, with a law that is the true one but for chance, is in the set.

    A scheme of free parameters may also be held by the family's own, as read off the values.
    """
    law = case.law
    for candidate in found.schemes:
        error = 0.0 if math.isnan(candidate.error) else candidate.error
        if candidate.scheme == case.init.slug and _near(candidate.law.std, law.std, error):
            return True
    params = found.params
    if case.init.slug == "uniform" and "a" in params and "b" in params:
        width = (params["b"].value - params["a"].value) / math.sqrt(12)
        return _near(width, law.std, params["b"].error / law.std)
    if case.init.slug == "normal" and "std" in params:
        return _near(params["std"].value, law.std, params["std"].error / law.std)
    return False


def _near(found: float, true: float, error: float) -> bool:
    return abs(found - true) <= (0.01 + 4.5 * error) * true


# --- trained weights ----------------------------------------------------------------------------

TRAINED_FROM = (
    Init("default"),
    Init("xavier_uniform"),
    Init("xavier_normal"),
    Init("kaiming_uniform", RELU),
    Init("kaiming_normal", RELU),
    Init("orthogonal"),
    Init("trunc_normal", {"std": 0.05, "a": -0.1, "b": 0.1}),
)
OPTIMISERS = {
    "SGD 0.1": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD 0.05, momentum 0.9": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam 0.001": lambda p: torch.optim.Adam(p, lr=1e-3),
    "Adam 0.005": lambda p: torch.optim.Adam(p, lr=5e-3),
    "AdamW 0.001, decay 0.1": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
}
Task = Callable[[torch.Generator], tuple[Tensor, Tensor]]
WIDTHS = (64, 128, 96, 10)
STEPS = 400


def clusters(g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ten clusters in 64 dimensions: so easy that little has to be learnt."""
    centres, y = torch.randn(10, 64, generator=g), torch.randint(10, (2048,), generator=g)
    return centres[y] + torch.randn(2048, 64, generator=g), y


def images(g: torch.Generator) -> tuple[Tensor, Tensor]:
    """64 correlated pixels of 12 hidden factors, which decide the class."""
    hidden = torch.randn(2048, 12, generator=g)
    x = (hidden @ torch.randn(12, 64, generator=g) / 3.5).sigmoid()
    return (x - x.mean()) / x.std(), (hidden @ torch.randn(12, 10, generator=g)).argmax(1)


def teacher(g: torch.Generator) -> tuple[Tensor, Tensor]:
    """White noise, classed by a random network: no direction of the input is special."""
    x = torch.randn(2048, 64, generator=g)
    hidden = (x @ torch.randn(64, 32, generator=g) / 8).tanh()
    return x, (hidden @ torch.randn(32, 10, generator=g)).argmax(1)


TASKS = (clusters, images, teacher)


@dataclass(frozen=True)
class Trained:
    """A weight after training, and how far it moved: ‖W − W₀‖ ÷ ‖W₀‖."""

    task: str
    init: Init
    optimiser: str
    layer: Layer
    weight: Tensor
    moved: float


def train(task: Task, init: Init, optimiser: str, seed: int) -> Iterator[Trained]:
    """Train a ReLU MLP for ``STEPS`` batches of 64; yield its weights."""
    g = torch.Generator().manual_seed(seed)
    x, y = task(g)
    layers = [Layer("linear", pair) for pair in itertools.pairwise(WIDTHS)]
    drawn = [draw_spec(Spec(layer, init, seed=seed + i)) for i, layer in enumerate(layers)]
    weights = [d.weight.clone().requires_grad_() for d in drawn]
    biases = [d.bias.clone().requires_grad_() for d in drawn if d.bias is not None]
    stepper = OPTIMISERS[optimiser]([*weights, *biases])
    for _ in range(STEPS):
        batch = torch.randint(len(x), (64,), generator=g)
        h = x[batch]
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = nn.functional.linear(h.relu() if i else h, w, b)
        stepper.zero_grad()
        nn.functional.cross_entropy(h, y[batch]).backward()
        stepper.step()
    for layer, before, after in zip(layers, drawn, weights, strict=True):
        weight = after.detach()
        moved = float((weight - before.weight).norm() / before.weight.norm())
        yield Trained(task.__name__, init, optimiser, layer, weight, moved)


# --- the tables ---------------------------------------------------------------------------------


def table(headings: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    print("|", " | ".join(headings), "|")
    print("|", " | ".join("---" for _ in headings), "|")
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row), "|")
    print()


# Families whose bits tell torch's own draws.
DRAWN = ("uniform", "normal", "truncated_normal")


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} % ({part:,} of {whole:,})" if whole else "none"


def confusion(counts: Counter[tuple[str, str]]) -> None:
    families, columns = sorted({a for a, _ in counts}), sorted({b for _, b in counts})
    rows = [(f, *(counts[f, c] or "" for c in columns)) for f in families]
    table(("true ↓ found →", *columns), rows)


def fresh(rounds: int) -> None:
    large, small = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    held: list[bool] = []
    sizes: list[int] = []
    drawn = Counter[bool | None]()
    for case in cases(rounds):
        found = identify(case.tensor(), case.layer)
        held.append(holds(found, case))
        is_large, right = case.layer.count >= CERTAIN, found.family == case.family
        (large if is_large else small)[case.family, found.family] += 1
        if is_large and right:
            sizes.append(len(found.schemes))
        if case.dtype == "float32" and case.family in DRAWN:
            drawn[found.torch_draw] += 1
        if not held[-1] or (is_large and not right) or found.family == "none":
            labels = ", ".join(c.label for c in found.schemes[:3])
            params = dict(case.init.params)
            print(case.init.slug, params, case.layer.code, case.dtype, file=sys.stderr, end=" ")
            print(f"seed {case.seed} → {found.family}: {labels} {found.notes}", file=sys.stderr)
    print(f"## Fresh tensors of {CERTAIN:,} values and more\n")
    confusion(large)
    print("## Fresh tensors of fewer values\n")
    confusion(small)
    right = sum(count for (a, b), count in large.items() if a == b)
    none = sum(count for (_, b), count in (large + small).items() if b == "none")
    print("## Totals of the fresh tensors\n")
    rows: list[tuple[object, ...]] = [
        ("cases", f"{len(held):,}", "≥ 2,000"),
        (f"family right at {CERTAIN:,} values", share(right, sum(large.values())), "≥ 99.5 %"),
        ("the true scheme in the set", share(sum(held), len(held)), "≥ 99.5 %"),
        ("median size of the set where the family is told", statistics.median(sizes), "≤ 3"),
        ("called none", share(none, len(held)), "≤ 0.1 %"),
        ("seen to be a draw of torch's", share(drawn[True], sum(drawn.values())), "–"),
        ("mistaken for no draw of torch's", share(drawn[False], sum(drawn.values())), "none"),
    ]
    table(("figure", "measured", "wanted"), rows)


def elsewhere(rounds: int) -> None:
    """Normals of another generator than torch's: fresh, and no draw of torch's."""
    counts = Counter[tuple[bool, bool | None]]()
    generator = np.random.default_rng(0)
    for _, (fan_in, fan_out) in itertools.product(range(rounds), itertools.pairwise(WIDTHS)):
        values = generator.standard_normal((fan_out, fan_in)) * math.sqrt(2 / fan_in)
        found = identify(torch.from_numpy(values.astype(np.float32)))
        counts[found.family == "none", found.torch_draw] += 1
    total = sum(counts.values())
    rows: list[tuple[object, ...]] = [
        ("called none", share(sum(n for (none, _), n in counts.items() if none), total), "≤ 0.1 %"),
        ("mistaken for a draw of torch's", share(counts[False, True], total), "none"),
    ]
    print("## Fresh normals of another generator\n")
    table(("figure", "measured", "wanted"), rows)


def trained(seeds: int) -> None:
    runs = itertools.product(range(seeds), TASKS, TRAINED_FROM, OPTIMISERS)
    weights = [
        weight
        for number, (_, task, init, name) in enumerate(runs)
        for weight in train(task, init, name, 100 * number)
    ]
    found = {id(w): identify(w.weight, w.layer) for w in weights}
    seen = {key: one.family in ("none", "mixture", "garbage") for key, one in found.items()}
    known = {key: seen[key] or one.torch_draw is False for key, one in found.items()}

    def row(name: str, chosen: Callable[[Trained], bool]) -> tuple[object, ...]:
        cells = []
        for enough, told in itertools.product((True, False), (seen, known)):
            group = [w for w in weights if chosen(w) and (w.layer.count >= CERTAIN) == enough]
            cells.append(share(sum(told[id(w)] for w in group), len(group)))
        return name, *cells

    rows = [row("all (wanted: ≥ 95 %)", lambda w: True)]
    for low, high in itertools.pairwise((0, 0.1, 0.2, 0.3, 0.5, math.inf)):
        end = f"to {high:g}" if high < math.inf else "and more"
        rows.append(row(f"moved by {low:g} {end}", lambda w, a=low, b=high: a <= w.moved < b))
    rows += [row(task.__name__, lambda w, t=task: w.task == t.__name__) for task in TASKS]
    rows += [row(name, lambda w, n=name: w.optimiser == n) for name in OPTIMISERS]
    rows += [row(f"from {init.slug}", lambda w, i=init: w.init is i) for init in TRAINED_FROM]
    print("## Weights after training\n")
    by = ("by the law", "by the law or the bits")
    sizes = (f"{CERTAIN:,} values and more", "960 values")
    heads = [f"{size}, {how}" for size, how in itertools.product(sizes, by)]
    table(("recognised as no longer at init", *heads), rows)


INTRODUCTION = f"""# How often `identify` is right

Made by `python -m benchmarks.confusion > docs/identify.md`; every case is seeded.

`identify(tensor, layer)` names a family (uniform, normal, orthogonal, …) and the schemes whose law,
at the layer's fans, is consistent with the values. The tables count its answers: first on fresh
tensors of each scheme, over shapes of 25 to {max(layer.count for layer in LAYERS):,} values and
four dtypes, then on the weights of ReLU networks of widths {", ".join(map(str, WIDTHS))} after
{STEPS} steps of training on three synthetic tasks; “moved” is ‖W − W₀‖ ÷ ‖W₀‖. A weight is
recognised by its law when it is called none or a mixture. A normal to which training has added
little, in no special direction, is still a normal, and no test of its law can tell. Its bits can:
torch's generators draw from lattices (`initcore.grain`), which the smallest step leaves. Another
library's draws are on none, though, nor can small normals drawn on a GPU be known, which is why
bits alone make no weight “none”: `identify` then leaves open which of the two it is, unless there
is evidence of the other kind.

The true scheme counts as in the set when a candidate of its name has its std within chance and 1 %,
or, for schemes of free parameters, when the family's own parameters are that near.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confusion", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)  # many small tensors
    print(INTRODUCTION)
    fresh(1 if quick else 2)
    elsewhere(200 if quick else 2000)
    trained(1 if quick else 4)


if __name__ == "__main__":
    main()
