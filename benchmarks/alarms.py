"""How often audits raise false alarms: ``python -m benchmarks.alarms [--quick]``.

Fresh modules of torch, models of the known families as their own code draws them, the built-in
models drawn by every recipe that speaks of all their matrices, at three sizes and ten seeds; and
the built-in models trained a little, at two. ``docs/alarms.md`` is its output.
"""

import argparse
import copy
import itertools
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.confusion import table
from initcore.audit import audit
from initcore.defaults import DEFAULTS
from initcore.draw import torch_seeded
from initcore.findings import Finding
from initcore.models import build_model, get_model
from initcore.recipes import RECIPES, Recipe, apply_recipe
from initcore.roles import infer_dims, places
from tests.initcore.families import FAMILIES, Size

SIZES = ("small", "medium", "large")
PAGE = "as on the page"
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
    "AdaptiveLogSoftmaxWithLoss": lambda d: nn.AdaptiveLogSoftmaxWithLoss(
        d, 10 * d, [d, 5 * d], div_value=2.0
    ),
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
        yield Instance("defaults", default.code, PAGE, "torch", seeded(default.build), copies)
    for name, make in (MODULES | COPIES).items():
        for size, width in WIDTHS.items():
            build = seeded(lambda make=make, width=width: make(width))
            # nn.Transformer draws again after the copy, all but the biases.
            yield Instance("modules", name, size, "torch", build, name in COPIES)


# --- families -------------------------------------------------------------------------------------


def family_sizes(build: Callable[[Size], nn.Module]) -> dict[str, Size]:
    widths = (160, 224, 320)
    large = (Size(width, 2, 8, 800) for width in widths)
    enough = next(size for size in large if largest(seeded(lambda s=size: build(s))(0)) >= LARGE)
    return {"small": Size(32, 2, 4, 70), "medium": Size(64, 3, 8, 300), "large": enough}


def largest(module: nn.Module) -> int:
    return max(parameter.numel() for parameter in module.parameters())


def families() -> Iterator[Instance]:
    for name, (make, slug) in FAMILIES.items():
        for size, sizes in family_sizes(make).items():
            build = seeded(lambda make=make, sizes=sizes: make(sizes))
            yield Instance("families", name, size, slug, build)


# --- built-in models ------------------------------------------------------------------------------

BUILT_IN: dict[str, tuple[dict[str, int], ...]] = {
    "mlp": (
        {"inputs": 50, "width": 48, "depth": 3},
        {"inputs": 200, "width": 128, "depth": 3},
        {"inputs": 784, "width": 320, "depth": 2},
    ),
    "cnn": (
        {"width": 8, "blocks": 1, "groups": 2},
        {"width": 16, "blocks": 1},
        {"width": 40, "blocks": 1, "groups": 4},
    ),
    "lstm": (
        {"vocab": 100, "width": 32, "hidden": 40},
        {"vocab": 300, "width": 64, "hidden": 96},
        {"vocab": 800, "width": 128, "hidden": 160},
    ),
    "encoder": (
        {"vocab": 100, "width": 32, "ff": 64, "blocks": 2},
        {"vocab": 300, "width": 64, "ff": 256, "blocks": 2},
        {"vocab": 800, "width": 160, "ff": 640, "blocks": 2},
    ),
    "gpt": (
        {"vocab": 100, "width": 32, "blocks": 2},
        {"vocab": 300, "width": 64, "blocks": 3},
        {"vocab": 800, "width": 160, "blocks": 2},
    ),
    "vit": (
        {"image": 16, "width": 32, "blocks": 2},
        {"image": 32, "width": 64, "blocks": 3},
        {"image": 32, "width": 160, "blocks": 2},
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


# --- trained models -------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "SGD": lambda module: torch.optim.SGD(
        module.parameters(), 0.05, momentum=0.9, weight_decay=1e-4
    ),
    "AdamW": lambda module: torch.optim.AdamW(module.parameters(), 1e-3),
}
STEPS = (6, 30)


def train(module: nn.Module, inputs: Tensor, optimizer: str, steps: int, seed: int) -> None:
    """Steps towards labels drawn once: there is something to learn, and all gradients flow."""
    taking = OPTIMIZERS[optimizer](module)
    generator = torch.Generator().manual_seed(seed)
    labels = None
    for _ in range(steps):
        out = module(inputs).flatten(0, -2)
        if labels is None:
            labels = torch.randint(out.shape[1], (len(out),), generator=generator)
        taking.zero_grad()
        functional.cross_entropy(out, labels).backward()
        taking.step()


