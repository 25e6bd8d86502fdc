"""Layers: which torch.nn module, its sizes, and its fans.

>>> conv = Layer("conv2d", (8, 16, 3), groups=4)
>>> conv.weight_shape, conv.fan_out, conv.effective_fan_out
((16, 2, 3, 3), 144, 36)

torch reads the fans off the weight's shape (``torch.nn.init._calculate_fan_in_and_fan_out``): the
second axis times the kernel is fan_in, the first times the kernel is fan_out. The *effective* fans
count connections at stride 1: how many inputs feed one output unit, and how many outputs one input
unit feeds. They differ for grouped and for transposed convolutions, and for an embedding. For
Bilinear both count products of the two inputs, seen from the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from initcore.errors import InitError

Role = Literal["weight", "bias"]
ROLES: tuple[Role, ...] = ("weight", "bias")


@dataclass(frozen=True)
class LayerKind:
    """One kind of layer: a row of ``LAYERS``.

    ``sizes`` are the constructor's own argument names; ``spatial`` is the number of kernel axes.
    """

    slug: str
    module: str
    sizes: tuple[str, ...]
    spatial: int = 0
    transposed: bool = False
    has_bias: bool = True


_CHANNELS = ("in_channels", "out_channels")

LAYERS: tuple[LayerKind, ...] = (
    LayerKind("linear", "Linear", ("in_features", "out_features")),
    LayerKind("bilinear", "Bilinear", ("in1_features", "in2_features", "out_features")),
    LayerKind("conv1d", "Conv1d", _CHANNELS, spatial=1),
    LayerKind("conv2d", "Conv2d", _CHANNELS, spatial=2),
    LayerKind("conv3d", "Conv3d", _CHANNELS, spatial=3),
    LayerKind("conv_transpose1d", "ConvTranspose1d", _CHANNELS, spatial=1, transposed=True),
    LayerKind("conv_transpose2d", "ConvTranspose2d", _CHANNELS, spatial=2, transposed=True),
    LayerKind("conv_transpose3d", "ConvTranspose3d", _CHANNELS, spatial=3, transposed=True),
    LayerKind("embedding", "Embedding", ("num_embeddings", "embedding_dim"), has_bias=False),
)
_BY_SLUG = {kind.slug: kind for kind in LAYERS}

DEFAULT_KERNEL = 3
MAX_SIZE = 10**9
# Hardly any kernel is longer. Where the axes behind the first two are, a tensor rather holds many
# matrices, as RGCN's weight (relations, in, out) and the experts of a mixture do.
LONGEST_KERNEL = 31


def layer_kind(slug: str) -> LayerKind:
    """The row of ``LAYERS`` with this slug; raises InitError naming the allowed ones."""
    try:
        return _BY_SLUG[slug]
    except KeyError:
        raise InitError(f"layer {slug!r} is not one of: {', '.join(_BY_SLUG)}") from None


def _check_size(name: str, value: object) -> None:
    allowed = f"must be a whole number of at least 1 and at most {MAX_SIZE:,}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise InitError(f"{name} = {value}: {allowed}")
    if not 1 <= value <= MAX_SIZE:
        # A number of a thousand digits is not worth a thousand digits of message.
        shown = value if abs(value) < 10**20 else "that many"
        raise InitError(f"{name} = {shown}: {allowed}")


@dataclass(frozen=True)
class Layer:
    """A layer of known sizes. Hashable; holds no tensor.

    >>> Layer("linear", (3, 7)).weight_shape
    (7, 3)

    Parameters
    ----------
    slug: one of ``LAYERS``.
    size: the module's own sizes in the order of its constructor (in, out for Linear), then for
        convolutions the kernel: one number for all axes, or one for each.
    groups: convolutions only; must divide both channel counts.

    Raises
    ------
    InitError: unknown slug, wrong number of sizes, a size below 1, groups that do not divide.
    """

    slug: str
    size: tuple[int, ...]
    groups: int = 1

    def __post_init__(self) -> None:
        kind = self.kind
        size = tuple(self.size)
        names = list(kind.sizes)
        if kind.spatial and len(size) == len(names):
            size += (DEFAULT_KERNEL,)
        if kind.spatial and len(size) == len(names) + 1:
            size += (size[-1],) * (kind.spatial - 1)
        if len(size) != len(names) + kind.spatial:
            wanted = ", ".join([*names, *(["kernel"] if kind.spatial else [])])
            raise InitError(
                f"{kind.slug} takes {len(names) + bool(kind.spatial)} sizes ({wanted}): "
                f"got {len(self.size)} in {list(self.size)}"
            )
        labels = names + ["kernel"] * kind.spatial
        for name, value in zip(labels, size, strict=True):
            _check_size(name, value)
        object.__setattr__(self, "size", size)
        _check_size("groups", self.groups)
        if self.groups != 1 and not kind.spatial:
            raise InitError(f"groups = {self.groups}: only convolutions have groups")
        if size[0] % self.groups or size[1] % self.groups:
            raise InitError(
                f"groups = {self.groups}: must divide both {names[0]} = {size[0]} "
                f"and {names[1]} = {size[1]}"
            )

    @property
    def kind(self) -> LayerKind:
        return layer_kind(self.slug)

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.size[len(self.kind.sizes) :]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of ``module.weight``."""
        if self.kind.spatial:
            inputs, outputs = self.size[:2]
            if self.kind.transposed:
                return (inputs, outputs // self.groups, *self.kernel)
            return (outputs, inputs // self.groups, *self.kernel)
        if self.slug == "bilinear":
            in1, in2, out = self.size
            return (out, in1, in2)
        if self.slug == "embedding":
            return self.size
        return (self.size[1], self.size[0])

    @property
    def bias_shape(self) -> tuple[int, ...] | None:
        """Shape of ``module.bias``; None where the module has none."""
        if not self.kind.has_bias:
            return None
        return (self.size[2] if self.slug == "bilinear" else self.size[1],)

    @property
    def count(self) -> int:
        """The number of weights."""
        return math.prod(self.weight_shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(rows, columns) of the weight as a matrix: the first axis, and all others flattened."""
        rows = self.weight_shape[0]
        return rows, self.count // rows

    @property
    def fan_in(self) -> int:
        """fan_in as torch computes it from the weight's shape."""
        return self.weight_shape[1] * math.prod(self.weight_shape[2:])

    @property
    def fan_out(self) -> int:
        """fan_out as torch computes it from the weight's shape."""
        return self.weight_shape[0] * math.prod(self.weight_shape[2:])

    @property
    def effective_fan_in(self) -> int:
        """How many inputs feed one output unit, at stride 1."""
        if self.kind.spatial:
            return self.size[0] // self.groups * math.prod(self.kernel)
        return 1 if self.slug == "embedding" else self.fan_in

    @property
    def effective_fan_out(self) -> int:
        """How many outputs one input unit feeds, at stride 1."""
        if self.kind.spatial:
            return self.size[1] // self.groups * math.prod(self.kernel)
        return self.size[1] if self.slug == "embedding" else self.fan_out

    @property
    def fans_note(self) -> str:
        """Why the effective fans differ from torch's; empty where they agree."""
        if (self.fan_in, self.fan_out) == (self.effective_fan_in, self.effective_fan_out):
            return ""
        reasons = []
        if self.kind.transposed:
            reasons.append(
                "torch reads the fans off the weight's shape, which a transposed convolution "
                "stores as (in, out/groups, kernel): it takes fan_in for fan_out"
            )
        if self.groups > 1:
            reasons.append(
                f"torch counts all {self.groups} groups in fan_out, though a unit is connected "
                "within its own group only"
            )
        if self.slug == "embedding":
            reasons.append(
                "an embedding is a lookup: one index reads one row, so nothing is summed and the "
                "fans torch computes describe a matrix product that never happens"
            )
        return "; ".join(reasons)

    @property
    def axis_names(self) -> tuple[str, str]:
        """What the rows and the columns of the weight as a matrix stand for."""
        if self.kind.spatial:
            sides = (
                ("input channel", "output") if self.kind.transposed else ("output channel", "input")
            )
            return sides[0], f"{sides[1]} channel × kernel"
        return {
            "linear": ("output", "input"),
            "bilinear": ("output", "input 1 × input 2"),
            "embedding": ("index", "dimension"),
        }[self.slug]

    @property
    def code(self) -> str:
        """The module's constructor call: ``nn.Conv2d(8, 16, kernel_size=3, groups=4)``."""
        arguments = [str(value) for value in self.size[: len(self.kind.sizes)]]
        if self.kind.spatial:
            same = len(set(self.kernel)) == 1
            arguments.append(f"kernel_size={self.kernel[0] if same else self.kernel}")
        if self.groups > 1:
            arguments.append(f"groups={self.groups}")
        return f"nn.{self.kind.module}({', '.join(arguments)})"
