"""Checks: what is amiss with tensors by themselves, and beside the others of their model.

Each check looks at all tensors and yields findings; ``CHECKS`` lists them. A tensor that agrees
with a recipe is not judged by principle.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from initcore.checkpoint import PIECE, Entry, Source, entries, in_pieces, title_of
from initcore.findings import (
    Audited,
    Finding,
    Model,
    finding_of,
    is_fresh,
    is_vector,
    is_weight,
    listed,
)
from initcore.fit import NEGLIGIBLE_STD
from initcore.identify import Identification
from initcore.laws import number
from initcore.layers import Layer
from initcore.measure import Measurement
from initcore.roles import MATRICES, STATISTICS
from initcore.schemes import xavier_std
from initcore.survey import Block, Repeats, Study, spread_error
from initcore.verdicts import check_recipe

# --- garbage ------------------------------------------------------------------------------------


def _check_garbage(model: Model) -> Iterator[Finding]:
    for row in model.rows:
        study, found = row.study, row.study.identification
        a_buffer = study.place.role == "buffer" and not row.name.endswith(STATISTICS)
        # A mask may hold infinities, and a single number any bound.
        if study.tied or a_buffer or (study.entry.count == 1 and not np.isnan(study.start).any()):
            continue
        if study.absurd or (found and found.family == "garbage"):
            evidence = found.sentence if found else study.note
            yield finding_of(
                "garbage",
                [row.name],
                "uninitialised memory, or an overflow",
                evidence,
                "initialise the tensor; torch.empty, to_empty and missing keys leave it as it was",
            )


def _check_clamped(model: Model) -> Iterator[Finding]:
    """Values piled up at the ends, or set to a bound far outside the law of all others."""
    for row in model.judged:
        study, found, m = row.study, row.study.identification, row.study.measurement
        if found is None or m is None or found.family in ("garbage", "none", "sinusoidal"):
            continue  # computed, as sines of positions are, or trained: no draw to speak of
        if any(study.spikes):
            low, high = study.spikes
            where = " and ".join(
                f"{count:,} values are exactly {number(end)}"
                for count, end in ((low, m.min), (high, m.max))
                if count
            )
            yield finding_of(
                "spikes",
                [row.name],
                "the values are clamped: a truncated normal that cuts instead of redrawing, as "
                "torch's did before 2.12 in 16 bits and at small std",
                f"{where} of {m.count:,}",
                "draw in float32 with a current torch.nn.init.trunc_normal_, then convert",
            )
        elif found.strays and not is_vector(study):
            rest, end = found.measurement, max(m.min, m.max, key=abs)
            yield finding_of(
                "strays",
                [row.name],
                "a truncated normal by the inverse of erf, as torch's before 2.12: where the "
                "uniform draw hits an end it is infinite, and clamped to a bound far outside; or "
                "single values are damaged",
                f"{found.strays:,} of {m.count:,} values of {row.name} at {number(end)}, "
                f"{number(abs(end - rest.mean) / rest.std)} times the std of all others",
                "draw with a current torch.nn.init.trunc_normal_, or with bounds of a few std",
            )


# --- copies -------------------------------------------------------------------------------------


# Numbers that count blocks or layers; those of conv1, fc2 and w3 tell parts of a block apart.
_COUNTER = re.compile(r"(?<![^.])\d+(?=\.)|(?<=layer|stage|block|group)_?\d+(?=\.)|(?<=_l)\d+")


def kin(name: str) -> str:
    """The name without the numbers of blocks: that of its like in the other blocks."""
    return _COUNTER.sub("#", name)


_COPY = re.compile(
    r"(?:^|[._])(?:ema|target|teacher|momentum|shadow|average|averaged|swa|key_encoder|"
    r"encoder_k|old|ref|reference|frozen)(?:[._]|\d|$)"
)


def _check_copies(model: Model) -> Iterator[Finding]:
    """Tensors that are one draw: bit-identical, sign-flipped, or at another scale.

    What begins with the same signs is looked at closely; whether two tensors are equal is decided
    by comparing all their values.
    """
    groups: dict[bytes, list[Audited]] = defaultdict(list)
    for row in model.judged:
        start, found = row.study.start, row.study.identification
        positions = row.study.place.role == "positions"
        if found and (found.family == "sinusoidal" or (found.family == "none" and positions)):
            continue  # computed, and so alike by right
        if is_vector(row.study) and not row.torch_draw:
            continue  # added to one sum, biases that began at zero get one gradient and stay equal
        # Of a few values, as of an identity, of ones that return, as of a grid of offsets, or of
        # ones in order equality says nothing; of a draw even 16 bits leave more.
        in_order = (start[1:] >= start[:-1]).all()
        if len(set(start.tolist())) >= max(16, 0.6 * len(start)) and not in_order:
            signs = np.signbit(start[:_SIGNS])
            groups[np.packbits(signs ^ signs[0]).tobytes()].append(row)
    same: dict[str, list[list[str]]] = defaultdict(list)
    for group in groups.values():
        left = group
        while len(left) > 1:
            first, *others = left
            kinds = {row.name: _relation(model, first, row) for row in others}
            for kind in ("identical", "flipped", "same_draw"):
                names = [row.name for row in others if kinds[row.name] == kind]
                if names:
                    same[kind].append([first.name, *names])
            left = [row for row in others if not kinds[row.name]]
    yield from _identical(model, same.pop("identical", []))
    texts = {
        "flipped": ("one is the negative of the other", "draw each on its own"),
        "same_draw": (
            "drawn with one seed: the values are the same up to a factor",
            "give each tensor the next values of one generator, instead of a new one of one seed",
        ),
    }
    for kind, sets in same.items():
        for names in sets:
            cause, fix = texts[kind]
            yield finding_of(kind, names, cause, f"{listed(names)}: compared value by value", fix)


# Signs of the first values by which tensors of one seed are found, whatever their scale.
_SIGNS = 16


def _relation(model: Model, a: Audited, b: Audited) -> str:
    """The code of the finding that two tensors which begin alike are; "" for none."""
    x, y = a.study.start, b.study.start
    n = min(len(x), len(y))
    x, y = x[:n], y[:n]
    if n < 16 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return ""
    factor = float(x @ y) / float(x @ x)
    # Rounding to 16 bits is the coarsest that two copies can differ by.
    if not np.allclose(y, factor * x, rtol=0.02, atol=0.02 * float(np.abs(y).mean())):
        return ""
    # Values that lie close about a mean, as 1 ± 0.02, are proportional whatever was drawn.
    told = n >= 32 and float(x.std()) > 0.2 * abs(float(x.mean()))
    one, other = (model.entries[row.name] for row in (a, b))
    if one.shape == other.shape and one.dtype == other.dtype and abs(factor) == 1:
        if _equal(one, other, 1 if factor > 0 else -1):
            return "identical" if factor > 0 else "flipped"
        return "same_draw" if told else ""
    return "same_draw" if told and abs(math.log(abs(factor))) > 1e-3 else ""


def _equal(one: Entry, other: Entry, sign: int) -> bool:
    assert one.values is not None
    assert other.values is not None
    for start, stop in in_pieces(one):
        first = one.values.read(start, stop)
        second = other.values.read(start, stop)
        if not torch.equal(first, second if sign > 0 else -second):
            return False
    return True


def _identical(model: Model, sets: list[list[str]]) -> Iterator[Finding]:
    roles = {row.name: row.study.place.role for row in model.rows}
    blocks: dict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for names in sets:
        held = {roles[name] for name in names}
        if held == {"embedding", "head"} and len(names) == 2:
            yield finding_of(
                "tied",
                names,
                "the head equals the embedding: tied, and saved twice",
                f"{listed(names)} are bit-identical",
                "nothing, if they are meant to be tied",
            )
        elif any(_COPY.search(name) for name in names):
            blocks["copies",].append(names)
        elif len({kin(name) for name in names}) == 1:
            blocks["layers",].append(names)
        else:
            blocks["names",].append(names)
    if ("names",) in blocks:  # the seed that made different layers equal made like ones equal
        blocks["names",] += blocks.pop(("layers",), [])
    for (kind, *_), groups in blocks.items():
        flat = [name for names in groups for name in names]
        if kind == "copies":
            yield finding_of(
                "copies",
                flat,
                "a second copy of a part of the model, as a target or an averaged network has",
                f"{len(groups)} sets of bit-identical tensors",
                "nothing, if the copy is meant",
            )
            continue
        count = len(groups[0])
        yield finding_of(
            "identical",
            flat,
            f"copies of one layer: {count} layers start equal"
            if kind == "layers"
            else "one draw used for several tensors: a reused seed, or a deep copy",
            f"{len(groups)} set{'s' if len(groups) > 1 else ''} of bit-identical tensors, such as "
            f"{listed(groups[0])}",
            "initialise each anew after the copy, such as by calling its reset_parameters"
            if kind == "layers"
            else "draw each on its own, from one generator",
        )


def _check_ties(model: Model) -> Iterator[Finding]:
    ties = [row for row in model.rows if row.study.tied]
    if ties:
        yield finding_of(
            "tied",
            [name for row in ties for name in (str(row.study.tied), row.name)],
            "one tensor under several names",
            f"{listed([f'{row.name} = {row.study.tied}' for row in ties])}: one in memory",
            "nothing, if they are meant to be tied",
        )


def _check_repeats(model: Model) -> Iterator[Finding]:
    for row in model.judged:
        if row.study.place.role == "other":  # a table, or what a parametrisation keeps
            continue
        for repeats in row.study.repeats:
            shared = _shared(model.entries[row.name], repeats)
            # Values in order are set, not drawn, as those of a state space model's A.
            if shared is None or torch.equal(shared.msort(), shared):
                continue
            what = "columns" if repeats.axis else "rows"
            first, second = repeats.pair
            share = repeats.copies / repeats.count
            if repeats.axis == 0 and any(b.name.startswith("expert") for b in row.study.blocks):
                yield finding_of(
                    "identical",
                    [row.name],
                    "experts that start equal: they were drawn with one seed",
                    f"{repeats.copies:,} of {repeats.count:,} experts equal an earlier one; expert "
                    f"{second:,} equals {first:,}",
                    "draw each expert on its own, from one generator",
                )
                continue
            evidence = (
                f"{repeats.copies:,} of {repeats.count:,} {what} equal an earlier one; "
                f"{what[:-1]} {second:,} equals {first:,}"
            )
            if share < 0.25 or repeats.copies < 2:
                yield finding_of(
                    "rows_few",
                    [row.name],
                    f"some {what} are copies of others",
                    evidence,
                    "nothing, if new entries were copied on purpose",
                )
                continue
            blocks = repeats.count / max(repeats.count - repeats.copies, 1)
            yield finding_of(
                "rows",
                [row.name],
                f"blocks of {repeats.lag:,} {what} repeat: shards drawn with one seed each"
                if repeats.lag > 1
                else f"{what} are copies of each other",
                f"{evidence}, {number(blocks)} copies",
                "give every rank its own seed, or draw the whole tensor and cut it",
            )


def _shared(entry: Entry, repeats: Repeats) -> Tensor | None:
    """The row of the pair that stands for the repeats; None where its two are not equal."""
    assert entry.values is not None
    row = math.prod(entry.shape[1:])
    first, second = repeats.pair
    if repeats.axis == 0:
        stop = min(row, PIECE)
        one = entry.values.read(first * row, first * row + stop)
        other = entry.values.read(second * row, second * row + stop)
    else:
        rows = min(entry.shape[0], max(PIECE // row, 1))
        one, other = entry.values.read(0, rows * row).reshape(rows, row)[:, repeats.pair].T
    return one if torch.equal(one, other) else None


# --- parts of one tensor ------------------------------------------------------------------------


def _is_drawn(part: Block) -> bool:
    found = part.identification
    return found is not None and found.family != "none" and found.confidence == "certain"


def _check_parts(model: Model) -> Iterator[Finding]:
    tied = {row.study.tied for row in model.rows}
    for row in model.judged:
        study = row.study
        # Training alone moves some rows more than others: those of frequent words and classes.
        if study.segments and (not row.may_have_moved or any(map(_is_drawn, study.segments))):
            stds = [f"{s.name}: std {number(s.measurement.std)}" for s in study.segments]
            yield finding_of(
                "appended",
                [row.name],
                "a run of rows has another scale: rows that were added later, not initialised, or "
                "never used in training",
                "; ".join(f"{text}" for text in stds[:4]),
                "draw the new rows from the law of the old ones, or from their mean",
            )
        padding = [block for block in study.blocks if block.name == "padding"]
        # To a head that shares the embedding, padding is a word like any other.
        if padding and not row.expected and row.state != "trained" and row.name not in tied:
            m = padding[0].measurement
            if m.zeros < m.count:
                yield finding_of(
                    "padding",
                    [row.name],
                    "the row of padding_idx is not zero, and gets no gradient: every padded "
                    "position has this vector for ever",
                    f"row {padding[0].index[0].start:,} has std {number(m.std)}",
                    "zero the row after initialising the weight",
                )
        differing = [block for block in study.blocks if block.identification]
        if not differing or row.may_have_moved or row.expected or _meant(study):
            continue
        stds = [f"{b.name}: std {number(b.measurement.std)}" for b in differing]
        if {b.measurement.std > 0 for b in differing} == {True}:
            yield finding_of(
                "blocks",
                [row.name],
                "parts of one tensor that belong together differ in scale",
                "; ".join(stds[:6]),
                "draw every part from its own law, with its own fans",
            )


def _meant(study: Study) -> bool:
    """Whether parts are expected to differ: a row of padding, the gates of a bias."""
    return "padding" in {block.name for block in study.blocks} or "bias" in study.place.role


# --- by principle, without a recipe -------------------------------------------------------------


def _unjudged(rows: Iterable[Audited]) -> Iterator[tuple[Audited, Identification, Measurement]]:
    """Tensors no recipe speaks of, at their initialisation."""
    for row in rows:
        found, m = row.study.identification, row.study.measurement
        if row.expected is None and found and m and row.state == "at init" and m.std:
            yield row, found, m


def _check_fans(model: Model) -> Iterator[Finding]:
    """Scales that the fans of another product explain, and those of this one do not."""
    for row, found, m in _unjudged(model.matrices):
        place = row.study.place
        layer = place.layer
        if layer is None or found.family not in ("uniform", "normal"):
            continue
        if place.role == "qkv":
            part = Layer("linear", (layer.fan_in, max(layer.fan_out // 3, 1)))
            own, error = m.std / xavier_std(part), spread_error(m)
            whole = m.std / xavier_std(layer)
            off = math.sqrt((layer.fan_in + layer.fan_out) / (layer.fan_in + part.fan_out))
            if abs(whole - 1) <= max(NEGLIGIBLE_STD, 4 * error) and off > 1.02:
                yield finding_of(
                    "packed",
                    [row.name],
                    "q, k and v are packed in one matrix, and Xavier's fan_out counts all three",
                    f"std {number(m.std)} is {number(own)} × Xavier's for each of the three, "
                    f"1/{number(off)} of it",
                    "initialise each third on its own, or pass gain √2",
                )
        elif layer.groups > 1:
            yield from _grouped(row, found, m, layer)
        elif len(place.shape) == 3 and place.role in MATRICES:
            stored = Layer("conv1d", (place.shape[1], place.shape[0], place.shape[2]))
            yield from _read_off(row, m, layer, stored, "the stacked shape")
        elif place.transposed:
            stored = Layer("linear", (layer.fan_out, layer.fan_in))
            yield from _read_off(row, m, layer, stored, "the shape as stored, (in, out)")


def _canonical(layer: Layer) -> dict[str, float]:
    """The stds that the named schemes give a layer, by its fans."""
    fan_in, fan_out = float(layer.fan_in), float(layer.fan_out)
    return {
        "torch's default": 1 / math.sqrt(3 * fan_in),
        "LeCun's": 1 / math.sqrt(fan_in),
        "He's fan_in": math.sqrt(2 / fan_in),
        "He's fan_out": math.sqrt(2 / fan_out),
        "Xavier's": xavier_std(layer),
    }


def _grouped(
    row: Audited, found: Identification, m: Measurement, layer: Layer
) -> Iterator[Finding]:
    inputs, outputs = layer.size[:2]
    kernel = math.prod(layer.kernel)
    fans = inputs * kernel, outputs * kernel
    near = max(NEGLIGIBLE_STD, 4 * spread_error(m))
    right = {
        "torch's default": 1 / math.sqrt(3 * layer.fan_in),
        "LeCun's": 1 / math.sqrt(layer.effective_fan_in),
        "He's fan_in": math.sqrt(2 / layer.effective_fan_in),
        "He's fan_out": math.sqrt(2 / layer.effective_fan_out),
        "a fixed": 0.02,
    }
    if any(abs(m.std / std - 1) <= near for std in right.values()):
        return
    wrong = {
        # First what torch itself does: its fan_out counts all groups, its fan_in one.
        "He's fan_out": math.sqrt(2 / fans[1]),
        "He's fan_in": math.sqrt(2 / fans[0]),
        "torch's default": 1 / math.sqrt(3 * fans[0]),
        "LeCun's": 1 / math.sqrt(fans[0]),
    }
    for name, std in wrong.items():
        if abs(m.std / std - 1) <= near:
            yield finding_of(
                "fans",
                [row.name],
                "the fan counts all groups, though a unit is connected within its own group only: "
                "std ÷ √groups",
                f"std {number(m.std)} of {row.name} is {number(m.std / right[name])} × {name} "
                f"scale for one group, 1/√{layer.groups} = {number(layer.groups**-0.5)}",
                "divide the fan by groups",
            )
            return


def _read_off(
    row: Audited, m: Measurement, layer: Layer, stored: Layer, what: str
) -> Iterator[Finding]:
    near = max(NEGLIGIBLE_STD, 4 * spread_error(m))
    if any(abs(m.std / std - 1) <= near for std in _canonical(layer).values()):
        return
    for name, std in _canonical(stored).items():
        if abs(m.std / std - 1) <= near:
            yield finding_of(
                "fans",
                [row.name],
                f"the fan was read off {what}, which is not that of one matrix product",
                f"std {number(m.std)} is {name} scale for fans {stored.fan_in:,} and "
                f"{stored.fan_out:,}; one matrix has {layer.fan_in:,} and {layer.fan_out:,}",
                "initialise each matrix on its own, as (out, in)",
            )
            return


# From this factor on no gain explains what a weight does to a signal: Xavier's for a sigmoid is 4,
# and Inception's convolutions, which norms follow, reach 6.4.
_TOO_LARGE = 8
# How far the singular value of a matrix's mean lies above all others where it leads.
_LEADING = 2


def _check_scale(model: Model) -> Iterator[Finding]:
    """Weights of a mean or a scale that no scheme explains."""
    for row, what, m in _unjudged(model.matrices):
        place = row.study.place
        rows, columns = place.shape[0], math.prod(place.shape[1:])
        # Singular values: of the mean alone, and the largest about it. Marchenko & Pastur 1967.
        by_mean = abs(m.mean) * math.sqrt(rows * columns)
        by_chance = m.std * (math.sqrt(rows) + math.sqrt(columns))
        inputs = place.layer.effective_fan_in if place.layer else columns
        factor = m.std * math.sqrt(inputs)
        if by_mean > _LEADING * by_chance:
            cause = "the weights are not centred: all units start as nearly one sum"
            if m.min >= 0:
                slip = "rand, or uniform_(weight, 0.1), which sets the low end"
                cause = f"all weights are positive: {slip}"
            yield finding_of(
                "offset",
                [row.name],
                cause,
                f"mean {number(m.mean)} and std {number(m.std)} in {row.name}: a singular value of "
                f"{number(by_mean)} beside {number(by_chance)} for the largest other, derived",
                "draw about 0, such as by uniform_(weight, -b, b)",
            )
        elif factor >= _TOO_LARGE and place.role != "head" and not _knows_a_fan(what):
            near = max(NEGLIGIBLE_STD, 4 * spread_error(m))
            cause, fix = (
                "a scale that knows no fan",
                "divide by √fan_in, as LeCun's and Kaiming's schemes do",
            )
            if what.family == "normal" and abs(m.std - 1) < near:
                cause = "a std of 1: randn, or normal_(weight, 0.02), which sets the mean"
                fix = "set the std, unless the layer itself divides by √fan_in"
            yield finding_of(
                "large",
                [row.name],
                cause,
                f"std {number(m.std)} over {inputs:,} inputs multiplies the std of a signal by "
                f"{number(factor)} in {row.name}",
                fix,
            )


def _knows_a_fan(found: Identification) -> bool:
    by_fans = ("default", "xavier", "kaiming", "lecun", "orthogonal")
    return any(candidate.scheme.startswith(by_fans) for candidate in found.schemes)


def _check_norms(model: Model) -> Iterator[Finding]:
    """A norm's scale drawn about zero, as by an initialisation meant for matrices."""
    for row in model.judged:
        m, found = row.study.measurement, row.study.identification
        if row.study.place.role != "norm" or row.expected or row.among_trained or m is None:
            continue
        drawn = row.torch_draw or (found is not None and found.named)
        if row.state != "trained" and drawn and m.std > abs(m.mean):
            yield finding_of(
                "norm",
                [row.name],
                "the scale of a norm is drawn about zero: units are switched off or reversed by "
                "chance",
                f"{row.name} has mean {number(m.mean)}, std {number(m.std)}",
                "set it to 1, and leave norms out of what is drawn",
            )


