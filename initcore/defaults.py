"""Defaults: what every parameterised torch.nn module does when you construct it, measured live.

Each record of ``DEFAULTS`` constructs a module and claims the law of each of its tensors, which the
recipe ``torch`` states; ``measure_default`` draws it under the installed torch and checks them.

>>> checks = measure_default(DEFAULTS[0])
>>> [(check.names, check.form, check.holds) for check in checks]
[('weight', 'U(±1/√in)', True), ('bias', 'U(±1/√in)', True)]
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initcore.draw import torch_seeded
from initcore.fit import Fit, fit
from initcore.laws import Law, constant
from initcore.measure import Measurement, grid_for, measure
from initcore.recipes import get_recipe
from initcore.roles import Dims, Place, infer_dims, places


@dataclass(frozen=True)
class Claim:
    """What a module's constructor gives to the tensors whose names match ``pattern``.

    ``form`` is the closed form as people write it. ``law`` is None where the recipe ``torch``
    states it. ``block`` restricts the claim to one of the tensor's blocks, see ``roles.Place``.
    """

    pattern: str
    form: str
    law: Law | None = None
    block: str = ""


@dataclass(frozen=True)
class Default:
    """A module as its constructor leaves it: how to build one, and the claims about its tensors.

    ``identical`` is a pair of name prefixes whose tensors are claimed to be bit-identical.
    """

    module: str
    code: str
    build: Callable[[], nn.Module]
    claims: tuple[Claim, ...]
    note: str = ""
    identical: tuple[str, str] | None = None


@dataclass(frozen=True)
class Check:
    """A claim held against the tensors: measured, judged."""

    module: str
    names: str
    form: str
    law: Law | None
    measurement: Measurement | None
    fit: Fit | None
    holds: bool


def _both(form: str) -> tuple[Claim, Claim]:
    return Claim("weight", form), Claim("bias", form)


def _c(pattern: str, value: float) -> Claim:
    """A value that the recipe does not state: buffers change as soon as a module is used."""
    return Claim(pattern, f"{value:g}", constant(value))


_UNIT = (Claim("weight", "1"), Claim("bias", "0"))
_RUNNING = (_c("running_mean|num_batches_tracked", 0.0), _c("running_var", 1.0))
_ROWS = (Claim("weight", "0", block="padding"), Claim("weight", "N(0, 1)", block="after"))


def _convolutions() -> list[Default]:
    records = []
    for transposed in (False, True):
        for d, k in ((1, 9), (2, 3), (3, 3)):
            name = f"Conv{'Transpose' if transposed else ''}{d}d"
            side = "out" if transposed else "in"
            form = f"U(±1/√(({side}/groups)·k))"
            module = getattr(nn, name)
            code = f"{name}(16, 32, {k}, groups=2)"
            records.append(
                Default(
                    name,
                    code,
                    lambda module=module, k=k: module(16, 32, k, groups=2),  # type: ignore[misc]
                    _both(form),
                    "fan_in as torch reads it off the stored shape: the output side"
                    if transposed
                    else "",
                )
            )
            lazy = getattr(nn, f"Lazy{name}")
            records.append(
                Default(
                    f"Lazy{name}",
                    f"Lazy{name}(32, {k}, groups=2), after a forward pass of 16 channels",
                    lambda lazy=lazy, k=k, d=d: _after_forward(  # type: ignore[misc]
                        lazy(32, k, groups=2), torch.zeros(1, 16, *[k] * d)
                    ),
                    _both(form),
                )
            )
    return records


def _after_forward(module: nn.Module, example: Tensor) -> nn.Module:
    with torch.no_grad():
        module(example)
    return module


def _norms() -> list[Default]:
    records = []
    for d in (1, 2, 3):
        for name, arguments, claims, batches, note in (
            ("BatchNorm", {}, _UNIT + _RUNNING, 1.0, ""),
            ("InstanceNorm", {"affine": True}, _UNIT, 0.0, "no parameters unless affine=True"),
        ):
            module, lazy = getattr(nn, f"{name}{d}d"), getattr(nn, f"Lazy{name}{d}d")
            # The pass of zeros that materialises a lazy norm moves its running statistics.
            moved = _c("running_mean", 0.0), _c("running_var", 0.9)
            given = "".join(f", {key}={value}" for key, value in arguments.items())
            records.append(
                Default(
                    f"{name}{d}d",
                    f"{name}{d}d(8{given})",
                    lambda module=module, arguments=arguments: module(8, **arguments),  # type: ignore[misc]
                    claims,
                    note,
                )
            )
            records.append(
                Default(
                    f"Lazy{name}{d}d",
                    f"Lazy{name}{d}d(), after a forward pass of 8 channels",
                    lambda lazy=lazy, shape=(2, 8, *[4] * d): _after_forward(  # type: ignore[misc]
                        lazy(), torch.zeros(shape)
                    ),
                    (*_UNIT, *moved, _c("num_batches_tracked", batches)),
                    note and "affine and tracking by default, unlike InstanceNorm",
                )
            )
    return records


_H = 64  # hidden size of the recurrent records
_RECURRENT = (Claim("(weight|bias)_.*", "U(±1/√hidden)"),)
_E = 64  # embedding dimension of the attention records


def _attention(prefix: str = "") -> tuple[Claim, ...]:
    return (
        Claim(f"{prefix}in_proj_weight", "U(±√(6/(E+3E)))"),
        Claim(f"{prefix}out_proj.weight", "U(±1/√E)"),
        Claim(f"{prefix}(in_proj_bias|out_proj.bias)", "0"),
    )


_FF = 128
_BLOCK_NORMS = (Claim(r".*norm\d?\.weight", "1"), Claim(r".*norm\d?\.bias", "0"))
_TRANSFORMER_BLOCK = (
    *_attention(r".*attn\."),
    Claim(r".*linear1\.(weight|bias)", "U(±1/√E)"),
    Claim(r".*linear2\.(weight|bias)", "U(±1/√ff)"),
    *_BLOCK_NORMS,
)


DEFAULTS: tuple[Default, ...] = (
    Default(
        "Linear",
        "Linear(96, 64)",
        lambda: nn.Linear(96, 64),
        _both("U(±1/√in)"),
        "often taken for Xavier: it is not, its std is 0.577/√in",
    ),
    Default(
        "LazyLinear",
        "LazyLinear(64), after a forward pass of 96 features",
        lambda: _after_forward(nn.LazyLinear(64), torch.zeros(1, 96)),
        _both("U(±1/√in)"),
    ),
    Default(
        "Bilinear",
        "Bilinear(24, 16, 32)",
        lambda: nn.Bilinear(24, 16, 32),
        _both("U(±1/√in1)"),
        "the size of the first input alone counts",
    ),
    *_convolutions(),
    Default(
        "Embedding",
        "Embedding(100, 64, padding_idx=0)",
        lambda: nn.Embedding(100, 64, padding_idx=0),
        _ROWS,
        "the row of padding_idx is zero",
    ),
    Default(
        "EmbeddingBag",
        "EmbeddingBag(100, 64, padding_idx=0)",
        lambda: nn.EmbeddingBag(100, 64, padding_idx=0),
        _ROWS,
        "the row of padding_idx is zero",
    ),
    Default(
        "RNN",
        f"RNN(32, {_H})",
        lambda: nn.RNN(32, _H),
        _RECURRENT,
        "the hidden size alone counts, for the input's weights too",
    ),
    Default(
        "LSTM",
        f"LSTM(32, {_H}, proj_size=24)",
        lambda: nn.LSTM(32, _H, proj_size=24),
        _RECURRENT,
        "the hidden size alone counts, for both biases and the projection too",
    ),
    Default("GRU", f"GRU(32, {_H})", lambda: nn.GRU(32, _H), _RECURRENT),
    Default("RNNCell", f"RNNCell(32, {_H})", lambda: nn.RNNCell(32, _H), _RECURRENT),
    Default("LSTMCell", f"LSTMCell(32, {_H})", lambda: nn.LSTMCell(32, _H), _RECURRENT),
    Default("GRUCell", f"GRUCell(32, {_H})", lambda: nn.GRUCell(32, _H), _RECURRENT),
    Default(
        "MultiheadAttention",
        f"MultiheadAttention({_E}, 4)",
        lambda: nn.MultiheadAttention(_E, 4),
        _attention(),
        "q, k and v are packed, so that Xavier sees a fan_out of 3E: std is √2 too small for each",
    ),
    Default(
        "MultiheadAttention (split)",
        f"MultiheadAttention({_E}, 4, kdim=32, vdim=48, add_bias_kv=True)",
        lambda: nn.MultiheadAttention(_E, 4, kdim=32, vdim=48, add_bias_kv=True),
        (
            Claim("q_proj_weight", "U(±√(6/(E+E)))"),
            Claim("k_proj_weight", "U(±√(6/(E+kdim)))"),
            Claim("v_proj_weight", "U(±√(6/(E+vdim)))"),
            Claim("out_proj.weight", "U(±1/√E)"),
            Claim("in_proj_bias|out_proj.bias", "0"),
            Claim("bias_[kv]", "N(0, 1/E)"),
        ),
    ),
    Default(
        "TransformerEncoderLayer",
        f"TransformerEncoderLayer({_E}, 4, {_FF})",
        lambda: nn.TransformerEncoderLayer(_E, 4, _FF),
        _TRANSFORMER_BLOCK,
    ),
    Default(
        "TransformerDecoderLayer",
        f"TransformerDecoderLayer({_E}, 4, {_FF})",
        lambda: nn.TransformerDecoderLayer(_E, 4, _FF),
        _TRANSFORMER_BLOCK,
    ),
    Default(
        "TransformerEncoder",
        f"TransformerEncoder(TransformerEncoderLayer({_E}, 4, {_FF}), 2)",
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(_E, 4, _FF), 2, enable_nested_tensor=False
        ),
        _TRANSFORMER_BLOCK,
        "deep copies of one layer: all layers start equal",
        ("layers.0.", "layers.1."),
    ),
    Default(
        "TransformerDecoder",
        f"TransformerDecoder(TransformerDecoderLayer({_E}, 4, {_FF}), 2)",
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(_E, 4, _FF), 2),
        _TRANSFORMER_BLOCK,
        "deep copies of one layer: all layers start equal",
        ("layers.0.", "layers.1."),
    ),
    Default(
        "Transformer",
        f"Transformer({_E}, 4, 1, 1, {_FF}, batch_first=True)",
        lambda: nn.Transformer(_E, 4, 1, 1, _FF, batch_first=True),
        (
            Claim(r".*in_proj_weight", "U(±√(6/(E+3E)))"),
            Claim(r".*out_proj\.weight", "U(±√(6/(E+E)))"),
            Claim(r".*linear[12]\.weight", "U(±√(6/(E+ff)))"),
            Claim(r".*(in_proj_bias|out_proj\.bias)", "0"),
            Claim(r".*linear1\.bias", "U(±1/√E)"),
            Claim(r".*linear2\.bias", "U(±1/√ff)"),
            *_BLOCK_NORMS,
        ),
        "re-draws every matrix by Xavier uniform; the biases of the linears stay",
    ),
    Default("LayerNorm", "LayerNorm(64)", lambda: nn.LayerNorm(64), _UNIT),
    Default("GroupNorm", "GroupNorm(4, 64)", lambda: nn.GroupNorm(4, 64), _UNIT),
    Default("RMSNorm", "RMSNorm(64)", lambda: nn.RMSNorm(64), (Claim("weight", "1"),)),
    *_norms(),
    Default("SyncBatchNorm", "SyncBatchNorm(8)", lambda: nn.SyncBatchNorm(8), _UNIT + _RUNNING),
    Default("PReLU", "PReLU(8)", lambda: nn.PReLU(8), (Claim("weight", "0.25"),)),
    Default(
        "AdaptiveLogSoftmaxWithLoss",
        "AdaptiveLogSoftmaxWithLoss(64, 200, [50, 100], div_value=4.0)",
        lambda: nn.AdaptiveLogSoftmaxWithLoss(64, 200, [50, 100], div_value=4.0),
        (
            Claim(r"head\.weight|tail\.\d\.0\.weight", "U(±1/√in)"),
            Claim(r"tail\.0\.1\.weight", "U(±1/√(in/4))"),
            Claim(r"tail\.1\.1\.weight", "U(±1/√(in/16))"),
        ),
        "head and tails are Linears without bias",
    ),
    Default(
        "LinearCrossEntropyLoss",
        "LinearCrossEntropyLoss(96, 64)",
        lambda: nn.LinearCrossEntropyLoss(96, 64),
        (Claim(r"linear\.weight", "U(±1/√in)"),),
        "its projection is a Linear without bias",
    ),
)


def construct(default: Default, seed: int) -> nn.Module:
    """The module as torch constructs it after ``torch.manual_seed(seed)``, in any thread."""
    with torch_seeded(seed):
        return default.build()


def measure_default(default: Default, seed: int = 0) -> list[Check]:
    """Construct the module and hold every claim against its tensors.

    Tensors that one claim covers are measured apart and merged; a copy counts once. A tensor that
    no claim covers, and a claim that covers none, is a check that does not hold.
    """
    module = construct(default, seed)
    found = {place.name: place for place in places(module)}
    state: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    dims = infer_dims(list(found.values()))
    left = dict(found)
    checks = []
    for claim in default.claims:
        names = [name for name in found if re.fullmatch(claim.pattern, name)]
        for name in names:
            left.pop(name, None)
        copies = default.identical[1] if default.identical else None
        own = [name for name in names if not copies or not name.startswith(copies)]
        laws = [claim.law or _law(found[name], dims, claim.block) for name in own]
        parts = [
            state[name].detach()[dict(found[name].blocks).get(claim.block, ())] for name in own
        ]
        checks.append(_check(default.module, claim, own, laws, parts))
    checks += [Check(default.module, name, "no claim", None, None, None, False) for name in left]
    if default.identical:
        first, second = default.identical
        pairs = [(n, n.replace(first, second, 1)) for n in state if n.startswith(first)]
        equal = bool(pairs) and all(torch.equal(state[a], state[b]) for a, b in pairs)
        both = f"{first}* and {second}*"
        checks.append(Check(default.module, both, "bit-identical", None, None, None, equal))
    return checks


def _law(place: Place, dims: Dims, block: str) -> Law | None:
    """The one law that the recipe states for the tensor, or for a block of it."""
    expectation = get_recipe("torch").expected(place, dims)
    parts = expectation.parts if expectation else ()
    options = [option for part in parts if part.name == block for option in part.options]
    return options[0].law if len(options) == 1 else None


def _check(
    module: str, claim: Claim, names: list[str], laws: list[Law | None], parts: list[Tensor]
) -> Check:
    law = laws[0] if laws else claim.law
    if law is None or not all(other and _same(law, other) for other in laws) or not parts:
        return Check(module, claim.pattern, claim.form, law, None, None, False)
    count = sum(part.numel() for part in parts)
    grid = grid_for(law, count, "float32")
    measured = measure(parts[0].float(), grid)
    for part in parts[1:]:
        measured = measured.merge(measure(part.float(), grid))
    judged = fit(measured, law)
    covered = _names(names)
    if claim.block:
        covered += " of padding_idx" if claim.block == "padding" else ", other rows"
    return Check(module, covered, claim.form, law, measured, judged, judged.agrees)


def _same(a: Law, b: Law) -> bool:
    """Whether two laws are one, up to the rounding of the formulas they come from."""
    return a.family == b.family and a.mean == b.mean and math.isclose(a.std, b.std)


def _names(names: list[str]) -> str:
    """A short list of tensor names: the first ones in full, the rest counted."""
    if len(names) <= 5:
        return ", ".join(names)
    return f"{names[0]} and {len(names) - 1} more"


def as_dict(check: Check) -> dict[str, object]:
    """The check as plain data for JSON."""
    measured = check.measurement
    return {
        "module": check.module,
        "tensors": check.names,
        "form": check.form,
        "law": check.law.notation if check.law else None,
        "std": check.law.std if check.law else None,
        "measured_std": measured.std if measured and math.isfinite(measured.std) else None,
        "count": measured.count if measured else None,
        "holds": check.holds,
        "verdict": check.fit.verdict if check.fit else None,
    }
