"""How often ``identify`` is right: ``python -m benchmarks.confusion [--quick]`` prints the tables.

Fresh tensors of every scheme, over shapes and dtypes, and weights of small MLPs after training. All
cases are seeded. ``docs/identify.md`` holds its output: ``python -m benchmarks.confusion >
docs/identify.md`` makes it anew.
"""

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initcore.draw import DTYPES, Spec, draw_spec
from initcore.errors import InitError
from initcore.identify import CERTAIN, Identification, identify
from initcore.laws import Law
from initcore.layers import Layer
from initcore.schemes import Init

# --- fresh tensors ------------------------------------------------------------------------------

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
    seed = 0
    for _ in range(rounds):
        for layer in LAYERS:
            for family, init in INITS:
                for dtype in DTYPES:
                    seed += 1
                    try:
                        Spec(layer, init, seed=seed)
                    except InitError:
                        continue  # a scheme that the layer's rank does not allow
                    yield Case(family, init, layer, dtype, seed)


def holds(found: Identification, case: Case) -> bool:
    """Whether the true scheme, with a law that is the true one but for chance, is in the set."""
    law = case.law
    for candidate in found.schemes:
        if candidate.scheme != case.init.slug:
            continue
        near = 0.01 + (4 * candidate.error if candidate.error == candidate.error else 0.0)
        if abs(candidate.law.std - law.std) <= near * law.std:
            return True
    return False


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
WIDTHS = (20, 64, 96, 10)


@dataclass(frozen=True)
class Trained:
    """A weight after training, and how far it moved: ‖W − W₀‖ ÷ ‖W₀‖."""

    init: Init
    optimiser: str
    layer: Layer
    weight: Tensor
    moved: float


def train(init: Init, optimiser: str, seed: int, steps: int = 300) -> Iterator[Trained]:
    """Train an MLP to tell ten classes, those of a random teacher, apart; yield its weights."""
    g = torch.Generator().manual_seed(seed)
    layers = [Layer("linear", pair) for pair in zip(WIDTHS[:-1], WIDTHS[1:], strict=True)]
    drawn = [draw_spec(Spec(layer, init, seed=seed + i)) for i, layer in enumerate(layers)]
    weights = [d.weight.clone().requires_grad_() for d in drawn]
    biases = [d.bias.clone().requires_grad_() for d in drawn if d.bias is not None]
    teacher = torch.randn(WIDTHS[0], WIDTHS[-1], generator=g)
    x = torch.randn(2048, WIDTHS[0], generator=g)
    y = (x @ teacher).tanh().add(0.3 * torch.randn(2048, 10, generator=g)).argmax(1)
    stepper = OPTIMISERS[optimiser]([*weights, *biases])
    for _ in range(steps):
        batch = torch.randint(len(x), (64,), generator=g)
        h = x[batch]
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = nn.functional.linear(h if i == 0 else h.relu(), w, b)
        stepper.zero_grad()
        nn.functional.cross_entropy(h, y[batch]).backward()
        stepper.step()
    for layer, before, after in zip(layers, drawn, weights, strict=True):
        moved = float((after.detach() - before.weight).norm() / before.weight.norm())
        yield Trained(init, optimiser, layer, after.detach(), moved)


# --- the tables ---------------------------------------------------------------------------------


def table(headings: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    print("|", " | ".join(headings), "|")
    print("|", " | ".join("---" for _ in headings), "|")
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row), "|")
    print()


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} % ({part:,} of {whole:,})" if whole else "none"


def fresh(rounds: int) -> None:
    large, small = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    total = held = nones = 0
    sizes = []
    misses = []
    for case in cases(rounds):
        found = identify(case.tensor(), case.layer)
        is_large = case.layer.count >= CERTAIN
        (large if is_large else small)[case.family, found.family] += 1
        inside = holds(found, case)
        total, held = total + 1, held + inside
        nones += found.family == "none"
        if is_large and found.family == case.family:
            sizes.append(len(found.schemes))
        if not inside or (is_large and found.family != case.family):
            misses.append((case, found))
    for name, counts in ((f"{CERTAIN:,} values and more", large), ("fewer values", small)):
        print(f"### Fresh tensors of {name}\n")
        families = sorted({a for a, _ in counts})
        columns = sorted({b for _, b in counts})
        table(
            ("true ↓ found →", *columns),
            [(f, *(counts[f, c] or "" for c in columns)) for f in families],
        )
    right = sum(count for (a, b), count in large.items() if a == b)
    print("### Totals of the fresh tensors\n")
    table(
        ("figure", "measured", "wanted"),
        [
            ("cases", f"{total:,}", "≥ 2,000"),
            (
                f"family right, {CERTAIN:,} values and more",
                share(right, sum(large.values())),
                "≥ 99.5 %",
            ),
            ("the true scheme in the set", share(held, total), "≥ 99.5 %"),
            ("median size of the set where the family is told", statistics.median(sizes), "≤ 3"),
            ("called “none”", share(nones, total), "≤ 0.1 %"),
        ],
    )
    for case, found in misses:
        print(
            case.init.slug,
            dict(case.init.params),
            case.layer.code,
            case.dtype,
            case.seed,
            "→",
            found.family,
            [c.label for c in found.schemes[:3]],
            found.notes,
            file=sys.stderr,
        )


def trained(seeds: int) -> None:
    weights = [
        weight
        for seed in range(seeds)
        for init in TRAINED_FROM
        for name in OPTIMISERS
        for weight in train(init, name, 1000 * seed)
    ]
    seen = [identify(w.weight, w.layer).family in ("none", "mixture") for w in weights]
    print("### Weights after training\n")
    rows: list[tuple[object, ...]] = []

    def row(name: str, chosen: list[int]) -> None:
        rows.append((name, share(sum(seen[i] for i in chosen), len(chosen))))

    everything = range(len(weights))
    row("all", list(everything))
    for name in OPTIMISERS:
        row(name, [i for i in everything if weights[i].optimiser == name])
    for init in TRAINED_FROM:
        row(f"from {init.slug}", [i for i in everything if weights[i].init is init])
    for layer in dict.fromkeys(w.layer for w in weights):
        row(layer.code, [i for i in everything if weights[i].layer == layer])
    for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.5), (0.5, 99)):
        name = f"moved by {low:g} to {high:g} of its length"
        row(name, [i for i in everything if low <= weights[i].moved < high])
    table(("weights", "recognised as no longer at init"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confusion", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    quick = parser.parse_args().quick
    fresh(1 if quick else 4)
    trained(1 if quick else 4)


if __name__ == "__main__":
    main()