def _is_default(found: Identification) -> bool:
    return any(c.scheme == "default" or c.label == "kaiming_uniform(a=√5)" for c in found.schemes)


def _check_default(model: Model) -> Iterator[Finding]:
    """Torch's default where most other weights were initialised otherwise.

    Code that initialises goes by the type of a layer: a type that was left alone altogether may be
    meant, as the classifier of a ResNet is.
    """
    rows = [
        (row, found)
        for row, found, _ in _unjudged(model.matrices)
        # A parameter of one's own has no default.
        if "weight" in row.name and not _left_by_attention(row.name, model)
    ]
    left = [row for row, found in rows if _is_default(found)]
    changed = {_type(row) for row, found in rows if not _is_default(found)}
    if not left or 2 * len(left) >= len(rows):
        return
    for severity, names in (
        ("warning", [row.name for row in left if _type(row) in changed]),
        ("info", [row.name for row in left if _type(row) not in changed]),
    ):
        if names:
            yield finding_of(
                "default",
                names,
                "torch's default was never replaced here, though it was elsewhere",
                f"{len(left)} of {len(rows)} weights have the default law, such as {names[0]}",
                "extend the initialisation to these modules, if the default is not meant",
                "warning" if severity == "warning" else "info",
            )


def _left_by_attention(name: str, model: Model) -> bool:
    """Whether torch's own attention leaves a weight at the default, beside q, k and v by Xavier."""
    above, found, _ = name.rpartition("out_proj.weight")
    return bool(found) and f"{above}q_proj_weight" in model.entries