def inputs_of(slug: str, sizes: dict[str, int], seed: int) -> Tensor:
    """Sixteen inputs of a built-in model."""
    generator = torch.Generator().manual_seed(seed)
    if "vocab" in sizes:
        return torch.randint(sizes["vocab"], (16, 64), generator=generator)  # as many positions
    shape = (sizes["inputs"],) if slug == "mlp" else (3, *[sizes.get("image", 16)] * 2)
    return torch.randn(16, *shape, generator=generator)


def after_training(
    slug: str, sizes: dict[str, int], optimizer: str, steps: int, seed: int
) -> nn.Module:
    """A built-in model, drawn by its own recipe and trained."""
    module = build_model(slug, seed=seed, **sizes)
    with torch_seeded(seed):  # of dropout
        train(module, inputs_of(slug, sizes, seed), optimizer, steps, seed)
    return module


def trained() -> Iterator[Instance]:
    for slug, sizes in BUILT_IN.items():
        for size, given in zip(SIZES[:2], sizes[:2], strict=True):
            for optimizer, steps in itertools.product(OPTIMIZERS, STEPS):
                name = f"{slug}, {optimizer}, {steps} steps"
                build = partial(after_training, slug, given, optimizer, steps)
                yield Instance("trained", name, size, get_model(slug).recipe, build)


# --- the tables -----------------------------------------------------------------------------------

GROUPS = {
    "defaults": "modules of the Defaults page, as there",
    "modules": "modules of torch.nn at three sizes",
    "families": "families, drawn by their own code",
    "built-in": "built-in models, drawn by a recipe",
    "trained": "built-in models, trained a little",
}
MODES = {
    "defaults": ("own", "auto", "none"),
    "modules": ("own", "auto", "none", "bfloat16"),
    "families": ("own", "auto", "none", "file", "bfloat16", "cast"),
    "built-in": ("own", "auto"),
    "trained": ("auto", "none"),
}
# What is audited, where it is not the model as it is: rounded, as one that is trained in bfloat16,
# or was and is held in float32 again.
SOURCES: dict[str, Callable[[nn.Module], nn.Module | dict[str, Tensor]]] = {
    "file": lambda module: module.state_dict(),
    "bfloat16": lambda module: copy.deepcopy(module).bfloat16(),
    "cast": lambda module: copy.deepcopy(module).bfloat16().float(),
}
# What is to be said of alarms of a kind, on models that are as their authors meant them.
REASONS = {
    "identical": "An error, and true: torch's TransformerEncoder and TransformerDecoder are deep "
    "copies of one layer, pytorch #86274; of nn.Transformer, which draws its matrices again, the "
    "biases are, if they are long enough to tell. Counted apart.",
    "packed": "True: one matrix holds q, k and v, and Xavier's fan_out counts all three, "
    "pytorch #166378.",
    "head": "True: the head's std is 1, as torch's embedding that it is tied to, or as T5's in "
    "transformers, and the logits' std is √d.",
    "fans": "True: torch's kaiming_normal_ counts all groups in fan_out, pytorch #23854.",
    "law": "False: a few hundred values of one law may by chance look like those of another, and "
    "two rows be orthogonal to the few digits of bfloat16. The scale is right, and that is said.",
    "same_draw": "True: torch's TransformerEncoder begins as copies of one layer, and a few steps "
    "of training leave them alike.",
    "default": "False: Fixup leaves its first convolution at torch's default, and none of the "
    "others. Only its recipe can tell that this is meant.",
}


@dataclass
class Counts:
    audits: int = 0
    tensors: int = 0
    errors: int = 0
    warnings: int = 0
    copies: int = 0


def alarms(
    instance: Instance, module: nn.Module, mode: str, pool: ThreadPoolExecutor, counts: Counts
) -> Iterator[tuple[Finding, str]]:
    """The errors and warnings of one audit, with the recipe that it was held against."""
    source = SOURCES[mode](module) if mode in SOURCES else module
    recipe = {"auto": "auto", "none": None}.get(mode, instance.recipe)
    checked = audit(source, recipe, executor=pool)
    counts.audits += 1
    counts.tensors += len(checked.tensors)
    for finding in checked.findings:
        if finding.code == "identical" and instance.copies:
            counts.copies += 1
        elif finding.severity != "info":
            counts.errors += finding.severity == "error"
            counts.warnings += finding.severity == "warning"
            yield finding, checked.recipe.slug if checked.recipe else "none"


