"""Draw: the tensors that a (layer, scheme, seed) gives.

>>> spec = Spec(Layer("linear", (5, 5)), Init("xavier_uniform"), seed=0)
>>> first, second = draw_spec(spec), draw_spec(spec)
>>> first.weight.equal(second.weight), tuple(first.weight.shape)
(True, (5, 5))

A draw is deterministic and does not depend on what other threads do: every random call gets its own
generator, and torch's global generator, which all threads of a process share, is left alone.
``torch_seeded`` is for the constructors of modules, which take no generator.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from initcore.errors import InitError
from initcore.laws import LARGEST, SMALLEST, Constant, Normal, Uniform
from initcore.layers import ROLES, Layer, Role
from initcore.schemes import Call, Init, Slot, Value

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def narrower_types(dtype: torch.dtype) -> list[torch.dtype]:
    """The types of ``DTYPES`` of fewer bytes, the narrowest first."""
    narrower = [other for other in DTYPES.values() if other.itemsize < dtype.itemsize]
    return sorted(narrower, key=lambda other: other.itemsize)


# The largest seed that a link can carry exactly: JavaScript's largest safe integer.
MAX_SEED = 2**53 - 1


@dataclass(frozen=True)
class Spec:
    """Everything that decides a draw: hashable and small, the key of links, caches and files.

    ``bias`` is None exactly for layers without one. Raises InitError when the parts do not go
    together: a scheme on a rank it cannot fill, a value the dtype cannot hold, a seed out of range.
    """

    layer: Layer
    weight: Init
    bias: Init | None = field(default_factory=lambda: Init("default"))
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InitError(f"dtype {self.dtype!r} is not one of: {', '.join(DTYPES)}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise InitError(f"seed = {self.seed}: must be a whole number")
        if not 0 <= self.seed <= MAX_SEED:
            raise InitError(f"seed = {self.seed}: must be at least 0 and at most {MAX_SEED}")
        if self.layer.bias_shape is None and self.bias == Init("default"):
            object.__setattr__(self, "bias", None)
        for role in ROLES:
            if self.init(role) is not None:
                self._check(role)

    def init(self, role: Role) -> Init | None:
        return self.weight if role == "weight" else self.bias

    def slot(self, role: Role) -> Slot:
        return Slot(self.layer, role)

    def _check(self, role: Role) -> None:
        init, slot = self.init(role), self.slot(role)
        assert init is not None
        reason = init.scheme.why_not(slot)
        if reason:
            raise InitError(reason)
        if init.slug == "orthogonal" and DTYPES[self.dtype].itemsize == 2:
            raise InitError(
                f"orthogonal in {self.dtype}: torch.linalg.qr, which orthogonal_ uses, has no "
                "16-bit version; draw in float32 and convert"
            )
        law = init.law(slot)
        ends = [abs(end) for end in (law.low, law.high) if math.isfinite(end)]
        # torch wants the width of a uniform to fit, too.
        ends += [law.high - law.low] if isinstance(law, Uniform) else []
        largest = max(ends, default=abs(law.mean) + 6 * law.std)
        limit = min(torch.finfo(DTYPES[self.dtype]).max, LARGEST)
        if largest > limit:
            raise InitError(
                f"values up to {largest:g} do not fit {self.dtype}: the limit is {limit:g}"
            )
        if not isinstance(law, Constant) and law.std < SMALLEST:
            raise InitError(
                f"std {law.std:g} is too small to compute with: take {SMALLEST:g}, or 0"
            )

    @property
    def is_pure_default(self) -> bool:
        """Whether this is the module as its constructor leaves it."""
        return self.weight.slug == "default" and (self.bias is None or self.bias.slug == "default")


@dataclass(frozen=True)
class Draw:
    """The drawn tensors; ``bias`` is None for layers without one."""

    spec: Spec
    weight: Tensor
    bias: Tensor | None


def draw(
    layer: Layer,
    scheme: str | Init = "default",
    bias: str | Init = "default",
    *,
    seed: int = 0,
    dtype: str = "float32",
    **params: Value,
) -> Draw:
    """Draw a layer's weight and bias.

    >>> draw(Layer("linear", (3, 2)), "uniform", a=0.0, b=3.0, seed=1).weight.shape
    torch.Size([2, 3])

    With ``g = torch.Generator().manual_seed(seed)`` the result is bit-identical to the weight's
    ``torch.nn.init`` call with ``generator=g`` followed by the bias's with the same ``g``; for the
    default scheme also to ``torch.manual_seed(seed)`` followed by constructing the module.
    ``params`` are those of ``scheme`` when it is a slug. Raises InitError (see ``Spec``).
    """
    if isinstance(scheme, Init):
        if params:
            raise InitError(f"{', '.join(params)}: give them in the Init, not beside it")
        weight = scheme
    else:
        weight = Init(scheme, params)
    bias_init = bias if isinstance(bias, Init) else Init(bias)
    return draw_spec(Spec(layer, weight, bias_init, seed, dtype))


def draw_spec(spec: Spec) -> Draw:
    """The tensors of a spec; holds the whole weight in memory."""
    generator = torch.Generator().manual_seed(spec.seed)
    tensors: dict[Role, Tensor] = {}
    for role in ROLES:
        init = spec.init(role)
        if init is not None:
            slot = spec.slot(role)
            tensor = torch.empty(slot.shape, dtype=DTYPES[spec.dtype])
            fill(tensor, init.call(slot), generator, spec.seed)
            tensors[role] = tensor
    return Draw(spec, tensors["weight"], tensors.get("bias"))


# A module's constructor draws from torch's global generator, which all threads share.
_GLOBAL_GENERATOR = threading.Lock()


@contextmanager
def torch_seeded(seed: int) -> Iterator[None]:
    """Code that draws from torch's global generator, as after ``torch.manual_seed(seed)``.

    One thread at a time; the generator is left as it was.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