def _type(row: Audited) -> str:
    layer = row.study.place.layer
    return layer.slug if layer else row.study.place.role


def _check_odd(model: Model) -> Iterator[Finding]:
    """A tensor whose scale is not that of its like in the other blocks."""
    groups: dict[tuple[str, tuple[int, ...]], list[Audited]] = defaultdict(list)
    for row in model.matrices:
        if row.expected is None and row.study.measurement and not row.may_have_moved:
            groups[kin(row.name), row.study.place.shape].append(row)
    for rows in groups.values():
        if len(rows) < 3:
            continue
        stds = np.array([_std(row) for row in rows])
        middle = float(np.median(stds))
        odd = [
            row
            for row, std in zip(rows, stds, strict=True)
            if abs(std - middle) > max(0.1, 5 * _chance(row)) * middle
        ]
        if odd and len(odd) <= len(rows) / 3:
            yield finding_of(
                "odd",
                [row.name for row in odd],
                "its scale is not that of its like in the other blocks",
                f"{odd[0].name} has std {number(_std(odd[0]))}, the median of {len(rows)} is "
                f"{number(middle)}",
                "initialise it as the others; a missing key may have left it out",
            )


def _chance(row: Audited) -> float:
    assert row.study.measurement is not None
    return spread_error(row.study.measurement)


