"""Defaults: what every parameterised torch.nn module does when you construct it, measured live.

Each record of ``DEFAULTS`` constructs a module and claims the law of each of its tensors;
``measure_default`` draws it under the installed torch and checks the claims.

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
from initcore.laws import Law, Normal, Uniform, constant
from initcore.measure import Measurement, grid_for, measure


@dataclass(frozen=True)
class Claim:
    """The law that a module's constructor gives to the tensors whose names match ``pattern``.

    ``form`` is the closed form as people write it. ``rows`` restricts the claim to some rows.
    """

    pattern: str
    form: str
    law: Law
    rows: slice | None = None


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


def _u(pattern: str, form: str, bound: float) -> Claim:
    return Claim(pattern, form, Uniform(-bound, bound))


def _c(pattern: str, value: float, rows: slice | None = None) -> Claim:
    return Claim(pattern, f"{value:g}", constant(value), rows)


def _n(pattern: str, form: str, std: float, rows: slice | None = None) -> Claim:
    return Claim(pattern, form, Normal(0.0, std), rows)


def _both(form: str, fan: float) -> tuple[Claim, Claim]:
    """Weight and bias uniform within one over the root of a fan."""
    bound = 1 / math.sqrt(fan)
    return _u("weight", form, bound), _u("bias", form, bound)


_UNIT = (_c("weight", 1.0), _c("bias", 0.0))
_RUNNING = (_c("running_mean|num_batches_tracked", 0.0), _c("running_var", 1.0))


def _convolutions() -> list[Default]:
    records = []
    for transposed in (False, True):
        for d, k in ((1, 9), (2, 3), (3, 3)):
            name = f"Conv{'Transpose' if transposed else ''}{d}d"
            fan = (16 if transposed else 8) * k**d
            side = "out" if transposed else "in"
            form = f"U(±1/√(({side}/groups)·k))"
            module = getattr(nn, name)
            code = f"{name}(16, 32, {k}, groups=2)"
            records.append(
                Default(
                    name,
                    code,
                    lambda module=module, k=k: module(16, 32, k, groups=2),  # type: ignore[misc]
                    _both(form, fan),
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
                    _both(form, fan),
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
_RECURRENT = (_u("(weight|bias)_.*", "U(±1/√hidden)", 1 / math.sqrt(_H)),)
_E = 64  # embedding dimension of the attention records


def _attention(prefix: str = "") -> tuple[Claim, ...]:
    return (
        _u(f"{prefix}in_proj_weight", "U(±√(6/(E+3E)))", math.sqrt(6 / (4 * _E))),
        _u(f"{prefix}out_proj.weight", "U(±1/√E)", 1 / math.sqrt(_E)),
        _c(f"{prefix}(in_proj_bias|out_proj.bias)", 0.0),
    )


_FF = 128
_BLOCK_LINEARS = (
    _u(r".*linear1\.(weight|bias)", "U(±1/√E)", 1 / math.sqrt(_E)),
    _u(r".*linear2\.(weight|bias)", "U(±1/√ff)", 1 / math.sqrt(_FF)),
    _c(r".*norm\d?\.weight", 1.0),
    _c(r".*norm\d?\.bias", 0.0),
)
_TRANSFORMER_BLOCK = (*_attention(r".*attn\."), *_BLOCK_LINEARS)


def _xavier(pattern: str, form: str, fans: float) -> Claim:
    return _u(pattern, form, math.sqrt(6 / fans))


DEFAULTS: tuple[Default, ...] = (
    Default(
        "Linear",
        "Linear(96, 64)",
        lambda: nn.Linear(96, 64),
        _both("U(±1/√in)", 96),
        "often taken for Xavier: it is not, its std is 0.577/√in",
    ),
    Default(
        "LazyLinear",
        "LazyLinear(64), after a forward pass of 96 features",
        lambda: _after_forward(nn.LazyLinear(64), torch.zeros(1, 96)),
        _both("U(±1/√in)", 96),
    ),
    Default(
        "Bilinear",
        "Bilinear(24, 16, 32)",
        lambda: nn.Bilinear(24, 16, 32),
        _both("U(±1/√in1)", 24),
        "only the first input counts",
    ),
    *_convolutions(),
    Default(
        "Embedding",
        "Embedding(100, 64, padding_idx=0)",
        lambda: nn.Embedding(100, 64, padding_idx=0),
        (_c("weight", 0.0, slice(0, 1)), _n("weight", "N(0, 1)", 1.0, slice(1, None))),
        "the row of padding_idx is zero",
    ),
    Default(
        "EmbeddingBag",
        "EmbeddingBag(100, 64, padding_idx=0)",
        lambda: nn.EmbeddingBag(100, 64, padding_idx=0),
        (_c("weight", 0.0, slice(0, 1)), _n("weight", "N(0, 1)", 1.0, slice(1, None))),
        "the row of padding_idx is zero",
    ),
    Default("RNN", f"RNN(32, {_H})", lambda: nn.RNN(32, _H), _RECURRENT, "whatever the input size"),
    Default(
        "LSTM",
        f"LSTM(32, {_H}, proj_size=24)",
        lambda: nn.LSTM(32, _H, proj_size=24),
        _RECURRENT,
        "both biases, and the projection, too",
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
            _xavier("q_proj_weight", "U(±√(6/(E+E)))", 2 * _E),
            _xavier("k_proj_weight", "U(±√(6/(E+kdim)))", _E + 32),
            _xavier("v_proj_weight", "U(±√(6/(E+vdim)))", _E + 48),
            _u("out_proj.weight", "U(±1/√E)", 1 / math.sqrt(_E)),
            _c("in_proj_bias|out_proj.bias", 0.0),
            _n("bias_[kv]", "N(0, 1/E)", 1 / math.sqrt(_E)),
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
            _xavier(r".*in_proj_weight", "U(±√(6/(E+3E)))", 4 * _E),
            _xavier(r".*out_proj\.weight", "U(±√(6/(E+E)))", 2 * _E),
            _xavier(r".*linear[12]\.weight", "U(±√(6/(E+ff)))", _E + _FF),
            _c(r".*(in_proj_bias|out_proj\.bias)", 0.0),
            _u(r".*linear1\.bias", "U(±1/√E)", 1 / math.sqrt(_E)),
            _u(r".*linear2\.bias", "U(±1/√ff)", 1 / math.sqrt(_FF)),
            _c(r".*norm\d?\.weight", 1.0),
            _c(r".*norm\d?\.bias", 0.0),
        ),
        "re-draws every matrix by Xavier uniform; the biases of the linears stay",
    ),
    Default("LayerNorm", "LayerNorm(64)", lambda: nn.LayerNorm(64), _UNIT),
    Default("GroupNorm", "GroupNorm(4, 64)", lambda: nn.GroupNorm(4, 64), _UNIT),
    Default("RMSNorm", "RMSNorm(64)", lambda: nn.RMSNorm(64), (_c("weight", 1.0),)),
    *_norms(),
    Default("SyncBatchNorm", "SyncBatchNorm(8)", lambda: nn.SyncBatchNorm(8), _UNIT + _RUNNING),
    Default("PReLU", "PReLU(8)", lambda: nn.PReLU(8), (_c("weight", 0.25),)),
    Default(
        "AdaptiveLogSoftmaxWithLoss",
        "AdaptiveLogSoftmaxWithLoss(64, 200, [50, 100], div_value=4.0)",
        lambda: nn.AdaptiveLogSoftmaxWithLoss(64, 200, [50, 100], div_value=4.0),
        (
            _u(r"head\.weight|tail\.\d\.0\.weight", "U(±1/√in)", 1 / math.sqrt(64)),
            _u(r"tail\.0\.1\.weight", "U(±1/√(in/4))", 1 / math.sqrt(16)),
            _u(r"tail\.1\.1\.weight", "U(±1/√(in/16))", 1 / math.sqrt(4)),
        ),
        "head and tails are Linears without bias",
    ),
    Default(
        "LinearCrossEntropyLoss",
        "LinearCrossEntropyLoss(96, 64)",
        lambda: nn.LinearCrossEntropyLoss(96, 64),
        (_u(r"linear\.weight", "U(±1/√in)", 1 / math.sqrt(96)),),
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
    tensors = {name: tensor.detach() for name, tensor in module.named_parameters()}
    tensors |= {name: tensor.detach() for name, tensor in module.named_buffers()}
    left = dict(tensors)
    checks = []
    for claim in default.claims:
        names = [name for name in tensors if re.fullmatch(claim.pattern, name)]
        for name in names:
            left.pop(name, None)
        copies = default.identical[1] if default.identical else None
        own = {name: tensors[name] for name in names if not copies or not name.startswith(copies)}
        checks.append(_check(default.module, claim, own))
    checks += [Check(default.module, name, "no claim", None, None, None, False) for name in left]
    if default.identical:
        first, second = default.identical
        pairs = [(n, n.replace(first, second, 1)) for n in tensors if n.startswith(first)]
        equal = bool(pairs) and all(torch.equal(tensors[a], tensors[b]) for a, b in pairs)
        both = f"{first}* and {second}*"
        checks.append(Check(default.module, both, "bit-identical", None, None, None, equal))
    return checks


def _check(module: str, claim: Claim, tensors: dict[str, Tensor]) -> Check:
    if not tensors:
        return Check(module, claim.pattern, claim.form, claim.law, None, None, False)
    parts = [t[claim.rows] if claim.rows else t for t in tensors.values()]
    count = sum(part.numel() for part in parts)
    grid = grid_for(claim.law, count, "float32")
    measured = measure(parts[0].float(), grid)
    for part in parts[1:]:
        measured = measured.merge(measure(part.float(), grid))
    judged = fit(measured, claim.law)
    covered = _names(list(tensors))
    if claim.rows:
        covered += " of padding_idx" if claim.rows.start == 0 else ", other rows"
    return Check(module, covered, claim.form, claim.law, measured, judged, judged.agrees)


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