_FILTERING = threading.Lock()


def fill(tensor: Tensor, call: Call, generator: torch.Generator, seed: int) -> None:
    """Make a torch.nn.init call in place; ``seed`` is the one the generator started from."""
    if call.function == "sparse_":
        _sparse(tensor, call, generator, seed)
    elif call.function == "trunc_normal_":
        # torch warns that far from the mean the distribution may be incorrect, which has not been
        # so since it samples by rejection. Filters of warnings are shared by all threads.
        with _FILTERING, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            nn.init.trunc_normal_(tensor, **call.arguments, generator=generator)  # type: ignore[arg-type]
    elif call.takes_generator:
        getattr(nn.init, call.function)(tensor, **call.arguments, generator=generator)
    else:
        getattr(nn.init, call.function)(tensor, **call.arguments)


def _sparse(tensor: Tensor, call: Call, generator: torch.Generator, seed: int) -> None:
    """``sparse_`` after ``torch.manual_seed(seed)``, bit for bit.

    torch takes the generator for the values but draws the zeros from the global one, which other
    threads move; the same permutations come from a second generator of the same seed.
    """
    zeros = torch.Generator().manual_seed(seed)
    rows, columns = tensor.shape
    tensor.normal_(0, float(call.arguments["std"]), generator=generator)
    count = math.ceil(float(call.arguments["sparsity"]) * rows)
    for column in range(columns):
        tensor[torch.randperm(rows, generator=zeros)[:count], column] = 0


# --- larger than memory -------------------------------------------------------------------------

# So large that handing a block to another thread costs little. torch fills a tensor 16 values at a
# time, so blocks of a multiple of 16 give the same values as one call.
BLOCK = 2**20


def can_stream(spec: Spec) -> bool:
    """Whether the weight can be drawn block by block, bit-identical to drawing it whole."""
    slot = spec.slot("weight")
    law, call = spec.weight.law(slot), spec.weight.call(slot)
    if isinstance(law, Constant):  # a random call of no spread, as std = 0, moves the generator
        return not call.takes_generator
    return isinstance(law, Uniform | Normal)