def _std(row: Audited) -> float:
    assert row.study.measurement is not None
    std = row.study.measurement.std
    return std if math.isfinite(std) else 0.0


def _check_fresh(model: Model) -> Iterator[Finding]:
    """Weights still at their initialisation among trained ones."""
    weights = [row for row in model.judged if len(row.study.place.shape) > 1]
    trained = [row for row in weights if row.state == "trained"]
    fresh = [row for row in weights if is_fresh(row)]
    if len(trained) <= len(fresh):
        return
    # A recipe that is met, an adapter and a head are as they are before fine-tuning.
    new = [row for row in fresh if row.agrees or row.study.place.role in _NEW]
    texts = {
        "warning": "still at its initialisation, among trained weights: never loaded, or never "
        "trained",
        "info": "new beside trained weights, as before fine-tuning",
    }
    for severity, rows in (("warning", [r for r in fresh if r not in new]), ("info", new)):
        if rows:
            found = rows[0].study.identification
            assert found is not None
            yield finding_of(
                "fresh",
                [row.name for row in rows],
                texts[severity],
                f"{len(trained)} weights are trained; {rows[0].name}: {found.sentence}",
                "check that its key is in the checkpoint, and that it gets a gradient",
                "warning" if severity == "warning" else "info",
            )


# What people add to a trained model.
_NEW = ("head", "lora_a", "lora_b")


