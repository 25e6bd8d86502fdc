"""Audit: whether every tensor of a model was initialised as it was meant to be.

>>> from torch import nn
>>> audit(nn.Linear(64, 64, bias=False), "torch")
1 tensor, 4,096 parameters: 1 at initialisation. Held against PyTorch's defaults. Nothing amiss.

``survey`` says what each tensor is; here it is judged: against a recipe where there is one, by
principle where there is none, and in any case against the other tensors of the model. What is found
stands in ``Audit.findings``, each with its cause, its evidence and its mend.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from initcore.checkpoint import Source, title_of
from initcore.checks import CHECKS, check_against, kin
from initcore.errors import InitError
from initcore.findings import SEVERITIES, Audited, Finding, Model, Severity, finding_of, listed
from initcore.identify import Identification
from initcore.measure import Measurement, Progress
from initcore.recipes import RECIPES, Recipe, get_recipe
from initcore.report import finite
from initcore.roles import Dims, infer_dims
from initcore.survey import Block, Study, survey
from initcore.verdicts import AGAINST_RECIPE, audited


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


@dataclass(frozen=True, repr=False)
class Audit:
    """The result: every tensor, and the findings, errors first. Shows as text of both.

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
    def _drawn(self) -> list[Audited]:
        """All tensors but buffers, which are computed or set."""
        return [row for row in self.tensors if row.study.place.role != "buffer"]

    @property
    def parameters(self) -> int:
        """Values in all tensors, a tied one counted once, buffers left out."""
        return sum(row.study.entry.count for row in self._drawn if not row.study.tied)

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
    def _origin(self) -> str:
        """Where the tensors at initialisation were drawn, of those that torch's CPU did not."""
        fresh = [row for row in self._drawn if row.state == "at init"]
        on_gpu = sum(row.drawn_on == "CUDA" for row in fresh)
        doubtful = sum(row.torch_draw is False for row in fresh)
        if on_gpu:
            gpu = f"{on_gpu} of them drawn by torch on a GPU"
            rest = f", {doubtful} there or elsewhere, or trained a little since"
            return f" ({gpu}{rest if doubtful else ''})"
        if doubtful:
            which = "" if doubtful == self.at_init else f"{doubtful} of them "
            return f" ({which}drawn elsewhere than by torch on a CPU, or trained a little since)"
        return ""

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
            state.append(f"{self.at_init} at initialisation{self._origin}")
        if self.trained:
            state.append(f"{self.trained} trained or something else")
        if untold := sum(row.state == "unknown" for row in self._drawn):
            state.append(f"{untold} not to be told")
        held = f" Held against {self.recipe.title}." if self.recipe else ""
        if self.chosen and self.recipe:
            held = f" Best fit: {self.chosen[0].sentence}."
        one = len(self.tensors) == 1
        return (
            f"{len(self.tensors):,} tensor{'' if one else 's'}, {self.parameters:,} parameters"
            f"{': ' + ', '.join(state) if state else ''}.{held} {found or 'Nothing amiss'}."
        )

    def __repr__(self) -> str:
        return "\n\n".join([self.sentence, *map(str, self.findings)])

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
            import pandas  # the package does not need it
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
        "torch_draw": found.torch_draw,
        "drawn_on": found.drawn_on,
        "strays": found.strays,
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
        fits best. That this one is meant is a guess: a deviation is a warning, and an error only
        where nine tenths of the model and its like in other blocks agree. Without a recipe the
        tensors are judged by principle and against each other.
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
    rows = [audited(study, known, dims) for study in studies]
    if any(row.state == "trained" for row in rows):
        rows = [replace(row, among_trained=True) for row in rows]
    model = Model(tuple(rows), dims, known, {study.name: study.entry for study in studies})
    findings = _joined(finding for check in CHECKS for finding in check(model))
    if chosen:
        findings = _less_sure(findings, rows, chosen[0])
    if recipe == "auto" and known is None:
        findings.append(
            finding_of(
                "no_recipe",
                (),
                "no built-in recipe fits this model",
                f"the best is {chosen[0].sentence}",
                "write the recipe as a TOML file, see initcore.recipes",
            )
        )
    if against is not None:
        findings += check_against(model, against)
    order = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    findings.sort(key=lambda finding: order[finding.severity])
    # The values stay with whom they belong to.
    light = tuple(
        replace(row, study=replace(row.study, entry=replace(row.study.entry, values=None)))
        for row in rows
    )
    return Audit(title_of(source), light, tuple(findings), dims, known, chosen)


def _less_sure(
    findings: Iterable[Finding], rows: Sequence[Audited], fit: Agreement
) -> list[Finding]:
    """Findings against a recipe that was guessed: errors only where all but a few agree."""
    like = {row.name: (kin(row.name), row.study.place.role) for row in rows}
    agreeing = Counter(like[row.name] for row in rows if row.agrees)
    deviating = Counter(like[row.name] for row in rows if row.agrees is False)

    fits = fit.agreeing >= 0.9 * fit.tensors

    def alone(name: str) -> bool:
        return fits and agreeing[like[name]] >= 2 * deviating[like[name]]

    # Nobody computes positions by mistake: the recipe is not all that was meant.
    computed = {
        row.name
        for row in rows
        if row.study.identification and row.study.identification.family == "sinusoidal"
    }

    def weighed(f: Finding) -> Finding:
        if f.code not in AGAINST_RECIPE:
            return f
        if computed.issuperset(f.tensors):
            return replace(f, severity="info")
        return f if all(map(alone, f.tensors)) else replace(f, severity="warning")

    return list(map(weighed, findings))


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
        lines += [
            f"  {f.code:10} {listed(f.tensors)}: {f.cause} ({f.evidence}); {f.fix}"
            for f in offenders
        ]
        raise AssertionError("\n".join(lines))


def _choose(studies: Sequence[Study], dims: Dims) -> tuple[Agreement, ...]:
    """Every recipe with how well it fits, the best first.

    One that speaks of every matrix and that nothing contradicts is right, whatever another may add
    on biases and norms; else what agrees is weighed.
    """
    measured = [s for s in studies if s.measurement and not s.tied and s.place.role != "buffer"]
    total = sum(study.entry.count for study in measured)
    fits = []
    for recipe in RECIPES:
        rows = [audited(study, recipe, dims) for study in measured]
        agreeing = [row for row in rows if row.agrees]
        right = sum(row.study.entry.count for row in agreeing)
        fit = Agreement(recipe, len(measured), len(agreeing), total, right)
        met = all(
            row.agrees or (row.agrees is None and len(row.study.place.shape) < 2) for row in rows
        )
        # By parameters alone one large embedding would decide; by tensors alone the biases would.
        fits.append((met, fit.share + fit.agreeing / max(fit.tensors, 1), fit))
    fits.sort(key=lambda scored: scored[:2], reverse=True)
    return tuple(fit for _, _, fit in fits)
