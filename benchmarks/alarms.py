"""How often an audit of a correct model is a false alarm: ``python -m benchmarks.alarms [--quick]``.

Fresh modules of torch, models of the known families as their own code draws them, and the built-in
models drawn by every recipe that speaks of all their matrices, at three sizes and ten seeds.
``docs/alarms.md`` is its output.
"""

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.confusion import table
from initcore.audit import audit
from initcore.defaults import DEFAULTS
from initcore.draw import torch_seeded
from initcore.findings import Finding
from initcore.models import build_model
from initcore.recipes import RECIPES, Recipe, apply_recipe
from initcore.roles import infer_dims, places
from tests.initcore.families import FAMILIES, Size

SIZES = ("small", "medium", "large")
SEEDS = 10
LARGE = 10**5  # entries that the largest tensor of a large model has at least


@dataclass(frozen=True)
class Instance:
    """A correct model: how to build it from a seed, and the recipe that it follows.

    copies: layers that torch copies, so that they are bit-identical in truth.
    """

    group: str
    name: str
    size: str
    recipe: str
    build: Callable[[int], nn.Module]
    copies: bool = False


# --- modules of torch -----------------------------------------------------------------------------

# By their width; those of which torch makes deep copies stand below.
MODULES: dict[str, Callable[[int], nn.Module]] = {
    "Linear": lambda d: nn.Linear(d, 2 * d),
    "Bilinear": lambda d: nn.Bilinear(d // 4, d // 2, d),
    "Conv1d": lambda d: nn.Conv1d(d, 2 * d, 5),
    "Conv2d": lambda d: nn.Conv2d(d, d, 3),
    "Conv2d, 4 groups": lambda d: nn.Conv2d(d, 2 * d, 3, groups=4),
    "Conv2d, depthwise": lambda d: nn.Conv2d(4 * d, 4 * d, 9, groups=4 * d),
    "Conv3d": lambda d: nn.Conv3d(d // 2, d // 2, 3),
    "ConvTranspose1d": lambda d: nn.ConvTranspose1d(d, 2 * d, 5),
    "ConvTranspose2d": lambda d: nn.ConvTranspose2d(2 * d, d, 4),
    "ConvTranspose3d": lambda d: nn.ConvTranspose3d(d // 2, d // 4, 3),
    "Embedding": lambda d: nn.Embedding(10 * d, d),
    "Embedding, padding": lambda d: nn.Embedding(10 * d, d, padding_idx=0),
    "RNN": lambda d: nn.RNN(d // 2, d),
    "LSTM, two layers, both ways": lambda d: nn.LSTM(d // 2, d, 2, bidirectional=True),
    "LSTM, projected": lambda d: nn.LSTM(d, d, proj_size=d // 2),
    "GRU": lambda d: nn.GRU(d, d),
    "LSTMCell": lambda d: nn.LSTMCell(d, d),
    "MultiheadAttention": lambda d: nn.MultiheadAttention(d, 4),
    "MultiheadAttention, split": lambda d: nn.MultiheadAttention(
        d, 4, kdim=d // 2, vdim=d // 4, add_bias_kv=True
    ),
    "TransformerEncoderLayer": lambda d: nn.TransformerEncoderLayer(d, 4, 2 * d),
    "TransformerDecoderLayer": lambda d: nn.TransformerDecoderLayer(d, 4, 2 * d),
    "LayerNorm": lambda d: nn.LayerNorm((d, d)),
    "RMSNorm": lambda d: nn.RMSNorm(d * d),
    "GroupNorm": lambda d: nn.GroupNorm(4, d * d),
    "BatchNorm2d": lambda d: nn.BatchNorm2d(d * d),
    "PReLU": lambda d: nn.PReLU(d * d),
    "AdaptiveLogSoftmaxWithLoss": lambda d: nn.AdaptiveLogSoftmaxWithLoss(d, 10 * d, [d, 5 * d]),
}
COPIES: dict[str, Callable[[int], nn.Module]] = {
    "TransformerEncoder": lambda d: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(d, 4, 2 * d), 2, enable_nested_tensor=False
    ),
    "TransformerDecoder": lambda d: nn.TransformerDecoder(
        nn.TransformerDecoderLayer(d, 4, 2 * d), 2
    ),
    "Transformer": lambda d: nn.Transformer(d, 4, 2, 2, 2 * d, batch_first=True),
}
WIDTHS = dict(zip(SIZES, (8, 64, 320), strict=True))


def seeded(build: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    """Build under torch's generator, seeded."""

    def at(seed: int) -> nn.Module:
        with torch_seeded(seed):
            return build()

    return at


def torch_modules() -> Iterator[Instance]:
    for default in DEFAULTS:
        copies = default.identical is not None
        yield Instance(
            "defaults", default.code, "the page's", "torch", seeded(default.build), copies
        )
    for name, make in (MODULES | COPIES).items():
        for size, width in WIDTHS.items():
            build = seeded(lambda make=make, width=width: make(width))  # type: ignore[misc]
            # nn.Transformer draws again after the copy, all but the biases.
            yield Instance("modules", name, size, "torch", build, name in COPIES)


# --- families -------------------------------------------------------------------------------------


def family_sizes(build: Callable[[Size], nn.Module]) -> dict[str, Size]:
    widths = (160, 224, 320)
    large = (Size(width, 3, 8, 800) for width in widths)
    enough = next(size for size in large if largest(seeded(lambda s=size: build(s))(0)) >= LARGE)  # type: ignore[misc]
    return {"small": Size(32, 2, 4, 70), "medium": Size(64, 4, 8, 300), "large": enough}


def largest(module: nn.Module) -> int:
    return max(parameter.numel() for parameter in module.parameters())


def families() -> Iterator[Instance]:
    for name, (make, slug) in FAMILIES.items():
        for size, sizes in family_sizes(make).items():
            build = seeded(lambda make=make, sizes=sizes: make(sizes))  # type: ignore[misc]
            yield Instance("families", name, size, slug, build)


# --- built-in models ------------------------------------------------------------------------------

BUILT_IN: dict[str, tuple[dict[str, int], ...]] = {
    "mlp": (
        {"inputs": 50, "width": 48, "depth": 3},
        {"inputs": 200, "width": 128, "depth": 4},
        {"inputs": 784, "width": 320, "depth": 3},
    ),
    "cnn": (
        {"width": 8, "blocks": 1, "groups": 2},
        {"width": 16, "blocks": 2},
        {"width": 32, "blocks": 1, "groups": 4},
    ),
    "lstm": (
        {"vocab": 100, "width": 32, "hidden": 40},
        {"vocab": 300, "width": 64, "hidden": 96},
        {"vocab": 800, "width": 128, "hidden": 160},
    ),
    "encoder": (
        {"vocab": 100, "width": 32, "ff": 64, "blocks": 2},
        {"vocab": 300, "width": 64, "ff": 256, "blocks": 3},
        {"vocab": 800, "width": 160, "ff": 640, "blocks": 2},
    ),
    "gpt": (
        {"vocab": 100, "width": 32, "blocks": 2},
        {"vocab": 300, "width": 64, "blocks": 4},
        {"vocab": 800, "width": 160, "blocks": 3},
    ),
    "vit": (
        {"image": 16, "width": 32, "blocks": 2},
        {"image": 32, "width": 64, "blocks": 4},
        {"image": 32, "width": 160, "blocks": 3},
    ),
}


def speaks_of_all(recipe: Recipe, module: nn.Module) -> bool:
    """Whether the recipe says what each matrix of a module should hold."""
    found = places(module)
    dims = infer_dims(found)
    matrices = [place for place in found if len(place.shape) > 1 and place.role != "buffer"]
    return all(recipe.expected(place, dims) is not None for place in matrices)


def built_in() -> Iterator[Instance]:
    for slug, sizes in BUILT_IN.items():
        small = build_model(slug, **sizes[0])
        for recipe in (recipe for recipe in RECIPES if speaks_of_all(recipe, small)):
            for size, given in zip(SIZES, sizes, strict=True):

                def build(
                    seed: int, slug: str = slug, given: dict[str, int] = given, own: Recipe = recipe
                ) -> nn.Module:
                    module = build_model(slug, seed=seed, **given)
                    apply_recipe(module, own, seed + 100)
                    return module

                # torch's encoder: a recipe draws its matrices again, and leaves other copies.
                yield Instance("built-in", slug, size, recipe.slug, build, slug == "encoder")


# --- the tables -----------------------------------------------------------------------------------

GROUPS = {
    "defaults": "modules of the Defaults page, as there",
    "modules": "modules of torch.nn at three sizes",
    "families": "families, drawn by their own code",
    "built-in": "built-in models, drawn by a recipe",
}
MODES = ("own", "auto", "none")
# Alarms that are true, though the model is as its authors meant it.
TRUE = {
    "packed": "true: Xavier's fan_out counts q, k and v together in MultiheadAttention and in "
    "timm's ViT, pytorch #166378",
    "head": "true: logits of std √d, in a head that is N(0, 1) as T5's, or tied to an nn.Embedding",
    "fans": "true: torch's kaiming_normal_ counts all groups in fan_out, pytorch #23854",
}


@dataclass
class Counts:
    audits: int = 0
    tensors: int = 0
    errors: int = 0
    warnings: int = 0
    copies: int = 0


def alarms(
    instance: Instance, seed: int, mode: str, pool: ThreadPoolExecutor, counts: Counts
) -> Iterator[tuple[Finding, str]]:
    """The errors and warnings of one audit, with the recipe that it was held against."""
    recipe = {"own": instance.recipe, "auto": "auto", "none": None}[mode]
    checked = audit(instance.build(seed), recipe, executor=pool)
    counts.audits += 1
    counts.tensors += len(checked.tensors)
    for finding in checked.findings:
        if finding.code == "identical" and instance.copies:
            counts.copies += 1
        elif finding.severity != "info":
            counts.errors += finding.severity == "error"
            counts.warnings += finding.severity == "warning"
            yield finding, checked.recipe.slug if checked.recipe else ""


Key = tuple[str, str, str, str, str, str]


def count(seeds: int) -> tuple[dict[tuple[str, str], Counts], dict[Key, Counter[str]]]:
    """All audits: counts by group and mode; alarms by kind, with how often at each size."""
    counts: dict[tuple[str, str], Counts] = defaultdict(Counts)
    found: dict[Key, Counter[str]] = defaultdict(Counter)
    instances = [*torch_modules(), *families(), *built_in()]
    with ThreadPoolExecutor(1) as pool:
        for number, instance in enumerate(instances):
            if number % 20 == 0:
                print(f"{number} of {len(instances)}: {instance.name}", file=sys.stderr)
            for seed in range(seeds):
                for mode in MODES:
                    own = counts[instance.group, mode]
                    seen = {
                        (finding.severity, finding.code, held)
                        for finding, held in alarms(instance, seed, mode, pool, own)
                    }
                    for severity, code, held in seen:
                        shown = f"auto: {held}" if mode == "auto" else mode
                        key = (
                            severity, code, shown, instance.group, instance.name, instance.recipe
                        )
                        found[key][instance.size] += 1
    return counts, found


def report(seeds: int) -> None:
    counts, found = count(seeds)
    rows: list[tuple[object, ...]] = []
    for group, title in GROUPS.items():
        for mode in MODES:
            own = counts[group, mode]
            rows.append(
                (title, mode, f"{own.audits:,}", f"{own.tensors:,}", own.errors, own.warnings,
                 own.copies)
            )
    print("## Counts\n")
    table(
        ("correct models", "recipe", "audits", "tensors", "false errors", "warnings",
         "true: copied layers"),
        rows,
    )
    for severity in ("error", "warning"):
        print(f"## Every {severity}\n")
        listed = [
            (code, mode, name, recipe, *(sizes[size] or "" for size in (*SIZES, "the page's")))
            for (kind, code, mode, _, name, recipe), sizes in sorted(found.items())
            if kind == severity
        ]
        if listed:
            print(f"How often in {seeds} seeds, by size.\n")
            table(("code", "recipe", "model", "drawn by", *SIZES, "as on the page"), listed)
        else:
            print("None.\n")


def introduction(seeds: int) -> str:
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarms", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds")
    seeds = 2 if parser.parse_args().quick else SEEDS
    torch.set_num_threads(1)  # many small tensors
    print(introduction(seeds))
    report(seeds)


if __name__ == "__main__":
    main()