def _check_forget_bias(model: Model) -> Iterator[Finding]:
    """A forget bias on both of an LSTM's biases: torch adds the two."""
    cells: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for row in model.judged:
        for block in row.study.blocks:
            m = block.measurement
            if row.study.place.role == "recurrent_bias" and block.name == "f" and m.min == m.max:
                cells[re.sub("bias_(ih|hh)", "bias", row.name)].append((row.name, m.min))
    for biases in cells.values():
        values = [value for _, value in biases]
        if len(biases) == 2 and all(values):
            yield finding_of(
                "forget_bias",
                [name for name, _ in biases],
                "the forget bias is set on both biases, which add up",
                f"{number(values[0])} + {number(values[1])} = {number(sum(values))}",
                "set it on one of the two, and the other to zero",
            )


# Weights in a row of which one may be zero, and not both: each is the other's gradient.
_PAIRS = (
    ("q", "k"),
    ("v", "attention_out"),
    ("mlp_in", "mlp_out"),
    ("lora_a", "lora_b"),
    ("conv", "conv"),
    ("linear", "linear"),
    ("linear", "head"),
)
# What multiplies a branch entry by entry is no matrix, whatever its shape; perhaps of an adapter,
# whose name comes last.
_MULTIPLIER = re.compile(
    r"(?:^|[._])(?:alpha|beta|gamma|scale|gain|temperature)s?_?\d?(?:\.(?!weight$|bias$)\w+)?$"
)