# Severity, code, recipe of the audit, model, recipe that it follows.
Kind = tuple[str, str, str, str, str]


def count(
    seeds: int,
) -> tuple[dict[tuple[str, str], Counts], dict[Kind, Counter[str]]]:
    """All audits: counts by group and mode; alarms by kind, in how many audits of each size."""
    counts: dict[tuple[str, str], Counts] = defaultdict(Counts)
    found: dict[Kind, Counter[str]] = defaultdict(Counter)
    instances = [*torch_modules(), *families(), *built_in(), *trained()]
    with ThreadPoolExecutor(1) as pool:
        for number, one in enumerate(instances):
            if number % 20 == 0:
                print(f"{number} of {len(instances)}: {one.name}", file=sys.stderr)
            for seed in range(seeds):
                module = one.build(seed)
                for mode in MODES[one.group]:
                    own = counts[one.group, mode]
                    kinds = {
                        (finding.severity, finding.code, held)
                        for finding, held in alarms(one, module, mode, pool, own)
                    }
                    for severity, code, held in kinds:
                        shown = f"auto, {held}" if mode == "auto" else mode
                        found[severity, code, shown, one.name, one.recipe][one.size] += 1
    return counts, found


def report(seeds: int) -> None:
    counts, found = count(seeds)
    rows: list[tuple[object, ...]] = []
    for (group, mode), own in counts.items():
        audits, tensors = f"{own.audits:,}", f"{own.tensors:,}"
        rows.append((GROUPS[group], mode, audits, tensors, own.errors, own.warnings, own.copies))
    print("## Counts\n")
    head = "correct models", "recipe", "audits", "tensors", "errors", "warnings", "true `identical`"
    table(head, rows)
    for severity in ("error", "warning"):
        print(f"## Every {severity}\n")
        rows = [
            (code, mode, name, recipe, *(sizes[size] or "" for size in (*SIZES, PAGE)))
            for (kind, code, mode, name, recipe), sizes in sorted(found.items())
            if kind == severity
        ]
        if rows:
            print(f"In how many of {seeds} seeds, by size.\n")
            table(("code", "recipe", "model", "follows", *SIZES, PAGE), rows)
        else:
            print("None.\n")
    print("## What is to be said of them\n")
    codes = {"identical", *(code for _, code, *_ in found)}
    table(("code", "why"), [(c, REASONS.get(c, "Not explained.")) for c in sorted(codes)])


def introduction(seeds: int) -> str:
    widths = ", ".join(str(width) for width in WIDTHS.values())
    steps = " and ".join(str(steps) for steps in STEPS)
    return f"""# How often an audit raises a false alarm

Made by `python -m benchmarks.alarms > docs/alarms.md`; every case is seeded, {seeds} seeds each.

Every model here is correct: as `torch.nn` constructs it, as the code of its family draws it
(`tests/initcore/families.py`, written from the sources and not from the recipes), or as
`apply_recipe` draws a built-in model by a recipe that speaks of all its matrices. What an audit
says of it is a false alarm, or something true that its authors chose; the last table says which.

Each is audited with its own recipe named (own), with the recipe left to `auto`, without one (none),
and as a state dict, of which only names and shapes are known, with its own (file); with its own,
too, rounded to bfloat16, and that held in float32 again (cast). The modules of torch.nn are those
of the Defaults page as they stand there and {len(MODULES) + len(COPIES)} kinds at widths
{widths}. The large ones of all models but norms have a tensor of {LARGE:,} values or more; the
others are small enough that chance matters.

The trained ones are the built-in models at the two smaller sizes, after {steps}
steps of {" and ".join(OPTIMIZERS)}: the sooner, the harder to tell from fresh ones.

Not covered: the state dict of a bare module, whose names do not say what its tensors are of;
models drawn by two recipes, which `auto` holds against the one that fits better.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarms", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds")
    seeds = 2 if parser.parse_args().quick else SEEDS
    torch.set_num_threads(1)  # many small tensors
    print(introduction(seeds))
    report(seeds)


if __name__ == "__main__":
    main()
