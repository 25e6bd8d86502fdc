"""Audit: was every tensor of a model initialised as it was meant to be?

>>> from torch import nn
>>> checked = audit(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), "torch")
>>> checked.findings, checked.at_init
((), 4)

``survey`` says what each tensor is; here it is judged: against a recipe where there is one, by
principle where there is none, and in any case against the other tensors of the model. What is found
stands in ``Audit.findings``, each with its cause, its evidence and its mend.
"""

from __future__ import annotations

import importlib
import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from initcore.checkpoint import PIECE, Entry, Source, entries, in_pieces
from initcore.errors import InitError
from initcore.fit import NEGLIGIBLE_STD, std_error
from initcore.identify import Identification
from initcore.laws import Constant, HaarCoordinate, Law, Normal, TruncatedNormal, number
from initcore.layers import Layer
from initcore.measure import Measurement, Progress
from initcore.ratios import Case, Cause, decode, decode_together
from initcore.recipes import RECIPES, Expectation, Option, Recipe, get_recipe
from initcore.report import finite
from initcore.roles import MATRICES, Dims, infer_dims
from initcore.schemes import xavier_std
from initcore.survey import Block, Repeats, Study, spread_error, survey

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Code:
    """A kind of finding: a row of ``CODES``."""

    code: str
    severity: Severity
    meaning: str


CODES: tuple[Code, ...] = (
    Code("garbage", "error", "nan, infinite, denormal or absurd values: uninitialised memory"),
    Code("spikes", "error", "values piled up at the ends: a truncation that clamps"),
    Code("scale", "error", "the scale is not the recipe's"),
    Code("value", "error", "a constant is not the recipe's"),
    Code("law", "warning", "the scale is the recipe's, the family of the values is not"),
    Code("mean", "error", "the mean is not the recipe's"),
    Code("not_fresh", "error", "the values follow no initialisation, and the recipe asks for one"),
    Code("trained", "info", "most tensors are trained: a recipe has little to say of them"),
    Code("no_recipe", "info", "no recipe fits the model"),
    Code("identical", "error", "tensors that are bit-identical and not tied"),
    Code("flipped", "error", "tensors that are one another's negative"),
    Code("same_draw", "warning", "tensors drawn with one seed, at different scales"),
    Code("copies", "info", "a second copy of a part of the model, as a target network has"),
    Code("tied", "info", "tensors that are one in memory, or equal as an embedding and its head"),
    Code("rows", "error", "blocks of rows or columns that repeat, as shards of one seed do"),
    Code("rows_few", "info", "single rows that are copies of others"),
    Code("appended", "warning", "a run of rows of another scale, as an extended vocabulary has"),
    Code("blocks", "warning", "packed parts of one tensor that differ in scale"),
    Code("packed", "warning", "Xavier's fans count q, k and v together"),
    Code("fans", "warning", "the fans are not those of the product: groups, or stacked matrices"),
    Code("default", "warning", "torch's default beside layers that were initialised otherwise"),
    Code("odd", "warning", "a tensor whose scale is not that of its like in the other blocks"),
    Code("fresh", "warning", "a tensor still at its initialisation, among trained ones"),
    Code("dead", "error", "weights in a row that are all zero: no gradient reaches either"),
    Code("constant", "error", "a weight matrix of one value: its units never become different"),
    Code("head", "warning", "logits that start far from zero: a head with an embedding's scale"),
    Code("depth", "info", "how the scale changes with depth"),
    Code("missing", "warning", "a tensor that the checkpoint does not have"),
    Code("unexpected", "warning", "a tensor of the checkpoint that the model does not have"),
    Code("shape", "error", "a tensor that has another shape in the checkpoint"),
    Code("loaded", "info", "tensors that equal the checkpoint's"),
    Code("not_loaded", "error", "a fresh draw where the checkpoint has a trained tensor"),
    Code("changed", "info", "tensors that neither equal the checkpoint's nor are fresh"),
    Code("unmeasured", "info", "tensors that are listed and not measured"),
)
_CODES = {code.code: code for code in CODES}


@dataclass(frozen=True)
class Finding:
    """What an audit says: a kind of ``CODES``, the tensors, cause, evidence in numbers, mend."""

    code: str
    severity: Severity
    tensors: tuple[str, ...]
    cause: str
    evidence: str
    fix: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "tensors": list(self.tensors),
            "cause": self.cause,
            "evidence": self.evidence,
            "fix": self.fix,
        }


def _finding(
    code: str,
    tensors: Iterable[str],
    cause: str,
    evidence: str,
    fix: str,
    severity: Severity | None = None,
) -> Finding:
    return Finding(code, severity or _CODES[code].severity, tuple(tensors), cause, evidence, fix)


@dataclass(frozen=True)
class Audited:
    """One tensor of an audit.

    expected: what the recipe says of it; None without a recipe or where it says nothing. agrees:
    whether it does; None where nothing is expected. state: "at init", "trained", "unknown" (too
    few values to tell) or "not measured".
    """

    study: Study
    expected: Expectation | None = None
    agrees: bool | None = None

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def state(self) -> str:
        found = self.study.identification
        if found is None:
            return "not measured"
        if self.study.segments or any(block.identification for block in self.study.blocks):
            parts = [b.identification for b in self.study.segments or self.study.blocks]
            found = next((p for p in parts if p and p.family == "none"), parts[0]) or found
        if found.family in ("none", "garbage"):
            return "trained" if found.family == "none" else "unknown"
        return "unknown" if found.family in ("cannot_tell", "mixture") else "at init"