def _check_zeros(model: Model) -> Iterator[Finding]:
    """Zeros and constants that are no one's intention."""
    weights = [
        row
        for row in model.judged
        if (is_weight(row.study) and not _MULTIPLIER.search(row.name))
        or row.study.place.role in ("lora_a", "lora_b")
    ]
    blocks: dict[tuple[str, int | None], list[Audited]] = defaultdict(list)
    for row in weights:
        place = row.study.place
        key = place.stack if place.depth is not None else place.name.rpartition(".")[0]
        if place.role in ("lora_a", "lora_b"):
            key = re.sub(r"lora_[AaBb].*", "", place.name)
        elif place.depth is None:
            key = ""
        blocks[key, place.depth].append(row)
    for rows in blocks.values():
        for one, two in _neighbours(rows):
            if _all_zero(one) and _all_zero(two) and not (one.agrees and two.agrees):
                yield finding_of(
                    "dead",
                    [one.name, two.name],
                    "two weights in a row are zero: the gradient of each is a product with the "
                    "other, so that neither ever changes",
                    f"all {one.study.entry.count:,} and {two.study.entry.count:,} values are 0",
                    "draw one of the two",
                )
    # Equal tokens ask the same and are told the same, as equal units do.
    for row in [*weights, *(row for row in model.judged if row.study.place.role == "token")]:
        m = row.study.measurement
        shape = row.study.place.shape
        split = -1 if row.study.place.role == "token" else 1
        several = min(math.prod(shape[:split]), math.prod(shape[split:])) > 1
        if several and m is not None and m.min == m.max != 0 and not row.agrees:
            yield finding_of(
                "constant",
                [row.name],
                "every unit computes the same and gets the same gradient: they stay equal",
                f"all {m.count:,} values are {number(m.min)}",
                "draw the weight at random",
            )