class Stream:
    """A draw that never holds its weight: iterate it for the blocks, then ask for the bias.

    Iterating yields (offset, values) with flat blocks of about ``BLOCK`` entries, bit-identical to
    ``draw_spec(spec).weight.flatten()``. A block is overwritten two steps later, so that one may be
    measured while the next is drawn. Raises InitError for a scheme that needs the whole tensor.
    """

    def __init__(self, spec: Spec) -> None:
        if not can_stream(spec):
            raise InitError(f"{spec.weight.slug} needs the whole tensor: it cannot be streamed")
        self.spec = spec
        self._generator = torch.Generator()

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        self._generator.manual_seed(self.spec.seed)
        law = self.spec.weight.law(self.spec.slot("weight"))
        total = self.spec.layer.count
        # A last block of under 16 would take torch's path for short tensors: it is joined.
        starts = [*range(0, max(total - 15, 1), BLOCK), total]
        largest = max(end - start for start, end in itertools.pairwise(starts))
        buffers = [torch.empty(largest, dtype=DTYPES[self.spec.dtype]) for _ in range(2)]
        for index, (start, end) in enumerate(itertools.pairwise(starts)):
            block = buffers[index % 2][: end - start]
            if isinstance(law, Uniform):
                block.uniform_(law.low, law.high, generator=self._generator)
            elif isinstance(law, Normal):
                block.normal_(law.mean, law.std, generator=self._generator)
            else:
                block.fill_(law.mean)
            yield start, block

    def bias(self) -> Tensor | None:
        """The bias. It follows the weight in the generator's stream: ask after the last block."""
        if self.spec.bias is None:
            return None
        slot = self.spec.slot("bias")
        tensor = torch.empty(slot.shape, dtype=DTYPES[self.spec.dtype])
        fill(tensor, self.spec.bias.call(slot), self._generator, self.spec.seed)
        return tensor


@dataclass(frozen=True)
class Limits:
    """How much one request may use: two settings, in MB (10^6 bytes).

    ``hold_mb`` bounds a tensor held whole with its working copies; the default fits a server of
    690 MB. ``stream_mb`` bounds what is drawn block by block for its statistics only.
    """

    hold_mb: float = 80.0
    stream_mb: float = 4400.0

    @classmethod
    def from_environment(cls) -> Limits:
        """Read INITCORE_HOLD_MB and INITCORE_STREAM_MB; raises InitError when one is no number."""
        values = {}
        for name in ("hold_mb", "stream_mb"):
            text = os.environ.get(f"INITCORE_{name.upper()}")
            if text is not None:
                try:
                    values[name] = float(text)
                except ValueError:
                    values[name] = math.nan
                if not values[name] >= 0:
                    raise InitError(f"INITCORE_{name.upper()} = {text}: must be a number of MB")
        return cls(**values)

    def plan(self, spec: Spec) -> Literal["hold", "stream"]:
        """How to measure the spec; raises InitError, before anything is allocated, if too large."""
        itemsize = DTYPES[spec.dtype].itemsize
        weight = spec.layer.count * itemsize / 1e6
        bias = 0.0 if spec.bias is None else spec.slot("bias").count * itemsize / 1e6
        copies = spec.weight.scheme.working_copies
        if weight * copies + bias <= self.hold_mb:
            return "hold"
        shape = " × ".join(f"{n:,}" for n in spec.layer.weight_shape)
        size = f"{shape} weights in {spec.dtype} take {weight:,.0f} MB"
        if copies > 1:
            size += f", and {copies} copies while {spec.weight.slug} draws them"
        if not can_stream(spec) or bias > self.hold_mb:
            part = (
                f"{spec.weight.slug} needs them all at once"
                if bias <= self.hold_mb
                else (f"the bias takes {bias:,.0f} MB")
            )
            raise InitError(
                f"{size}; {part}, and the limit for that is {self.hold_mb:g} MB: "
                "choose smaller sizes, or raise INITCORE_HOLD_MB"
            )
        if weight > self.stream_mb:
            raise InitError(
                f"{size}; the limit for statistics of a streamed draw is {self.stream_mb:g} MB: "
                "choose smaller sizes, or raise INITCORE_STREAM_MB"
            )
        return "stream"
