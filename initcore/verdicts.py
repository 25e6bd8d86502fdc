"""Verdicts: tensors held against the laws of a recipe, and what explains those that miss."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from initcore.draw import DTYPES, narrower_types
from initcore.findings import Audited, Finding, Model, finding_of, is_fresh
from initcore.fit import NEGLIGIBLE_STD, std_error
from initcore.identify import Identification
from initcore.laws import Constant, HaarCoordinate, Law, Normal, TruncatedNormal, number
from initcore.measure import Measurement
from initcore.ratios import Case, Cause, decode, decode_together
from initcore.recipes import Expectation, Option, Recipe
from initcore.roles import Dims
from initcore.survey import Block, Study

# Findings that a tensor is not as its recipe has it, by their codes.
AGAINST_RECIPE = ("scale", "value", "law", "mean", "not_fresh")


@dataclass(frozen=True)
class Verdict:
    """A tensor, or a part of one, held against the law it should have.

    found: what it holds. code: "" where it agrees, else that of the finding. ratio: measured std ÷
    the law's, error: its standard error; nan where the law has no spread.
    """

    name: str
    measurement: Measurement
    found: Identification
    option: Option
    code: str
    ratio: float
    error: float

    @property
    def family(self) -> str:
        return self.found.family


def held_against(study: Study, expected: Expectation) -> list[Verdict]:
    """Every part of a tensor that the expectation speaks of, with the law that comes nearest."""
    assert study.measurement is not None
    assert study.identification is not None
    whole = study.identification
    centre = next((part for part in expected.parts if part.name == "centre"), None)
    if centre and len(expected.parts) > 1:  # a kernel of one tap is an orthogonal matrix
        option = centre.options[0]
        delta = whole.family == "delta_orthogonal"
        delta = delta and _near(whole.params["scale"].value, option.law.high)
        code = "" if delta else "law"
        return [Verdict("", study.measurement, whole, option, code, math.nan, math.nan)]
    verdicts = []
    for part in expected.parts:
        parts = [block for block in study.blocks if block.index == part.index]
        if not part.index and not all(_is_pattern(option.law) for option in part.options):
            differing = [
                block for block in study.blocks if block.identification and not _is_padding(block)
            ]
            parts = list(study.segments) or differing
        if not parts:
            parts = [Block("", (), study.measurement, whole)]
        for block in parts:
            found = block.identification or whole
            # Strays are a finding of their own; the law is that of all others.
            m = block.identification.measurement if block.identification else block.measurement
            each = [_verdict(block.name, m, found, option) for option in part.options]
            verdicts.append(min(each, key=_badness))
    return verdicts


def _is_pattern(law: Law) -> bool:
    """Whether the values are at known places, as an identity's: its parts must differ."""
    return law.is_discrete and not isinstance(law, Constant)


def _is_padding(block: Block) -> bool:
    """Whether a part is the row of padding_idx and zero, which is right in any recipe."""
    return block.name == "padding" and block.measurement.zeros == block.measurement.count


def _badness(verdict: Verdict) -> tuple[bool, float]:
    off = abs(math.log(verdict.ratio)) if verdict.ratio > 0 else math.inf
    return bool(verdict.code), off


def _near(value: float, target: float) -> bool:
    return abs(value - target) <= 1e-3 * max(abs(target), 1e-12)


def _rounded(value: float, dtype: torch.dtype) -> set[float]:
    """A constant as a type holds it, also after a narrower one, as in a model that was cast."""
    own = torch.tensor(value, dtype=dtype)
    return {float(own), *(float(own.to(other)) for other in narrower_types(dtype))}


# A model has thousands of tensors, and one false alarm among a million of them is one too many.
_ERRORS = 5.5
_CHANCE = math.erfc(_ERRORS / math.sqrt(2))
# Families whose values a law can have produced; a law beside these is deterministic.
_FAMILIES = {
    "uniform": {"uniform"},
    "normal": {"normal"},
    "truncated normal": {"normal", "truncated_normal"},
    "orthogonal coordinate": {"orthogonal"},
    "sparse mixture": {"sparse"},
}