def _neighbours(rows: list[Audited]) -> Iterator[tuple[Audited, Audited]]:
    for i, one in enumerate(rows):
        for two in rows[i + 1 :]:
            pair = one.study.place.role, two.study.place.role
            # Layers of no known place in a block follow each other in the order of their names.
            beside = two is rows[i + 1] and _reads(two, one)
            named = not {"conv", "linear"} & set(pair)
            if (named or beside) and (pair in _PAIRS or pair[::-1] in _PAIRS):
                yield one, two


def _reads(two: Audited, one: Audited) -> bool:
    """Whether the second can be a product with what the first gives, by their sizes."""
    inner, outer = two.study.place.layer, one.study.place.layer
    return inner is None or outer is None or inner.size[0] == outer.size[1] > 1


def _all_zero(row: Audited) -> bool:
    m = row.study.measurement
    return m is not None and m.zeros == m.count


def _check_doubled(model: Model) -> Iterator[Finding]:
    """A constant other than 0 in both of a recurrent layer's biases, which add up."""
    biases = {row.name: row for row in model.judged if row.study.place.role == "recurrent_bias"}
    for name, row in biases.items():
        other = biases.get(name.replace("_ih", "_hh"))
        if other is None or other is row:
            continue
        pairs = zip(row.study.blocks, other.study.blocks, strict=False)
        for one, two in pairs if not (row.agrees and other.agrees) else ():
            m = one.measurement
            if m.min == m.max == two.measurement.min == two.measurement.max != 0:
                gate = {"f": "the forget bias"}.get(one.name, f"the bias of gate {one.name}")
                yield finding_of(
                    "doubled",
                    [name, other.name],
                    f"{gate} is set on both biases, which add up",
                    f"{number(m.min)} in each gives {number(2 * m.min)}",
                    "set it on one of the two, and the other to 0",
                )


def _check_head(model: Model) -> Iterator[Finding]:
    # An embedding that is a head, too, is judged by what is expected of the head.
    tied = {row.study.tied: row for row in model.rows if row.study.place.role == "head"}
    for row in model.judged:
        place, m = row.study.place, row.study.measurement
        head = row if place.role == "head" else tied.get(row.name)
        if head is None or m is None or head.agrees or len(place.shape) != 2:
            continue
        logits = m.std * math.sqrt(place.shape[1])
        if row.state == "at init" and logits > 5:
            yield finding_of(
                "head",
                [row.name],
                "the head has an embedding's scale: √d too large for a matrix product",
                f"std {number(m.std)} over d = {place.shape[1]:,} inputs of std 1 gives logits of "
                f"std {number(logits)}",
                "give it a std of 1/√d, or scale the logits by that, where it is tied",
            )


def _check_depth(model: Model) -> Iterator[Finding]:
    """Which power of depth the scale of the residual projections follows."""
    groups: dict[tuple[str, str, str], list[tuple[int, Audited]]] = defaultdict(list)
    for row in model.matrices:
        place = row.study.place
        if place.depth is not None and row.state == "at init" and _std(row):
            groups[place.stack, place.role, kin(row.name)].append((place.depth, row))
    for (_, role, _), members in groups.items():
        depths = np.array([depth for depth, _ in members], dtype=float)
        if len(set(depths)) < 3:
            continue
        stds = np.array([_std(row) for _, row in members])
        slope, level = np.polyfit(np.log(depths + 1), np.log(stds), 1)
        rest = float(np.std(np.log(stds) - slope * np.log(depths + 1) - level))
        if abs(slope + 0.5) > 0.05 or rest > 0.05:
            continue
        yield finding_of(
            "depth",
            [row.name for _, row in members],
            f"the std of {role} falls as (ℓ + 1)^−½: scaled block by block",
            f"fitted power {number(float(slope), 3)} over {len(members)} blocks, "
            f"{number(float(stds[0]))} to {number(float(stds[-1]))}",
            "nothing, if this is meant",
        )