@dataclass(frozen=True)
class Agreement:
    """How well a recipe fits a model: tensors and parameters that it speaks of, and that agree."""

    recipe: Recipe
    tensors: int
    agreeing: int
    parameters: int
    agreeing_parameters: int

    @property
    def share(self) -> float:
        """The share of the model's parameters whose law agrees."""
        return self.agreeing_parameters / max(self.parameters, 1)

    @property
    def sentence(self) -> str:
        return (
            f"{self.recipe.title} ({self.recipe.slug}): {self.agreeing} of {self.tensors} tensors "
            f"and {100 * self.share:.4g} % of the parameters agree"
        )


@dataclass(frozen=True)
class Audit:
    """The result: every tensor, and the findings, errors first.

    recipe: the one it was held against; None without. chosen: how well each recipe fits, the best
    first, where "auto" chose. dims: sizes of the model, as far as they can be inferred.
    """

    source: str
    tensors: tuple[Audited, ...]
    findings: tuple[Finding, ...]
    dims: Dims
    recipe: Recipe | None = None
    chosen: tuple[Agreement, ...] = ()

    @property
    def parameters(self) -> int:
        """Values in all tensors, a tied one counted once, buffers left out."""
        return sum(
            row.study.entry.count
            for row in self.tensors
            if not row.study.tied and row.study.place.role != "buffer"
        )

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def at_init(self) -> int:
        return sum(row.state == "at init" for row in self.tensors)

    @property
    def trained(self) -> int:
        return sum(row.state == "trained" for row in self.tensors)

    def of(self, name: str) -> tuple[Finding, ...]:
        """The findings that name a tensor."""
        return tuple(finding for finding in self.findings if name in finding.tensors)

    @property
    def sentence(self) -> str:
        """The audit in a sentence or three."""
        errors, warnings = self.count("error"), self.count("warning")
        found = ", ".join(
            f"{n} {word}{'' if n == 1 else 's'}"
            for n, word in ((errors, "error"), (warnings, "warning"))
            if n
        )
        state = []
        if self.at_init:
            state.append(f"{self.at_init} at initialisation")
        if self.trained:
            state.append(f"{self.trained} trained or something else")
        held = f" Held against {self.recipe.title}." if self.recipe else ""
        if self.chosen and self.recipe:
            held = f" Best fit: {self.chosen[0].sentence}."
        one = len(self.tensors) == 1
        return (
            f"{len(self.tensors):,} tensor{'' if one else 's'}, {self.parameters:,} parameters"
            f"{': ' + ', '.join(state) if state else ''}.{held} {found or 'Nothing amiss'}."
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, in full precision; non-finite numbers are None."""
        by_name: dict[str, list[str]] = defaultdict(list)
        for finding in self.findings:
            for name in finding.tensors:
                by_name[name].append(finding.code)
        data = {
            "source": self.source,
            "torch_version": torch.__version__,
            "recipe": self.recipe.slug if self.recipe else None,
            "chosen": [
                {
                    "recipe": fit.recipe.slug,
                    "tensors": fit.tensors,
                    "agreeing": fit.agreeing,
                    "parameters": fit.parameters,
                    "agreeing_parameters": fit.agreeing_parameters,
                }
                for fit in self.chosen
            ],
            "tensors": [_row_dict(row, by_name[row.name]) for row in self.tensors],
            "findings": [finding.as_dict() for finding in self.findings],
            "summary": {
                "tensors": len(self.tensors),
                "parameters": self.parameters,
                "errors": self.count("error"),
                "warnings": self.count("warning"),
                "at_init": self.at_init,
                "trained": self.trained,
            },
        }
        plain = finite(data)
        assert isinstance(plain, dict)
        return plain

    def frame(self) -> Any:
        """A pandas DataFrame of the tensors; raises InitError where pandas is not installed."""
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise InitError("frame() needs pandas: pip install pandas") from None
        rows = []
        for row in self.as_dict()["tensors"]:
            flat = {key: row[key] for key in ("name", "shape", "dtype", "role", "state")}
            flat |= row["measured"] or {}
            found = row["identified"] or {}
            flat |= {
                "family": found.get("family"),
                "schemes": ", ".join(found.get("schemes", ())),
                "confidence": found.get("confidence"),
                "expected": row["expected"],
                "agrees": row["agrees"],
                "findings": ", ".join(row["findings"]),
            }
            rows.append(flat)
        return pandas.DataFrame(rows)


_MEASURED = ("count", "min", "max", "mean", "std", "skewness", "kurtosis", "zeros", "nonfinite")


def measured_dict(m: Measurement) -> dict[str, float]:
    """The statistics of a measurement by name, as JSON and tables have them."""
    return {name: getattr(m, name) for name in _MEASURED}


def _row_dict(row: Audited, codes: list[str]) -> dict[str, Any]:
    study, found = row.study, row.study.identification
    return {
        "name": study.name,
        "shape": list(study.entry.shape),
        "dtype": study.entry.dtype,
        "role": study.place.role,
        "role_inferred": study.place.inferred,
        "tied": study.tied,
        "note": study.note,
        "state": row.state,
        "measured": measured_dict(study.measurement) if study.measurement else None,
        "identified": None if found is None else _identified_dict(found),
        "blocks": [_block_dict(block) for block in (*study.blocks, *study.segments)],
        "expected": row.expected.form if row.expected else None,
        "agrees": row.agrees,
        "findings": codes,
    }


def _identified_dict(found: Identification) -> dict[str, Any]:
    return {
        "family": found.family,
        "schemes": [candidate.label for candidate in found.schemes],
        "params": {
            name: {"value": estimate.value, "error": estimate.error}
            for name, estimate in found.params.items()
        },
        "confidence": found.confidence,
        "sentence": found.sentence,
        "notes": list(found.notes),
    }


def _block_dict(block: Block) -> dict[str, Any]:
    m, found = block.measurement, block.identification
    return {
        "name": block.name,
        "count": m.count,
        "mean": m.mean,
        "std": m.std,
        "family": found.family if found else None,
    }


# --- the audit ----------------------------------------------------------------------------------


def audit(
    source: Source,
    recipe: str | Path | Recipe | None = None,
    *,
    against: Source | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Measure, identify and judge every tensor of a module, a state dict or a checkpoint.

    recipe: a slug of ``RECIPES``, the path of a TOML file, a Recipe, or "auto" for the one that
        fits best; without one the tensors are judged by principle and against each other.
    against: a second source; says which tensors equal its own, and which are fresh draws.
    executor: any of ``concurrent.futures``; threads by default. The answer does not depend on it.
    progress: called in the caller's thread with the share done and a tensor's name.

    Raises InitError for a source or a recipe that cannot be read.
    """
    known = None if recipe is None or recipe == "auto" else get_recipe(recipe)
    studies = survey(source, executor, progress)
    dims = infer_dims([study.place for study in studies])
    chosen: tuple[Agreement, ...] = ()
    if recipe == "auto":
        chosen = _choose(studies, dims)
        if chosen[0].share >= 0.5:
            known = chosen[0].recipe
    rows = [_held_against(study, known, dims) for study in studies]
    model = _Model(tuple(rows), dims, known, _by_name(source))
    findings = _joined(finding for check in CHECKS for finding in check(model))
    if recipe == "auto" and known is None:
        findings.append(
            _finding(
                "no_recipe",
                (),
                "no built-in recipe fits this model",
                f"the best is {chosen[0].sentence}",
                "write the recipe as a TOML file, see initcore.recipes",
            )
        )
    if against is not None:
        findings += _against(model, against)
    order = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    findings.sort(key=lambda finding: order[finding.severity])
    return Audit(_title(source), tuple(rows), tuple(findings), dims, known, chosen)


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of one kind and cause as one, with the evidence of the first."""
    groups: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.code, finding.cause, finding.fix].append(finding)
    joined = []
    for first, *others in groups.values():
        names = dict.fromkeys(name for one in (first, *others) for name in one.tensors)
        evidence = first.evidence + (f"; and {len(others)} more" if others else "")
        joined.append(replace(first, tensors=tuple(names), evidence=evidence))
    return joined


def _title(source: Source) -> str:
    if isinstance(source, nn.Module | Mapping):
        return type(source).__name__
    return os.fspath(source)


def assert_init(module: Source, recipe: str | Path | Recipe) -> None:
    """Fail with the table of offenders unless every tensor is as the recipe has it; for pytest.

    Raises AssertionError, one line for each finding of severity "error"; a trained tensor is an
    offender, too. Raises InitError for a source or a recipe that cannot be read.
    """
    checked = audit(module, recipe)
    offenders = [f for f in checked.findings if f.severity == "error" or f.code == "trained"]
    if offenders:
        assert checked.recipe is not None
        lines = [f"{len(offenders)} findings against {checked.recipe.title}:"]
        for finding in offenders:
            names = ", ".join(finding.tensors[:4])
            more = f" and {len(finding.tensors) - 4} more" if len(finding.tensors) > 4 else ""
            lines.append(
                f"  {finding.code:10} {names}{more}: {finding.cause} ({finding.evidence}); "
                f"{finding.fix}"
            )
        raise AssertionError("\n".join(lines))


@dataclass(frozen=True)
class _Model:
    """All that the checks look at; ``entries`` to read values again, where they must compare."""

    rows: tuple[Audited, ...]
    dims: Dims
    recipe: Recipe | None
    entries: Mapping[str, Entry]

    @property
    def judged(self) -> Iterator[Audited]:
        """The measured tensors, a tied one once, buffers left out."""
        for row in self.rows:
            study = row.study
            if study.measurement and not study.tied and study.place.role != "buffer":
                yield row

    @property
    def matrices(self) -> Iterator[Audited]:
        for row in self.judged:
            if _is_weight(row.study):
                yield row


def _is_weight(study: Study) -> bool:
    role = study.place.role
    weight = role in MATRICES or role.startswith(("conv", "recurrent_input", "recurrent_hidden"))
    return weight and len(study.place.shape) > 1


def _by_name(source: Source) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries(source)}


# --- against a recipe ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """A tensor, or a part of one, held against the law it should have.

    code: "" where it agrees, else that of the finding. ratio: measured std ÷ the law's, error: its
    standard error; nan where the law has no spread.
    """

    name: str
    measurement: Measurement
    family: str
    option: Option
    code: str
    ratio: float
    error: float


def held_against(study: Study, expected: Expectation) -> list[Verdict]:
    """Every part of a tensor that the expectation speaks of, with the law that comes nearest."""
    assert study.measurement is not None
    assert study.identification is not None
    whole = study.identification
    if any(part.name == "centre" for part in expected.parts):
        delta = whole.family == "delta_orthogonal" and _near(whole.params["scale"].value, 1.0)
        part = next(part for part in expected.parts if part.name == "centre")
        code = "" if delta else "law"
        option = part.options[0]
        return [Verdict("", study.measurement, whole.family, option, code, math.nan, math.nan)]
    verdicts = []
    for part in expected.parts:
        parts = [block for block in study.blocks if block.index == part.index]
        if not part.index:
            differing = [block for block in study.blocks if block.identification]
            parts = list(study.segments) or differing
        if not parts:
            parts = [Block("", (), study.measurement, whole)]
        for block in parts:
            found = block.identification or whole
            each = [_verdict(block, found, option) for option in part.options]
            verdicts.append(min(each, key=_badness))
    return verdicts


def _badness(verdict: Verdict) -> tuple[bool, float]:
    off = abs(math.log(verdict.ratio)) if verdict.ratio > 0 else math.inf
    return bool(verdict.code), off


def _near(value: float, target: float) -> bool:
    return abs(value - target) <= 1e-3 * max(abs(target), 1e-12)


# Families whose values a law can have produced; a law beside these is deterministic.
_FAMILIES = {
    "uniform": {"uniform"},
    "normal": {"normal"},
    "truncated normal": {"normal", "truncated_normal"},
    "orthogonal coordinate": {"orthogonal"},
    "sparse mixture": {"sparse"},
}


def _verdict(block: Block, found: Identification, option: Option) -> Verdict:
    m, law = block.measurement, option.law

    def say(code: str, ratio: float = math.nan, error: float = math.nan) -> Verdict:
        return Verdict(block.name, m, found.family, option, code, ratio, error)

    if found.family == "garbage":
        return say("garbage")
    if isinstance(law, Constant):
        rounded = float(torch.tensor(law.value, dtype=getattr(torch, m.dtype)))
        return say("" if m.min == m.max == rounded else "value")
    if law.is_discrete:
        kinds = {"eye", "dirac", "ones", "constant"}
        scale = found.params.get("scale") or found.params.get("value")
        right = found.family in kinds and scale is not None and _near(scale.value, law.high)
        return say("" if right else "law")
    if m.finite < 2:
        return say("")
    ratio, error = m.std / law.std, std_error(law, m.finite)
    if not m.std:
        return say("scale", ratio, error)
    if found.family == "none" and found.notes:
        return say("not_fresh", ratio, error)
    allowed = max(NEGLIGIBLE_STD, 4.5 * error * (1 + error))
    if isinstance(law, HaarCoordinate) and found.family == "orthogonal":
        allowed = NEGLIGIBLE_STD
    if abs(ratio - 1) > allowed:
        return say("scale", ratio, error)
    if abs(m.mean - law.mean) > max(5 / math.sqrt(m.finite), NEGLIGIBLE_STD) * law.std + 1e-30:
        return say("mean", ratio, error)
    if found.family == "none":
        return say("not_fresh", ratio, error)
    if found.family != "cannot_tell" and found.family not in _families(law, m):
        return say("law", ratio, error)
    return say("", ratio, error)


def _families(law: Law, m: Measurement) -> set[str]:
    families = set(_FAMILIES[law.family])
    # What is cut so far out that values reach it seldom looks like either.
    if isinstance(law, TruncatedNormal) and m.finite * (1 - law.mass) < 20:
        families.add("normal")
    if isinstance(law, Normal) and m.finite < 4096:
        families.add("truncated_normal")
    if isinstance(law, HaarCoordinate) and law.dimension < 4:
        families |= {"uniform", "normal"}
    return families


def _held_against(study: Study, recipe: Recipe | None, dims: Dims) -> Audited:
    if recipe is None or study.measurement is None or study.identification is None:
        return Audited(study)
    expected = recipe.expected(study.place, dims)
    if expected is None:
        return Audited(study)
    agrees = not any(verdict.code for verdict in held_against(study, expected))
    return Audited(study, expected, agrees)


def _choose(studies: Sequence[Study], dims: Dims) -> tuple[Agreement, ...]:
    """Every recipe with how well it fits, the best first."""
    measured = [s for s in studies if s.measurement and not s.tied and s.place.role != "buffer"]
    total = sum(study.entry.count for study in measured)
    fits = []
    for recipe in RECIPES:
        rows = [_held_against(study, recipe, dims) for study in measured]
        agreeing = [row for row in rows if row.agrees]
        right = sum(row.study.entry.count for row in agreeing)
        fits.append(Agreement(recipe, len(measured), len(agreeing), total, right))
    # By parameters alone one large embedding would decide; by tensors alone the biases would.
    fits.sort(key=lambda fit: -(fit.share + fit.agreeing / max(fit.tensors, 1)))
    return tuple(fits)


def _check_recipe(model: _Model) -> Iterator[Finding]:
    """Tensors that are not as the recipe has them; alike ones of one cause in one finding."""
    if model.recipe is None:
        return
    groups: dict[tuple[str, str, str, str], list[tuple[str, Verdict, Case]]] = defaultdict(list)
    trained = [row.name for row in model.judged if row.state == "trained" and row.agrees is False]
    expected = sum(row.agrees is not None for row in model.judged)
    mostly = len(trained) > 0.3 * expected
    for row in model.judged:
        if row.expected is None or row.agrees or (mostly and row.state == "trained"):
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
    if mostly:
        yield _finding(
            "trained",
            trained,
            "these tensors are trained, or something else; a recipe speaks of fresh ones",
            f"{len(trained)} of {expected} tensors follow no initialisation",
            "audit the model before its first step, or leave the recipe out",
        )


def _mismatch(code: str, members: list[tuple[str, Verdict, Case]]) -> Iterator[Finding]:
    """Findings for tensors of one role that miss one law."""
    if code == "scale":
        for causes, part in _by_cause(members):
            yield _scale_finding(causes, part)
        return
    names = [name.partition("[")[0] for name, _, _ in members]
    name, verdict, case = members[0]
    law, m = verdict.option, verdict.measurement
    if code == "value":
        held = f"all {number(m.min)}" if m.min == m.max else f"{number(m.min)} to {number(m.max)}"
        double = "forget" in name or (
            case.place.role == "recurrent_bias" and law.law.mean and m.min == 2 * law.law.mean
        )
        cause = (
            "the forget bias is set on both biases, which add up"
            if double
            else (f"it should be {law.form} and is {held}")
        )
        fix = "set it on one of the two biases" if double else "set it in the initialisation"
        yield _finding(code, names, cause, f"{name} holds {held}; expected {law.form}", fix)
        return
    seen = f"{name} has std {number(m.std)}, mean {number(m.mean)}, family {verdict.family}"
    texts = {
        "law": (
            f"the values are {verdict.family.replace('_', ' ')}, not {law.law.notation}",
            "draw from the law that is meant",
        ),
        "mean": (f"the mean is {number(m.mean)}, not {number(law.law.mean)}", "centre the draw"),
        "not_fresh": (
            "the values follow no initialisation: trained, or something else",
            "initialise the tensor, or audit the model before its first step",
        ),
    }
    cause, fix = texts[code]
    yield _finding(code, names, cause, f"{seen}; expected {law.form}", fix)


Members = list[tuple[str, Verdict, Case]]


def _by_cause(members: Members) -> Iterator[tuple[tuple[Cause, ...], Members]]:
    """Members that one cause explains together; one by one where none does."""
    seen = [(verdict.ratio, verdict.error, case) for _, verdict, case in members]
    causes = decode_together(seen)
    if causes or len(members) == 1:
        yield causes, members
        return
    groups: dict[tuple[str, ...], Members] = defaultdict(list)
    found: dict[tuple[str, ...], tuple[Cause, ...]] = {}
    for member, one in zip(members, seen, strict=True):
        own = tuple(match.cause for match in decode(*one))
        key = tuple(cause.slug for cause in own) or (f"{one[0]:.2g}",)
        groups[key].append(member)
        found[key] = own
    for key, part in groups.items():
        yield found[key], part


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
        return _finding(
            "scale", names, f"the scale is {size}", evidence, "draw from the law that is meant"
        )
    cause = "; or ".join(cause.sentence for cause in causes[:4])
    fix = "; or ".join(dict.fromkeys(cause.mend for cause in causes[:4]))
    return _finding("scale", names, cause, evidence, fix)


# --- garbage ------------------------------------------------------------------------------------


def _check_garbage(model: _Model) -> Iterator[Finding]:
    for row in model.rows:
        study, found = row.study, row.study.identification
        if study.tied:
            continue
        if study.absurd or (found and found.family == "garbage"):
            evidence = found.sentence if found else study.note
            yield _finding(
                "garbage",
                [row.name],
                "uninitialised memory, or an overflow",
                evidence,
                "initialise the tensor; torch.empty, to_empty and missing keys leave it as it was",
            )
        elif found and any(study.spikes) and row.study.measurement:
            m = row.study.measurement
            low, high = study.spikes
            where = " and ".join(
                f"{count:,} values are exactly {number(end)}"
                for count, end in ((low, m.min), (high, m.max))
                if count
            )
            yield _finding(
                "spikes",
                [row.name],
                "the values are clamped: a truncated normal that cuts instead of redrawing, as "
                "torch's did before 2.12 in 16 bits and at small std",
                f"{where} of {m.count:,}",
                "draw in float32 with a current torch.nn.init.trunc_normal_, then convert",
            )


# --- copies -------------------------------------------------------------------------------------


def _kin(name: str) -> str:
    """The name without its numbers: that of its like in the other blocks."""
    return re.sub(r"\d+", "#", name)


_COPY = re.compile(
    r"(?:^|[._])(?:ema|target|teacher|momentum|shadow|average|averaged|swa|key_encoder|"
    r"encoder_k|old|ref|reference|frozen)(?:[._]|\d|$)"
)


def _check_copies(model: _Model) -> Iterator[Finding]:
    """Tensors that are one draw: bit-identical, sign-flipped, or at another scale.

    What begins with the same signs is looked at closely; whether two tensors are equal is decided
    by comparing all their values.
    """
    groups: dict[bytes, list[Audited]] = defaultdict(list)
    for row in model.judged:
        start = row.study.start
        if len(start) >= 16 and row.study.measurement and row.study.measurement.std:
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
            yield _finding(kind, names, cause, f"{_list(names)}: compared value by value", fix)


# Signs of the first values by which tensors of one seed are found, whatever their scale.
_SIGNS = 16


def _relation(model: _Model, a: Audited, b: Audited) -> str:
    """ "identical", "flipped", "same_draw", or "" for two tensors that begin alike."""
    x, y = a.study.start, b.study.start
    n = min(len(x), len(y))
    if n < 16:
        return ""
    x, y = x[:n], y[:n]
    factor = float(x @ y) / float(x @ x)
    # Rounding to 16 bits is the coarsest that two copies can differ by.
    if not np.allclose(y, factor * x, rtol=0.02, atol=0.02 * float(np.abs(y).mean())):
        return ""
    one, other = (model.entries[row.name] for row in (a, b))
    if one.shape == other.shape and one.dtype == other.dtype and abs(factor) == 1:
        if _equal(one, other, 1 if factor > 0 else -1):
            return "identical" if factor > 0 else "flipped"
        return "same_draw" if n >= 32 else ""
    return "same_draw" if n >= 32 and abs(math.log(abs(factor))) > 1e-3 else ""


def _equal(one: Entry, other: Entry, sign: int) -> bool:
    assert one.values is not None
    assert other.values is not None
    for start, stop in in_pieces(one):
        first = one.values.read(start, stop).clone()
        second = other.values.read(start, stop)
        if not torch.equal(first, second if sign > 0 else -second):
            return False
    return True


def _identical(model: _Model, sets: list[list[str]]) -> Iterator[Finding]:
    roles = {row.name: row.study.place.role for row in model.rows}
    blocks: dict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for names in sets:
        held = {roles[name] for name in names}
        if (
            held <= {"embedding", "head"}
            and "head" in held | {"head"}
            and len(names) == 2
            and (len(held) == 2)
        ):
            yield _finding(
                "tied",
                names,
                "the head equals the embedding: tied, and saved twice",
                f"{_list(names)} are bit-identical",
                "nothing, if they are meant to be tied",
            )
        elif any(_COPY.search(name) for name in names):
            blocks["copies",].append(names)
        elif len({_kin(name) for name in names}) == 1:
            blocks["layers",].append(names)
        else:
            blocks["names", *names].append(names)
    for (kind, *_), groups in blocks.items():
        flat = [name for names in groups for name in names]
        if kind == "copies":
            yield _finding(
                "copies",
                flat,
                "a second copy of a part of the model, as a target or an averaged network has",
                f"{len(groups)} sets of bit-identical tensors",
                "nothing, if the copy is meant",
            )
            continue
        count = len(groups[0])
        yield _finding(
            "identical",
            flat,
            f"copies of one layer: {count} layers start equal"
            if kind == "layers"
            else "one draw used for several tensors: a reused seed, or a deep copy",
            f"{len(groups)} set{'s' if len(groups) > 1 else ''} of bit-identical tensors, such as "
            f"{_list(groups[0])}",
            "initialise each anew after the copy, such as by calling its reset_parameters"
            if kind == "layers"
            else "draw each on its own, from one generator",
        )


def _list(names: Sequence[str]) -> str:
    """A short list of names."""
    text = ", ".join(names[:4])
    return text if len(names) <= 4 else f"{text} and {len(names) - 4} more"


def _check_ties(model: _Model) -> Iterator[Finding]:
    ties = [row for row in model.rows if row.study.tied]
    if ties:
        yield _finding(
            "tied",
            [name for row in ties for name in (str(row.study.tied), row.name)],
            "one tensor under several names",
            f"{_list([f'{row.name} = {row.study.tied}' for row in ties])}: one in memory",
            "nothing, if they are meant to be tied",
        )


def _check_repeats(model: _Model) -> Iterator[Finding]:
    for row in model.judged:
        for repeats in row.study.repeats:
            if not _rows_equal(model.entries[row.name], repeats):
                continue
            what = "columns" if repeats.axis else "rows"
            first, second = repeats.pair
            share = repeats.copies / repeats.count
            evidence = (
                f"{repeats.copies:,} of {repeats.count:,} {what} equal an earlier one; "
                f"{what[:-1]} {second:,} equals {first:,}"
            )
            if share < 0.25 or repeats.copies < 2:
                yield _finding(
                    "rows_few",
                    [row.name],
                    f"some {what} are copies of others",
                    evidence,
                    "nothing, if new entries were copied on purpose",
                )
                continue
            blocks = repeats.count / max(repeats.count - repeats.copies, 1)
            yield _finding(
                "rows",
                [row.name],
                f"blocks of {repeats.lag:,} {what} repeat: shards drawn with one seed each"
                if repeats.lag > 1
                else f"{what} are copies of each other",
                f"{evidence}, {number(blocks)} copies",
                "give every rank its own seed, or draw the whole tensor and cut it",
            )


def _rows_equal(entry: Entry, repeats: Repeats) -> bool:
    """Whether the pair that stands for the repeats is equal throughout."""
    assert entry.values is not None
    row = math.prod(entry.shape[1:])
    first, second = repeats.pair
    if repeats.axis == 0:
        stop = min(row, PIECE)
        one = entry.values.read(first * row, first * row + stop).clone()
        return torch.equal(one, entry.values.read(second * row, second * row + stop))
    rows = min(entry.shape[0], max(PIECE // row, 1))
    matrix = entry.values.read(0, rows * row).reshape(rows, row)
    return torch.equal(matrix[:, first], matrix[:, second])


# --- parts of one tensor ------------------------------------------------------------------------


def _check_parts(model: _Model) -> Iterator[Finding]:
    for row in model.judged:
        study = row.study
        if study.segments:
            stds = [f"{s.name}: std {number(s.measurement.std)}" for s in study.segments]
            yield _finding(
                "appended",
                [row.name],
                "a run of rows has another scale: rows that were added later, or not initialised",
                "; ".join(f"{text}" for text in stds[:4]),
                "draw the new rows from the law of the old ones, or from their mean",
            )
        differing = [block for block in study.blocks if block.identification]
        if not differing or row.agrees or row.expected or _meant(study):
            continue
        stds = [f"{b.name}: std {number(b.measurement.std)}" for b in differing]
        if {b.measurement.std > 0 for b in differing} == {True}:
            yield _finding(
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


def _check_fans(model: _Model) -> Iterator[Finding]:
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
                yield _finding(
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
        "torch's default": 1 / math.sqrt(3 * fans[0]),
        "LeCun's": 1 / math.sqrt(fans[0]),
        "He's fan_in": math.sqrt(2 / fans[0]),
        "He's fan_out": math.sqrt(2 / fans[1]),
    }
    for name, std in wrong.items():
        if abs(m.std / std - 1) <= near:
            yield _finding(
                "fans",
                [row.name],
                f"the fan counts all {layer.groups} groups, though a unit is connected within its "
                "own group only: std ÷ √groups",
                f"std {number(m.std)} is {number(m.std / right[name])} × {name} scale for one group"
                f", 1/√{layer.groups} = {number(layer.groups**-0.5)}",
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
            yield _finding(
                "fans",
                [row.name],
                f"the fan was read off {what}, which is not that of one matrix product",
                f"std {number(m.std)} is {name} scale for fans {stored.fan_in:,} and "
                f"{stored.fan_out:,}; one matrix has {layer.fan_in:,} and {layer.fan_out:,}",
                "initialise each matrix on its own, as (out, in)",
            )
            return


def _is_default(found: Identification) -> bool:
    return any(c.scheme == "default" or c.label == "kaiming_uniform(a=√5)" for c in found.schemes)


def _check_default(model: _Model) -> Iterator[Finding]:
    """torch's default where most other weights were initialised otherwise."""
    rows = [(row, found) for row, found, _ in _unjudged(model.matrices)]
    left = [row for row, found in rows if _is_default(found)]
    changed = len(rows) - len(left)
    if left and changed > len(left):
        names = [row.name for row in left]
        m = left[0].study.measurement
        assert m is not None
        yield _finding(
            "default",
            names,
            "torch's default was never replaced here, though it was elsewhere",
            f"{len(left)} of {len(rows)} weights have the default law, as {names[0]} with std "
            f"{number(m.std)}",
            "extend the initialisation to these modules, if the default is not meant",
        )


def _check_odd(model: _Model) -> Iterator[Finding]:
    """A tensor whose scale is not that of its like in the other blocks."""
    groups: dict[tuple[str, tuple[int, ...]], list[Audited]] = defaultdict(list)
    for row in model.matrices:
        if row.expected is None and row.study.measurement and row.state != "trained":
            groups[_kin(row.name), row.study.place.shape].append(row)
    for rows in groups.values():
        if len(rows) < 3:
            continue
        stds = np.array([_std(row) for row in rows])
        middle = float(np.median(stds))
        odd = [row for row, std in zip(rows, stds, strict=True) if abs(std - middle) > 0.1 * middle]
        if odd and len(odd) <= len(rows) / 3:
            yield _finding(
                "odd",
                [row.name for row in odd],
                "its scale is not that of its like in the other blocks",
                f"{odd[0].name} has std {number(_std(odd[0]))}, the median of {len(rows)} is "
                f"{number(middle)}",
                "initialise it as the others; a missing key may have left it out",
            )


def _std(row: Audited) -> float:
    assert row.study.measurement is not None
    std = row.study.measurement.std
    return std if math.isfinite(std) else 0.0


def _check_fresh(model: _Model) -> Iterator[Finding]:
    """Weights still at their initialisation among trained ones."""
    weights = [row for row in model.judged if len(row.study.place.shape) > 1]
    trained = [row for row in weights if row.state == "trained"]
    fresh = [
        row
        for row in weights
        if row.state == "at init"
        and row.study.measurement
        and row.study.measurement.std
        and row.study.identification
        and row.study.identification.confidence == "certain"
    ]
    if fresh and len(trained) > len(fresh):
        found = fresh[0].study.identification
        assert found is not None
        yield _finding(
            "fresh",
            [row.name for row in fresh],
            "still at its initialisation, among trained weights: never loaded, or never trained",
            f"{len(trained)} weights are trained; {fresh[0].name}: {found.sentence}",
            "check that its key is in the checkpoint, and that it gets a gradient",
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


def _check_zeros(model: _Model) -> Iterator[Finding]:
    """Zeros and constants that are no one's intention."""
    weights = [
        row
        for row in model.judged
        if _is_weight(row.study) or row.study.place.role in ("lora_a", "lora_b")
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
                yield _finding(
                    "dead",
                    [one.name, two.name],
                    "two weights in a row are zero: the gradient of each is a product with the "
                    "other, so that neither ever changes",
                    f"all {one.study.entry.count:,} and {two.study.entry.count:,} values are 0",
                    "draw one of the two",
                )
    for row in weights:
        m = row.study.measurement
        shape = row.study.place.shape
        constant = m is not None and m.count > 1 and m.min == m.max != 0
        if constant and not row.agrees and min(shape[0], math.prod(shape[1:])) > 1:
            assert m is not None
            yield _finding(
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
            beside = two is rows[i + 1] or pair[0] != pair[1]
            if beside and (pair in _PAIRS or pair[::-1] in _PAIRS):
                yield one, two


def _all_zero(row: Audited) -> bool:
    m = row.study.measurement
    return m is not None and m.zeros == m.count


def _check_head(model: _Model) -> Iterator[Finding]:
    tied = {row.study.tied for row in model.rows if row.study.place.role == "head"}
    for row in model.judged:
        place, m = row.study.place, row.study.measurement
        is_head = place.role == "head" or (place.role == "embedding" and row.name in tied)
        if not is_head or m is None or row.agrees or len(place.shape) != 2:
            continue
        logits = m.std * math.sqrt(place.shape[1])
        if row.state == "at init" and logits > 5:
            yield _finding(
                "head",
                [row.name],
                "the head has an embedding's scale: √d too large for a matrix product",
                f"std {number(m.std)} over d = {place.shape[1]:,} inputs of std 1 gives logits of "
                f"std {number(logits)}",
                "give it a std of 1/√d, or scale the logits by that, where it is tied",
            )


def _check_depth(model: _Model) -> Iterator[Finding]:
    """Which power of depth the scale of the residual projections follows."""
    groups: dict[tuple[str, str, str], list[tuple[int, Audited]]] = defaultdict(list)
    for row in model.matrices:
        place = row.study.place
        if place.depth is not None and row.state == "at init" and _std(row):
            groups[place.stack, place.role, _kin(row.name)].append((place.depth, row))
    for (_, role, _), members in groups.items():
        depths = np.array([depth for depth, _ in members], dtype=float)
        if len(set(depths)) < 3:
            continue
        stds = np.array([_std(row) for _, row in members])
        slope, level = np.polyfit(np.log(depths + 1), np.log(stds), 1)
        rest = float(np.std(np.log(stds) - slope * np.log(depths + 1) - level))
        if abs(slope + 0.5) > 0.05 or rest > 0.05:
            continue
        yield _finding(
            "depth",
            [row.name for _, row in members],
            f"the std of {role} falls as (ℓ + 1)^−½: scaled block by block",
            f"fitted power {number(float(slope), 3)} over {len(members)} blocks, "
            f"{number(float(stds[0]))} to {number(float(stds[-1]))}",
            "nothing, if this is meant",
        )


def _check_unmeasured(model: _Model) -> Iterator[Finding]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in model.rows:
        study = row.study
        if study.note and not study.absurd and study.place.role != "buffer":
            reasons[study.note].append(row.name)
    for note, names in reasons.items():
        yield _finding(
            "unmeasured", names, f"not measured: {note}", f"{len(names)} tensors", "convert it"
        )


CHECKS: tuple[Callable[[_Model], Iterator[Finding]], ...] = (
    _check_garbage,
    _check_recipe,
    _check_copies,
    _check_repeats,
    _check_zeros,
    _check_parts,
    _check_fans,
    _check_default,
    _check_odd,
    _check_fresh,
    _check_head,
    _check_depth,
    _check_ties,
    _check_unmeasured,
)


# --- against a checkpoint -----------------------------------------------------------------------


def _against(model: _Model, checkpoint: Source) -> Iterator[Finding]:
    """Which tensors equal the checkpoint's, which are fresh draws, which are neither."""
    theirs = {_bare(name): entry for name, entry in _by_name(checkpoint).items()}
    mine = {_bare(row.name): row for row in model.rows}
    title = _title(checkpoint)
    missing = [row.name for bare, row in mine.items() if bare not in theirs]
    if missing:
        yield _finding(
            "missing",
            missing,
            f"{title} does not have these tensors",
            f"{len(missing)} of {len(mine)} names",
            "check the names; what is not loaded keeps its initialisation",
        )
    unexpected = [entry.name for bare, entry in theirs.items() if bare not in mine]
    if unexpected:
        yield _finding(
            "unexpected",
            unexpected,
            "the checkpoint has tensors that the model does not",
            f"{len(unexpected)} of {len(theirs)} names, such as {_list(unexpected)}",
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
            yield _finding(code, names, cause, f"{len(names)} of {len(mine)} tensors", fix)


def _bare(name: str) -> str:
    return name.removeprefix("module.").removeprefix("_orig_mod.")


def _loaded(model: _Model, row: Audited, theirs: Entry) -> str:
    mine = model.entries[row.name]
    if mine.shape != theirs.shape:
        return "shape"
    if mine.values is None or theirs.values is None:
        return ""
    if mine.dtype == theirs.dtype and _equal(mine, theirs, 1):
        return "loaded"
    if mine.dtype != theirs.dtype and _equal_rounded(mine, theirs):
        return "loaded"
    return "not_loaded" if row.state == "at init" else "changed"


def _equal_rounded(mine: Entry, theirs: Entry) -> bool:
    """Whether the checkpoint's values, in the model's dtype, are the model's."""
    assert mine.values is not None
    assert theirs.values is not None
    for start, stop in in_pieces(mine):
        first = mine.values.read(start, stop).clone()
        if not torch.equal(first, theirs.values.read(start, stop).to(first.dtype)):
            return False
    return True