def _verdict(name: str, m: Measurement, found: Identification, option: Option) -> Verdict:
    law = option.law

    def say(code: str, ratio: float = math.nan, error: float = math.nan) -> Verdict:
        return Verdict(name, m, found, option, code, ratio, error)

    if found.family == "garbage":
        return say("garbage")
    if isinstance(law, Constant):
        right = m.min == m.max and m.min in _rounded(law.value, DTYPES[m.dtype])
        return say("" if right else "value")
    if _is_pattern(law):
        kinds = {"eye", "dirac", "ones", "constant"}
        scale = found.params.get("scale") or found.params.get("value")
        right = found.family in kinds and scale is not None and _near(scale.value, law.high)
        return say("" if right else "law")
    if found.family == "sinusoidal":
        return say("law")
    if m.finite < 2:
        return say("")
    ratio, error = m.std / law.std, std_error(law, m.finite)
    if not m.std:
        return say("scale", ratio, error)
    if isinstance(law, HaarCoordinate) and m.finite == law.dimension:
        # A single row or column may be of any family; its length is the gain.
        ratio = math.sqrt(m.sums[0] + m.finite * m.mean**2) / law.scale
        return say("scale" if abs(ratio - 1) > NEGLIGIBLE_STD else "", ratio, 0.0)
    allowed = max(NEGLIGIBLE_STD, _ERRORS * error * (1 + error))
    if isinstance(law, HaarCoordinate) and found.family == "orthogonal":
        # The gain is known to rounding; the entries of a small matrix leave their std to chance.
        ratio, error = found.params["gain"].value / law.scale, 0.0
        allowed = NEGLIGIBLE_STD
    off_scale = abs(ratio - 1) > allowed
    shift = max(_ERRORS / math.sqrt(m.finite), NEGLIGIBLE_STD) * law.std + 1e-30
    off_mean = abs(m.mean - law.mean) > shift
    # Of a hundred thousand fresh tensors one looks trained; training seldom keeps the scale.
    if found.family == "none" and (off_scale or off_mean):
        return say("not_fresh", ratio, error)
    if off_scale or off_mean:
        return say("scale" if off_scale else "mean", ratio, error)
    if found.family != "cannot_tell" and found.family not in _families(law, m):
        return say("law", ratio, error)
    return say("", ratio, error)


def _families(law: Law, m: Measurement) -> set[str]:
    families = set(_FAMILIES[law.family])
    # What is cut so far out that values reach it seldom looks like either.
    if isinstance(law, TruncatedNormal) and m.finite * (1 - law.mass) < 20:
        families.add("normal")
    if isinstance(law, Normal):
        # Of ten thousand normals one shows so little of its tails that it looks cut.
        inside = float(law.cdf(m.max) - law.cdf(m.min))
        if inside**m.finite > _CHANCE:
            families.add("truncated_normal")
    if isinstance(law, HaarCoordinate) and law.dimension < 4:
        families |= {"uniform", "normal"}
    return families


def audited(study: Study, recipe: Recipe | None, dims: Dims) -> Audited:
    if recipe is None or study.measurement is None or study.identification is None:
        return Audited(study)
    expected = recipe.expected(study.place, dims)
    if expected is None:
        return Audited(study)
    agrees = not any(verdict.code for verdict in held_against(study, expected))
    return Audited(study, expected, agrees)


def check_recipe(model: Model) -> Iterator[Finding]:
    """Tensors that are not as the recipe has them; alike ones of one cause in one finding."""
    if model.recipe is None:
        return
    groups: dict[tuple[str, str, str, str], list[tuple[str, Verdict, Case]]] = defaultdict(list)
    trained, why = _trained(model)
    for row in model.judged:
        if row.expected is None or row.agrees or (trained and not is_fresh(row)):
            continue
        place = row.study.place
        for verdict in held_against(row.study, row.expected):
            if verdict.code in ("", "garbage"):
                continue
            name = f"{row.name}[{verdict.name}]" if verdict.name else row.name
            case = Case(place, model.dims, verdict.option.law, verdict.family)
            key = (verdict.code, place.role, verdict.option.form, verdict.name)
            groups[key].append((name, verdict, case))
    for (code, _, _, _), members in groups.items():
        yield from _mismatch(code, members)
    if trained:
        yield finding_of(
            "trained",
            trained,
            "these tensors are trained, or something else; a recipe speaks of fresh ones",
            why,
            "audit the model before its first step, or leave the recipe out",
        )


def _trained(model: Model) -> tuple[list[str], str]:
    """The tensors that show a model to be trained, and the evidence; none where it is not.

    Either matrices follow no initialisation, or the first steps show, which move all tensors at
    once: few matrices are untouched, and most norms have moved about their constant, where hardly
    any scheme draws them, or all but a few of the tensors that begin constant.
    """
    expected = [row for row in model.judged if row.expected]
    matrices = [row for row in expected if len(row.study.place.shape) > 1]
    trained = [row.name for row in matrices if row.state == "trained" and not row.agrees]
    if len(trained) > 0.3 * len(matrices):
        return trained, f"{len(trained)} of {len(matrices)} matrices follow no initialisation"
    constants = [row for row in expected if _begins_constant(row)]
    moved = [row for row in constants if not row.agrees and _has_moved(row)]
    untouched = sum(row.torch_draw is True for row in matrices)
    names = [row.name for row in moved]
    norms = sum(row.study.place.role == "norm" for row in constants)
    near = sum(row.study.place.role == "norm" and _is_near_its_mean(row) for row in moved)
    if near >= max(3, 0.5 * norms) and untouched <= 0.5 * len(matrices):
        return names, f"{near} of {norms} norms have moved about their constant"
    if len(moved) >= max(3, 0.8 * len(constants)) and untouched <= 0.2 * len(matrices):
        return names, f"{len(moved)} of {len(constants)} tensors that begin constant no longer are"
    return [], ""