def _check_unmeasured(model: Model) -> Iterator[Finding]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in model.rows:
        study = row.study
        if study.note and not study.absurd and study.place.role != "buffer":
            reasons[study.note].append(row.name)
    for note, names in reasons.items():
        yield finding_of(
            "unmeasured", names, f"not measured: {note}", f"{len(names)} tensors", "convert it"
        )


CHECKS: tuple[Callable[[Model], Iterator[Finding]], ...] = (
    _check_garbage,
    _check_clamped,
    check_recipe,
    _check_copies,
    _check_repeats,
    _check_zeros,
    _check_forget_bias,
    _check_parts,
    _check_fans,
    _check_scale,
    _check_norms,
    _check_default,
    _check_odd,
    _check_fresh,
    _check_doubled,
    _check_head,
    _check_depth,
    _check_ties,
    _check_unmeasured,
)


# --- against a checkpoint -----------------------------------------------------------------------


def check_against(model: Model, checkpoint: Source) -> Iterator[Finding]:
    """Which tensors equal the checkpoint's, which are fresh draws, which are neither."""
    theirs = {_bare(entry.name): entry for entry in entries(checkpoint)}
    mine = {_bare(row.name): row for row in model.rows}
    title = title_of(checkpoint)
    missing = [row.name for bare, row in mine.items() if bare not in theirs]
    if missing:
        yield finding_of(
            "missing",
            missing,
            f"{title} does not have these tensors",
            f"{len(missing)} of {len(mine)} names",
            "check the names; what is not loaded keeps its initialisation",
        )
    unexpected = [entry.name for bare, entry in theirs.items() if bare not in mine]
    if unexpected:
        yield finding_of(
            "unexpected",
            unexpected,
            "the checkpoint has tensors that the model does not",
            f"{len(unexpected)} of {len(theirs)} names, such as {listed(unexpected)}",
            "check the names and the model's sizes",
        )
    groups: dict[str, list[str]] = defaultdict(list)
    for bare, row in mine.items():
        if bare in theirs and not row.study.tied:
            groups[_loaded(model, row, theirs[bare])].append(row.name)
    texts = {
        "loaded": ("equal to the checkpoint", "nothing"),
        "shape": ("another shape than in the checkpoint", "build the model with the same sizes"),
        "not_loaded": (
            "a fresh draw, where the checkpoint has other values: initialised after loading, or "
            "never loaded",
            "load the checkpoint last; skip the initialisation of loaded modules",
        ),
        "changed": ("neither the checkpoint's values nor a fresh draw: trained since", "nothing"),
    }
    for code, names in groups.items():
        if code in texts:
            cause, fix = texts[code]
            yield finding_of(code, names, cause, f"{len(names)} of {len(mine)} tensors", fix)


def _bare(name: str) -> str:
    return name.removeprefix("module.").removeprefix("_orig_mod.")


def _loaded(model: Model, row: Audited, theirs: Entry) -> str:
    mine = model.entries[row.name]
    if mine.shape != theirs.shape:
        return "shape"
    if mine.values is None or theirs.values is None:
        return ""
    if mine.dtype == theirs.dtype and _equal(mine, theirs, 1):
        return "loaded"
    if mine.dtype != theirs.dtype and _equal_rounded(mine, theirs):
        return "loaded"
    if replace(row, among_trained=False).state != "at init":
        return "changed"
    if row.torch_draw:
        return "not_loaded"
    kept = _kept(mine, theirs)
    return "changed" if (row.is_doubtful if kept is None else kept) else "not_loaded"


def _kept(mine: Entry, theirs: Entry) -> bool | None:
    """Whether something of the checkpoint's values is left in a tensor's; None: too few to tell."""
    assert mine.values is not None
    assert theirs.values is not None
    count = min(mine.count, 2**16)
    x, y = mine.values.read(0, count).double(), theirs.values.read(0, count).double()
    x, y = x - x.mean(), y - y.mean()
    size = float(x.norm() * y.norm())
    if count < 100 or not size > 0 or not math.isfinite(size):
        return None
    return abs(float(x @ y)) / size > 5 / math.sqrt(count)


def _equal_rounded(mine: Entry, theirs: Entry) -> bool:
    """Whether the checkpoint's values, in the model's dtype, are the model's."""
    assert mine.values is not None
    assert theirs.values is not None
    for start, stop in in_pieces(mine):
        first = mine.values.read(start, stop)
        if not torch.equal(first, theirs.values.read(start, stop).to(first.dtype)):
            return False
    return True
