"""Findings: the records that an audit is made of.

A finding says what is amiss with some tensors: a kind of ``CODES``, a severity, the cause, the
evidence in numbers, and the mend.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from initcore.checkpoint import Entry
from initcore.recipes import Expectation, Recipe
from initcore.roles import MATRICES, Dims
from initcore.survey import Study

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
    Code("strays", "warning", "a few values far outside of what all others of the tensor follow"),
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
    Code("padding", "warning", "the row of padding_idx is not zero"),
    Code("packed", "warning", "Xavier's fans count q, k and v together"),
    Code("fans", "warning", "the fans are not those of the product: groups, or stacked matrices"),
    Code("large", "warning", "a scale that knows no fan multiplies a signal by far too much"),
    Code("offset", "warning", "the mean outweighs what is drawn about it"),
    Code("norm", "warning", "a norm's scale is drawn about zero"),
    Code("default", "warning", "torch's default beside layers that were initialised otherwise"),
    Code("odd", "warning", "a tensor whose scale is not that of its like in the other blocks"),
    Code("fresh", "warning", "a tensor still at its initialisation, among trained ones"),
    Code("forget_bias", "warning", "an LSTM's forget bias on both biases, which add up"),
    Code("dead", "error", "weights in a row that are all zero: no gradient reaches either"),
    Code("constant", "error", "a weight matrix of one value: its units never become different"),
    Code("doubled", "warning", "a constant set in both of two biases that add up"),
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

    def __str__(self) -> str:
        """As people read it, in a few lines."""
        lines = [f"{self.severity} [{self.code}] {self.cause}"]
        if self.tensors:
            lines.append(f"  tensors   {printable(listed(self.tensors, 3))}")
        lines += [f"  evidence  {printable(self.evidence)}", f"  mend      {self.fix}"]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "tensors": list(self.tensors),
            "cause": self.cause,
            "evidence": self.evidence,
            "fix": self.fix,
        }


def printable(text: str) -> str:
    """Names come from files: nothing in them may move a terminal's cursor."""
    return "".join(character if character.isprintable() else "�" for character in text)


def finding_of(
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
    whether it does; None where nothing is expected. among_trained: whether other tensors of the
    model are trained. state: "at init", "trained", "unknown" (not to be told) or "not measured".
    """

    study: Study
    expected: Expectation | None = None
    agrees: bool | None = None
    among_trained: bool = False

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
        if found.family == "none":  # a buffer is computed, such as a mask, and not drawn
            return "unknown" if self.study.place.role == "buffer" else "trained"
        if found.family in ("garbage", "cannot_tell", "mixture"):
            return "unknown"
        return "unknown" if self.among_trained and self.is_doubtful else "at init"

    @property
    def is_doubtful(self) -> bool:
        """Whether values that fit a law may all the same have been trained, a little."""
        found = self.study.identification
        if found is None or self.torch_draw:
            return False
        return self.torch_draw is False or not (found.named and found.confidence == "certain")

    @property
    def may_have_moved(self) -> bool:
        """Whether training is to be reckoned with."""
        return self.state == "trained" or (self.among_trained and self.is_doubtful)

    @property
    def torch_draw(self) -> bool | None:
        """As ``Identification.torch_draw``; None where nothing was identified."""
        found = self.study.identification
        return found.torch_draw if found else None

    @property
    def drawn_on(self) -> str | None:
        """As ``Identification.drawn_on``; None where nothing was identified."""
        found = self.study.identification
        return found.drawn_on if found else None


@dataclass(frozen=True)
class Model:
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
            if is_weight(row.study):
                yield row


def is_weight(study: Study) -> bool:
    role = study.place.role
    weight = role in MATRICES or role.startswith(("conv", "recurrent_input", "recurrent_hidden"))
    return weight and len(study.place.shape) > 1


def is_vector(study: Study) -> bool:
    """A bias, a norm's scale and the like: mostly constants before training."""
    return len(study.place.shape) == 1 or study.place.role.endswith("bias")


def is_fresh(row: Audited) -> bool:
    """Whether a tensor is at its initialisation beyond doubt: drawn, and large enough to tell."""
    found, m = row.study.identification, row.study.measurement
    if found is None or m is None or found.family == "sinusoidal":  # which is never trained
        return False
    drawn = m.std > 0 and len(row.study.place.shape) > 1
    return drawn and found.confidence == "certain" and row.state == "at init"


def listed(names: Sequence[str], most: int = 4) -> str:
    """A short list of names."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