def _begins_constant(row: Audited) -> bool:
    return row.expected is not None and all(
        isinstance(option.law, Constant) for part in row.expected.parts for option in part.options
    )


def _has_moved(row: Audited) -> bool:
    """Whether values are no constant, nor drawn, as a bias that was left at torch's default."""
    m, found = row.study.measurement, row.study.identification
    if m is None or found is None or m.min == m.max or row.torch_draw:
        return False
    return found.family != "uniform" or not found.named


def _is_near_its_mean(row: Audited) -> bool:
    m = row.study.measurement
    return m is not None and m.std < 0.5 * abs(m.mean)


def _mismatch(code: str, members: list[tuple[str, Verdict, Case]]) -> Iterator[Finding]:
    """Findings for tensors of one role that miss one law."""
    if code == "scale":
        for causes, part in _by_cause(members):
            yield _scale_finding(causes, part)
        return
    names = [name.partition("[")[0] for name, _, _ in members]
    name, verdict, _ = members[0]
    law, m = verdict.option, verdict.measurement
    if code == "value":
        held = f"all {number(m.min)}" if m.min == m.max else f"{number(m.min)} to {number(m.max)}"
        cause, fix = f"it should be {law.form} and is {held}", "set it in the initialisation"
        yield finding_of(code, names, cause, f"{name} holds {held}; expected {law.form}", fix)
        return
    seen = f"{name} has std {number(m.std)}, mean {number(m.mean)}, family {verdict.family}"
    texts = {
        "law": (
            f"the scale is right, and the values are not quite those of {law.law.notation}"
            if verdict.family == "none"
            else f"the values are {verdict.family.replace('_', ' ')}, not {law.law.notation}",
            "draw from the law that is meant",
        ),
        "mean": (f"the mean is {number(m.mean)}, not {number(law.law.mean)}", "centre the draw"),
        "not_fresh": (
            "the values follow no initialisation: trained, or something else",
            "initialise the tensor, or audit the model before its first step",
        ),
    }
    cause, fix = texts[code]
    yield finding_of(code, names, cause, f"{seen}; expected {law.form}", fix)


Members = list[tuple[str, Verdict, Case]]


def _by_cause(members: Members) -> Iterator[tuple[tuple[Cause, ...], Members]]:
    """Members that one cause explains together, else by what explains each."""
    seen = [(verdict.ratio, verdict.error, case) for _, verdict, case in members]
    causes = decode_together(seen)
    if causes or len(members) == 1:
        yield causes, members
        return
    groups: dict[tuple[Cause, ...], Members] = defaultdict(list)
    for member, one in zip(members, seen, strict=True):
        groups[tuple(match.cause for match in decode(*one))].append(member)
    for own, part in groups.items():
        yield from ((own, run) for run in ([part] if own else _runs(part)))


def _runs(members: Members) -> list[Members]:
    """Members that nothing explains, those of about one ratio together, in the model's order."""
    ratios = [verdict.ratio for _, verdict, _ in members]
    runs: list[list[int]] = []
    for i in sorted(range(len(members)), key=ratios.__getitem__):
        if not runs or ratios[i] > 1.1 * ratios[runs[-1][-1]]:
            runs.append([])
        runs[-1].append(i)
    return [[members[i] for i in sorted(run)] for run in runs]


def _scale_finding(causes: tuple[Cause, ...], members: Members) -> Finding:
    names = dict.fromkeys(name.partition("[")[0] for name, _, _ in members)
    ratios = [verdict.ratio for _, verdict, _ in members]
    name, verdict, _ = members[0]
    low, high = min(ratios), max(ratios)
    several = len(members) > 1
    spread = f"{number(low)} to {number(high)}" if number(low) != number(high) else number(low)
    evidence = (
        f"std {number(verdict.measurement.std)} is {number(verdict.ratio)} ± "
        f"{number(verdict.ratio * verdict.error, 2)} × the {number(verdict.option.law.std)} of "
        f"{verdict.option.form}" + (f" in {name}" if several or verdict.name else "")
    )
    if several:
        evidence += f"; ratios {spread} over {len(members)} parts"
    if not causes:
        times = verdict.ratio
        size = (
            f"{number(times)} × too large"
            if times > 1
            else (f"{number(1 / times)} × too small" if times > 0 else "zero")
        )
        labels = {v.found.schemes[0].label if v.found.schemes else "" for _, v, _ in members}
        held = f": the values are {labels.pop()}" if len(labels) == 1 and labels != {""} else ""
        cause = f"the scale is {size}{held}"
        return finding_of("scale", names, cause, evidence, "draw from the law that is meant")
    cause = "; or ".join(cause.sentence for cause in causes[:4])
    fix = "; or ".join(dict.fromkeys(cause.mend for cause in causes[:4]))
    return finding_of("scale", names, cause, evidence, fix)
