"""Recipes: which law each tensor of a model family should have, one record each, in ``RECIPES``.

>>> from initcore.roles import Dims, places
>>> [place] = places({"h.3.mlp.c_proj.weight": ((64, 256), "float32")})
>>> [part] = get_recipe("nanogpt").expected(place, Dims(d=64, L=8)).parts
>>> part.options[0].form, part.options[0].law.std
('N(0, σ²), σ = 0.02/√(2L)', 0.005)

A recipe is a list of rules; the first that matches a tensor, or a block of it, says what it should
hold. A user's own recipe is a TOML file of the same shape, read by the same code::

    title = "My GPT"
    source = "our design document"

    [[rule]]
    role = "mlp_out"             # of initcore.roles.ROLES; several as "mlp_out|attention_out"
    name = ".*c_proj.weight"     # a regular expression for the whole name
    law = "normal"               # a scheme of initcore.schemes, with its parameters
    std = "0.02 / sqrt(2 * L)"   # an expression, see initcore.expressions

A rule may also ask for a ``module``, the class name of one of the modules around the tensor, and
for a ``block``, a part that is judged on its own: q, k, v, i, f, g, o, padding, ``expert 3`` ….
``also`` lists further laws that are as right. Tensors without a rule are not judged.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from initcore.draw import DTYPES, MAX_SEED, fill
from initcore.errors import InitError
from initcore.expressions import Expression
from initcore.laws import Constant, Law, Normal, TruncatedNormal, Uniform
from initcore.layers import Layer
from initcore.roles import MATRICES, ROLES, Dims, Index, Place, infer_dims, places
from initcore.schemes import Call, Init, Scheme, Slot, Value, get_scheme, schemes


@dataclass(frozen=True)
class Option:
    """One law that is right for a tensor, or for a part of it.

    init: the scheme with its numbers. law: of one entry. form: as people write it.
    """

    init: Init
    law: Law
    form: str


@dataclass(frozen=True)
class Part:
    """A part of a tensor, ``tensor[index]``, and the laws that are right for it, the usual first.

    The whole tensor has no name and the index ().
    """

    name: str
    index: Index
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Expectation:
    """What a recipe expects of one tensor: the parts that differ, and why.

    One part where all of the tensor follows one law. note: what to know of it, such as a zero that
    is meant. source: where the recipe comes from.
    """

    parts: tuple[Part, ...]
    source: str
    note: str = ""

    @property
    def form(self) -> str:
        """The closed form as people write it; the parts by name where they differ."""
        texts = {
            part.name: " or ".join(dict.fromkeys(option.form for option in part.options))
            for part in self.parts
        }
        return "; ".join(f"{name}: {text}" if name else text for name, text in texts.items())


# --- rules --------------------------------------------------------------------------------------

# Laws beside the schemes of torch.nn.init: each tap of the kernel on its own, see _taps.
DELTA = "delta_orthogonal"
# Schemes whose law depends on the shape of what is filled, rather than on the layer's fans.
_SHAPED = {"orthogonal", "eye", "dirac", "sparse"}
# Laws that no layer's fans shape.
_FREE = {"uniform", "normal", "trunc_normal", "constant", "zeros", "ones"}
# Shorthands that stand for parameters of the scheme, and parameters nobody should leave out.
_SHORTHANDS = {"uniform": {"bound": ("a", "b")}, "trunc_normal": {"cut": ("a", "b")}}
_REQUIRED = {
    "uniform": ("bound",),
    "normal": ("std",),
    "trunc_normal": ("std",),
    "constant": ("val",),
}
MAX_PATTERN = 200

# Rules are asked again for every tensor of a model.
_parsed = lru_cache(maxsize=1024)(Expression)


def _scheme(law: str) -> Scheme:
    return get_scheme("orthogonal" if law == DELTA else law)


@dataclass(frozen=True)
class Clause:
    """A law as a recipe writes it: the slug of a scheme, and its parameters as (name, text)."""

    law: str
    params: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.law != DELTA and self.law not in schemes():
            raise InitError(f"law = {self.law!r}: must be one of: {', '.join([*schemes(), DELTA])}")
        known = {param.name: param for param in _scheme(self.law).params}
        shorthands = _SHORTHANDS.get(self.law, {})
        for name, text in self.params:
            if name in shorthands or (name in known and not known[name].choices):
                self._expression(name, text)
            elif name in known:
                known[name].parse(text)
            else:
                allowed = ", ".join([*shorthands, *known]) or "no parameters"
                raise InitError(f"{name} = {text!r}: law {self.law!r} takes {allowed}")
        given = {name for name, _ in self.params}
        for name in _REQUIRED.get(self.law, ()):
            if name not in given and not set(shorthands.get(name, (name,))) <= given:
                raise InitError(f"law {self.law!r} needs {name}: an expression such as '0.02'")

    def _expression(self, name: str, text: str) -> Expression:
        try:
            return _parsed(text)
        except InitError as error:
            raise InitError(f"{name} = {error}") from None

    def option(self, slot: Slot, variables: Mapping[str, float | None]) -> Option | None:
        """The law for a slot; None where a size it needs is unknown."""
        given: dict[str, Value] = {}
        for name, text in self.params:
            if self._choice(name):
                given[name] = text
                continue
            value = _parsed(text).value(variables)
            if value is None:
                return None
            given[name] = value
        std = given.get("std", 1.0)
        for name, scale in (("bound", 1.0), ("cut", std)):
            if name in _SHORTHANDS.get(self.law, {}) and name in given:
                end = float(given.pop(name)) * float(scale)
                given |= {"a": -end, "b": end}
        init = Init(_scheme(self.law).slug, given)
        if reason := init.scheme.why_not(slot):
            raise InitError(reason)
        return Option(init, init.law(slot), self.form)

    def _choice(self, name: str) -> bool:
        return any(param.name == name and param.choices for param in _scheme(self.law).params)

    @property
    def form(self) -> str:
        """The closed form as people write it."""
        forms = {
            name: text if self._choice(name) else _parsed(text).form for name, text in self.params
        }
        match self.law:
            case "zeros" | "ones":
                return f"all {int(self.law == 'ones')}"
            case "constant":
                return f"all {forms['val']}"
            case "uniform" if "bound" in forms:
                return f"U(±{forms['bound']})"
            case "normal" | "trunc_normal":
                return _normal_form(forms)
            case "default":
                return "torch's default"
        arguments = ", ".join(f"{name} {form}" for name, form in forms.items())
        title = "Delta-orthogonal" if self.law == DELTA else _scheme(self.law).title
        return f"{title}, {arguments}" if arguments else title


def _normal_form(forms: Mapping[str, str]) -> str:
    std, mean = forms["std"], forms.get("mean", "0")
    plain = not re.search(r"[^\d.e−]", std)
    text = f"N({mean}, {std}²)" if plain and "e" not in std else f"N({mean}, σ²), σ = {std}"
    if "cut" in forms:
        text += f" cut at ±{forms['cut']}σ"
    if "a" in forms and "b" in forms:
        text += f" cut to [{forms['a']}, {forms['b']}]"
    return text


@dataclass(frozen=True)
class Rule:
    """Which tensors, and the laws that are right for them, the usual first.

    role: roles joined by |. name: a regular expression for the whole name, module: for the class
    name of a module around it, block: for the name of a block. An empty one asks for nothing.
    """

    clauses: tuple[Clause, ...]
    role: str = ""
    name: str = ""
    module: str = ""
    block: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for role in self.role.split("|") if self.role else ():
            if role not in ROLES:
                raise InitError(f"role = {role!r}: must be of: {', '.join(ROLES)}")
        if len(self.clauses) > 1 and any(clause.law == DELTA for clause in self.clauses):
            raise InitError(f"law {DELTA!r} sets each tap of a kernel: it cannot be one of several")
        for key in ("name", "module", "block"):
            _check_pattern(key, getattr(self, key))

    def matches(self, place: Place) -> bool:
        """Whether the rule is for this tensor, or for one of its blocks."""
        return (
            (not self.role or place.role in self.role.split("|"))
            and (not self.name or re.fullmatch(self.name, place.name) is not None)
            and (not self.module or any(re.fullmatch(self.module, m) for m in place.modules))
        )

    def takes(self, block: str) -> bool:
        return not self.block or re.fullmatch(self.block, block) is not None


def _check_pattern(key: str, pattern: str) -> None:
    """Refuse what cannot be compiled, and what may take for ever to match."""
    shown = f"{key} = {pattern[:60]!r}"
    if len(pattern) > MAX_PATTERN:
        raise InitError(f"{shown}: {len(pattern):,} characters, at most {MAX_PATTERN}")
    bare = re.sub(r"\\.", "x", pattern)  # without what is escaped
    if re.search(r"\)[*+{]", bare) or len(re.findall("[*+{]", bare)) > 4:
        raise InitError(f"{shown}: at most 4 of * + {{ }} and none after a group, to stay fast")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise InitError(f"{shown}: no regular expression: {error}") from None


# --- recipes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """Which law each tensor of a model family should have: a record of ``RECIPES`` or a file."""

    slug: str
    title: str
    source: str
    rules: tuple[Rule, ...]

    def expected(self, place: Place, dims: Dims) -> Expectation | None:
        """What the tensor should hold, block by block where blocks differ.

        None where no rule matches, or where a size that a law needs cannot be inferred. Raises
        InitError where a rule cannot hold: an identity for a vector, a negative std.
        """
        rules = [rule for rule in self.rules if rule.matches(place)]
        if not rules:
            return None
        blocks = place.blocks or (("", ()),)
        chosen = [next((rule for rule in rules if rule.takes(name)), None) for name, _ in blocks]
        used = {rule: None for rule in chosen if rule}
        parts: list[Part] = []
        if len(set(chosen)) == 1 and not self._by_block(chosen[0], blocks):
            blocks, chosen = (("", ()),), chosen[:1]
        for (name, index), rule in zip(blocks, chosen, strict=True):
            if rule:
                parts += self._parts(rule, place, dims, name, index)
        if not parts:
            return None
        notes = " ".join(dict.fromkeys(rule.note for rule in used if rule.note))
        return Expectation(tuple(parts), self.source, notes)

    @staticmethod
    def _by_block(rule: Rule | None, blocks: Iterable[tuple[str, Index]]) -> bool:
        """Whether stacked matrices need one matrix each: all at once they are no matrix."""
        shaped = rule is not None and any(clause.law in _SHAPED for clause in rule.clauses)
        return shaped and any(_is_expert(name) for name, _ in blocks)

    def _parts(self, rule: Rule, place: Place, dims: Dims, name: str, index: Index) -> list[Part]:
        variables = _variables(place, dims)
        shape = _shape_of(place.shape, index)
        parts: dict[str, Part] = {}
        for clause in rule.clauses:
            if place.layer is None and clause.law not in _FREE:
                continue
            cuts = _taps(place, shape, clause) if clause.law == DELTA else [(name, index, clause)]
            for part, at, own in cuts:
                cut = _shape_of(place.shape, at)[1 if _is_expert(part) else 0 :]
                try:
                    option = own.option(_slot(place, cut, own), variables)
                except InitError as error:
                    where = self.rules.index(rule) + 1
                    raise InitError(f"{self.slug}, rule {where}: {place.name}: {error}") from None
                if option:
                    before = parts[part].options if part in parts else ()
                    parts[part] = Part(part, at, (*before, option))
        return list(parts.values())

    def as_toml(self) -> str:
        """The recipe as a TOML file, to start one's own from."""
        lines = [f"title = {_quoted(self.title)}", f"source = {_quoted(self.source)}"]
        for rule in self.rules:
            lines += ["", "[[rule]]"]
            lines += [f"{key} = {_quoted(v)}" for key in _SELECTORS if (v := getattr(rule, key))]
            first, *others = rule.clauses
            lines += [f"{key} = {_quoted(value)}" for key, value in _items(first)]
            if others:
                tables = (", ".join(f"{k} = {_quoted(v)}" for k, v in _items(o)) for o in others)
                lines.append(f"also = [{', '.join(f'{{ {table} }}' for table in tables)}]")
            if rule.note:
                lines.append(f"note = {_quoted(rule.note)}")
        return "\n".join(lines) + "\n"


def _items(clause: Clause) -> list[tuple[str, str]]:
    return [("law", clause.law), *clause.params]


def _quoted(text: str) -> str:
    """A TOML string: literal where a regular expression has backslashes."""
    literal = "\\" in text and text.isprintable() and "'" not in text
    return f"'{text}'" if literal else json.dumps(text, ensure_ascii=False)


def _variables(place: Place, dims: Dims) -> dict[str, float | None]:
    """The values of ``expressions.VARIABLES`` for one tensor; None where unknown."""
    layer = place.layer
    return {
        "fan_in": layer.fan_in if layer else None,
        "fan_out": layer.fan_out if layer else None,
        "effective_fan_in": layer.effective_fan_in if layer else None,
        "effective_fan_out": layer.effective_fan_out if layer else None,
        "d": dims.d,
        "L": dims.L,
        "l": place.depth,
        "ff": dims.ff,
        "heads": dims.heads,
        "head_dim": dims.head_dim,
        "hidden": place.hidden,
    }


def _shape_of(shape: Sequence[int], index: Index) -> tuple[int, ...]:
    """The shape of ``tensor[index]``."""
    cut = [len(range(*at.indices(size))) for at, size in zip(index, shape, strict=False)]
    return (*cut, *shape[len(cut) :])


def _is_expert(name: str) -> bool:
    """Whether a block is one matrix of a stack, ``tensor[i : i + 1]``."""
    return name.startswith("expert ")


def _slot(place: Place, shape: tuple[int, ...], clause: Clause) -> Slot:
    """What a scheme sees: the layer with its fans, or the very matrix that is filled."""
    if place.layer and place.role == "bias":
        return Slot(place.layer, "bias")
    if place.layer and (clause.law not in {*_SHAPED, DELTA} or place.layer.weight_shape == shape):
        return Slot(place.layer, "weight")
    if len(shape) < 2 or 0 in shape:
        return Slot(Layer("linear", (1, max(math.prod(shape), 1))), "bias")
    return Slot(Layer("linear", (math.prod(shape[1:]), shape[0])), "weight")


def _taps(place: Place, shape: tuple[int, ...], clause: Clause) -> list[tuple[str, Index, Clause]]:
    """Delta-orthogonal: an orthogonal matrix at the kernel's centre, zeros at the other taps.

    A map to fewer channels cannot keep lengths, and has no such kernel.
    """
    if place.layer is None or len(shape) < 3 or place.layer.groups > 1 or shape[1] > shape[0]:
        return []
    kernel = shape[2:]
    taps: list[tuple[str, Index, Clause]] = []
    for flat in range(math.prod(kernel)):
        at = [flat // math.prod(kernel[axis + 1 :]) % kernel[axis] for axis in range(len(kernel))]
        index = (slice(None), slice(None), *(slice(i, i + 1) for i in at))
        centre = all(i == (size - 1) // 2 for i, size in zip(at, kernel, strict=True))
        name = "centre" if centre else f"tap {', '.join(map(str, at))}"
        taps.append(
            (name, index, Clause("orthogonal", clause.params) if centre else Clause("zeros"))
        )
    return taps


# --- reading ------------------------------------------------------------------------------------

MAX_FILE = 65_536
MAX_RULES = 500
_SELECTORS = ("role", "name", "module", "block")


def _text(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InitError(f"{key} = {str(value)[:60]}: must be text or a number")
    return value if isinstance(value, str) else repr(value)


def _clause(table: Mapping[str, object]) -> Clause:
    if "law" not in table:
        raise InitError("law is missing: name a scheme, such as law = 'normal'")
    texts = {key: _text(key, value) for key, value in table.items()}
    return Clause(texts.pop("law"), tuple(texts.items()))


def _rule(table: Mapping[str, object]) -> Rule:
    """A rule from its table: built-in records and files alike."""
    others = table.get("also", [])
    if not isinstance(others, list) or not all(isinstance(other, dict) for other in others):
        raise InitError("also: must be a list of tables such as { law = 'zeros' }")
    selectors = {key: _text(key, table[key]) for key in _SELECTORS if key in table}
    not_of_the_law = {*_SELECTORS, "also", "note"}
    first = _clause({key: value for key, value in table.items() if key not in not_of_the_law})
    note = _text("note", table.get("note", ""))
    return Rule((first, *map(_clause, others)), **selectors, note=note)


def parse_recipe(text: str, name: str = "recipe") -> Recipe:
    """The recipe that a TOML text describes; ``name`` is what errors call it.

    Raises InitError naming the rule, the value, and what is allowed.
    """
    if len(text) > MAX_FILE:
        raise InitError(f"{name}: {len(text):,} characters, at most {MAX_FILE:,}")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InitError(f"{name}: no TOML: {' '.join(what.split())[:200]}") from None
    unknown = ", ".join(sorted(set(data) - {"title", "source", "rule"})[:3])
    if unknown:
        raise InitError(
            f"{name}: unknown key {unknown[:60]!r}: title, source and [[rule]] are known"
        )
    tables = data.get("rule")
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise InitError(f"{name}: no [[rule]] in it: a recipe is a list of rules")
    if len(tables) > MAX_RULES:
        raise InitError(f"{name}: {len(tables):,} rules, at most {MAX_RULES}")
    rules = []
    for index, table in enumerate(tables, 1):
        try:
            rules.append(_rule(table))
        except InitError as error:
            raise InitError(f"{name}: rule {index}: {error}") from None
    slug = Path(name).stem
    try:
        title, source = (_text(key, data.get(key, "")) for key in ("title", "source"))
    except InitError as error:
        raise InitError(f"{name}: {error}") from None
    return Recipe(slug, title or slug, source or name, tuple(rules))


def get_recipe(recipe: str | Path | Recipe) -> Recipe:
    """A built-in recipe by its slug, or one from a TOML file by its path.

    Raises InitError for an unknown slug, an unreadable file, or a file that holds no recipe.
    """
    if isinstance(recipe, Recipe):
        return recipe
    known = {record.slug: record for record in RECIPES}
    if str(recipe) in known:
        return known[str(recipe)]
    path = Path(recipe)
    if path.suffix != ".toml":
        raise InitError(
            f"recipe {str(recipe)!r} is not one of: {', '.join(known)}, or a .toml file"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise InitError(f"{path.name}: larger than {MAX_FILE:,} bytes: no recipe")
        return parse_recipe(content.decode(), path.name)
    except OSError as error:
        raise InitError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InitError(f"{path.name}: no text in UTF-8") from None


# --- drawing ------------------------------------------------------------------------------------


def apply_recipe(module: nn.Module, recipe: str | Path | Recipe, seed: int = 0) -> list[str]:
    """Draw what the recipe expects, in place; returns the names of the tensors it filled.

    Where several laws are right, the usual one. Tied tensors are drawn once, under their first
    name; tensors that the recipe says nothing of stay as they are. Deterministic: the global
    generator of torch is not touched. Raises InitError for a tensor on the meta device.
    """
    if isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InitError(f"seed = {seed}: must be at least 0 and at most {MAX_SEED}")
    chosen = get_recipe(recipe)
    found = places(module)
    dims = infer_dims(found)
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    tensors |= dict(module.named_buffers(remove_duplicate=False))
    filled = []
    for place in found:
        expectation = None if place.tied else chosen.expected(place, dims)
        if expectation is None or place.dtype not in DTYPES:
            continue
        tensor = tensors[place.name].detach()
        if tensor.is_meta:
            raise InitError(f"{place.name} is on the meta device: materialise the module first")
        for part in expectation.parts:
            target = tensor[part.index]
            _draw(target[0] if _is_expert(part.name) else target, part.options[0], generator, seed)
        filled.append(place.name)
    return filled


def _draw(target: Tensor, option: Option, generator: torch.Generator, seed: int) -> None:
    """Draw into a tensor, which may be a part of another and live on any device."""
    # torch.linalg.qr, which orthogonal_ uses, has no 16-bit version.
    whole = option.init.slug == "orthogonal" and target.dtype.itemsize == 2
    fresh = torch.empty(target.shape, dtype=torch.float32 if whole else target.dtype)
    fill(fresh, _call(option), generator, seed)
    target.copy_(fresh)


def _call(option: Option) -> Call:
    """The torch call that draws the law, with its numbers: the fans are in them already."""
    match option.law:
        case Uniform(a, b):
            return Call("uniform_", {"a": a, "b": b})
        case Normal(mean, std):
            return Call("normal_", {"mean": mean, "std": std})
        case TruncatedNormal(mean, std, a, b):
            return Call("trunc_normal_", {"mean": mean, "std": std, "a": a, "b": b})
        case Constant():
            return Call("constant_", {"val": option.law.value})
    return Call(f"{option.init.slug}_", option.init.params)


# --- the records --------------------------------------------------------------------------------


def _r(**table: object) -> Rule:
    return _rule(table)


def _law(law: str, **params: str) -> dict[str, str]:
    return {"law": law, **params}


_LINEARS = "|".join(MATRICES)
_INNER = "linear|q|k|v|qkv|mlp_in|router"  # all but what writes to the residual stream, and heads
_OUT = "attention_out|mlp_out"
_CONVS = "conv|conv_transpose"
# std of a standard normal cut at ±2, by which JAX's truncated initialisers divide.
_LECUN_TRUNCATED = _law("trunc_normal", std="1 / sqrt(fan_in) / 0.87962566103423978", cut="2")

_NORMS = (_r(role="norm", law="ones"), _r(role="norm_bias", law="zeros"))
_NO_BIAS = _r(role="bias", law="zeros")
_PADDING = _r(role="embedding", block="padding", law="zeros", note="The row of padding is zero.")
_LORA = (
    _r(
        role="lora_a",
        law="uniform",
        bound="1 / sqrt(fan_in)",
        also=[_law("normal", std="1 / fan_out")],
    ),
    _r(role="lora_b", law="zeros", note="LoRA starts as no change: B is zero."),
)
# A timm trunc_normal_ of std 0.02 keeps its cuts at ±2, a hundred std away.
_TIMM_VIT = "huggingface/pytorch-image-models, timm/models/vision_transformer.py"
_TIMM = {"law": "trunc_normal", "std": "0.02", "a": "-2", "b": "2"}

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "torch",
        "PyTorch's defaults",
        "reset_parameters of torch.nn's modules",
        (
            _r(module="Transformer", role=_LINEARS, law="xavier_uniform"),
            _r(name=r".*in_proj_weight", law="xavier_uniform"),
            _r(name=r".*[qkv]_proj_weight", law="xavier_uniform"),
            _r(module="MultiheadAttention", role="bias", law="zeros"),
            _r(name=r".*in_proj_bias", law="zeros"),
            # Names do not say whether attention is torch's own, and layers nn.Transformer's.
            _r(name=r".*out_proj\.bias", law="zeros", also=[_law("default")]),
            _r(module="Transformer(En|De)coderLayer", role=_LINEARS, law="default"),
            _r(
                name=r".*(en|de)coder\.layers\.\d+\.(self_attn|multihead_attn|linear).*weight",
                law="default",
                also=[_law("xavier_uniform")],
            ),
            _r(name=r".*bias_[kv]", role="token", law="normal", std="1 / sqrt(d)"),
            _r(
                role="recurrent_input|recurrent_hidden|recurrent_projection|recurrent_bias",
                law="uniform",
                bound="1 / sqrt(hidden)",
            ),
            _PADDING,
            _r(role=f"{_LINEARS}|{_CONVS}|embedding|positions|relative_bias|bias", law="default"),
            *_NORMS,
            _r(module="PReLU", law="constant", val="0.25"),
            *_LORA,
        ),
    ),
    Recipe(
        "transformers",
        "Hugging Face transformers' default",
        "huggingface/transformers, modeling_utils.py, PreTrainedModel._init_weights",
        (
            _PADDING,
            _r(role=f"embedding|positions|token|{_CONVS}|{_LINEARS}", law="normal", std="0.02"),
            _NO_BIAS,
            _r(
                role="norm",
                law="ones",
                also=[_law("zeros")],
                note="Gemma's norms multiply by 1 + weight: theirs start at zero.",
            ),
            _r(role="norm_bias", law="zeros"),
            *_LORA,
        ),
    ),
    Recipe(
        "gpt2",
        "GPT-2 as released",
        "openai/gpt-2, src/model.py",
        (
            _r(role="positions", law="normal", std="0.01"),
            _r(role=f"embedding|{_LINEARS}", law="normal", std="0.02"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "nanogpt",
        "GPT-2 as in the paper, nanoGPT",
        "karpathy/nanoGPT, model.py; Radford et al. 2019, section 2.3",
        (
            _r(role=_OUT, law="normal", std="0.02 / sqrt(2 * L)"),
            _r(role=f"embedding|positions|{_LINEARS}", law="normal", std="0.02"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "bert",
        "BERT",
        "google-research/bert, modeling.py, create_initializer",
        (
            _PADDING,
            _r(role=f"embedding|positions|{_LINEARS}", law="trunc_normal", std="0.02", cut="2"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "t5",
        "T5, Switch Transformer",
        "huggingface/transformers, modeling_t5.py and modeling_switch_transformers.py",
        (
            _r(
                role="head",
                law="normal",
                std="1 / sqrt(d)",
                also=[_law("normal", std="1")],
                note="An untied head: 1/√d in Mesh TensorFlow, 1 in transformers.",
            ),
            _r(role="embedding|router", law="normal", std="1"),
            _r(role="q", law="normal", std="1 / sqrt(d * head_dim)"),
            _r(role="attention_out|mlp_out", law="normal", std="1 / sqrt(fan_in)"),
            _r(role="k|v|mlp_in|relative_bias|linear", law="normal", std="1 / sqrt(d)"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "llama",
        "Llama-2 style (full Megatron)",
        "allenai/OLMo, olmo/model.py, full_megatron",
        (
            _r(role="head", law="trunc_normal", std="1 / sqrt(d)", cut="3"),
            _r(role=_OUT, law="trunc_normal", std="0.02 / sqrt(2 * L)", cut="3"),
            _r(role=f"embedding|{_INNER}", law="trunc_normal", std="0.02", cut="3"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "olmo",
        "OLMo (Mitchell)",
        "allenai/OLMo, olmo/model.py, mitchell",
        (
            _r(role=_OUT, law="trunc_normal", std="1 / sqrt(2 * fan_in * (l + 1))", cut="3"),
            _r(role=f"embedding|head|{_INNER}", law="trunc_normal", std="1 / sqrt(d)", cut="3"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "litgpt",
        "LitGPT pretraining, TinyLlama",
        "Lightning-AI/litgpt, litgpt/pretrain.py, initialize_weights; arXiv 2204.06745",
        (
            _r(role=_OUT, law="normal", std="1 / sqrt(d) / L"),
            _r(role=f"embedding|head|{_INNER}", law="normal", std="sqrt(2 / (5 * d))"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "torchtitan",
        "torchtitan Llama 3",
        "pytorch/torchtitan, torchtitan/models/llama3, init_weights",
        (
            _r(role="embedding", law="normal", std="1"),
            _r(role="head", law="trunc_normal", std="1 / sqrt(d)", cut="3"),
            *(
                _r(
                    **which,
                    law="trunc_normal",
                    std="0.02 / sqrt(2 * (l + 1))",
                    also=[_law("trunc_normal", std="0.02 / sqrt(2 * L)")],
                    note="The second law is the one without depth_init.",
                )
                for which in ({"role": _OUT}, {"name": r".*\.w3\.weight"})
            ),
            _r(role=_INNER, law="trunc_normal", std="0.02"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "vit_timm",
        "ViT, timm",
        f"{_TIMM_VIT}, init_weights_vit_timm",
        (
            _r(role="conv", law="default"),
            _r(name=r".*patch_embed.*bias", law="default"),
            _r(role="token", law="normal", std="1e-6"),
            _r(role=f"positions|{_LINEARS}", **_TIMM),
            _r(role="layer_scale", law="constant", val="1e-5"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "vit_jax",
        "ViT, as in JAX",
        f"{_TIMM_VIT}, init_weights_vit_jax",
        (
            _r(role="head", law="zeros", note="The head is meant to start at zero."),
            _r(role="conv", **_LECUN_TRUNCATED),
            _r(role="token", law="normal", std="1e-6"),
            _r(role="positions", **_TIMM),
            _r(
                role="qkv",
                law="xavier_uniform",
                also=[_law("uniform", bound="sqrt(6 / (fan_in + fan_out / 3))")],
                note="The second law is that of JAX, which holds q, k and v apart.",
            ),
            _r(role=_LINEARS, law="xavier_uniform"),
            _r(role="bias", name=r".*mlp.*", law="normal", std="1e-6"),
            _NO_BIAS,
            *_NORMS,
            *_LORA,
        ),
    ),
    Recipe(
        "convnext",
        "ConvNeXt",
        "facebookresearch/ConvNeXt, models/convnext.py",
        (
            _r(role=f"conv|{_LINEARS}", **_TIMM),
            _r(role="layer_scale", law="constant", val="1e-6"),
            _NO_BIAS,
            *_NORMS,
        ),
    ),
    Recipe(
        "efficientnet",
        "EfficientNet, MobileNet",
        "huggingface/pytorch-image-models, timm/models/_efficientnet_builder.py, _init_weight_goog",
        (
            _r(role="conv", law="normal", std="sqrt(2 / effective_fan_out)"),
            _r(role=_LINEARS, law="uniform", bound="1 / sqrt(fan_out)"),
            _NO_BIAS,
            *_NORMS,
        ),
    ),
    Recipe(
        "resnet",
        "ResNet",
        "pytorch/vision, torchvision/models/resnet.py; arXiv 1706.02677 for zero γ",
        (
            _r(role="conv", law="kaiming_normal", mode="fan_out", nonlinearity="relu"),
            _r(
                role="norm",
                name=r".*layer\d\.\d+\.bn[23]\.weight",
                law="ones",
                also=[_law("zeros")],
                note="The last γ of a block may start at zero: zero_init_residual.",
            ),
            _r(role=f"{_LINEARS}|bias", law="default"),
            *_NORMS,
        ),
    ),
    Recipe(
        "dcgan",
        "DCGAN",
        "pytorch/examples, dcgan/main.py; arXiv 1511.06434",
        (
            _r(role=_CONVS, law="normal", std="0.02"),
            _r(role="norm", law="normal", mean="1", std="0.02"),
            _r(role="norm_bias", law="zeros"),
        ),
    ),
    Recipe(
        "fixup",
        "Fixup",
        "hongyi-zhang/Fixup, cifar and imagenet models; arXiv 1901.09321",
        (
            _r(
                name=r".*layer\d\.\d+\.conv1\.weight",
                law="normal",
                std="sqrt(2 / fan_out) / sqrt(L)",
                also=[_law("normal", std="sqrt(2 / fan_out) * L ** -0.25")],
                note="L^−½ in a block of two convolutions, L^−¼ in one of three.",
            ),
            _r(
                name=r".*layer\d\.\d+\.conv2\.weight",
                law="zeros",
                also=[_law("normal", std="sqrt(2 / fan_out) * L ** -0.25")],
                note="The last convolution of a block is meant to be zero.",
            ),
            _r(
                name=r".*layer\d\.\d+\.conv3\.weight",
                law="zeros",
                note="The last convolution of a block is meant to be zero.",
            ),
            _r(name=r".*downsample.*weight", law="normal", std="sqrt(2 / fan_out)"),
            _r(role="conv", law="default"),
            _r(role=f"{_LINEARS}|bias", law="zeros", note="The classifier is meant to be zero."),
            _r(name=r".*bias\d?[ab]?", law="zeros"),
            _r(name=r".*scale", law="ones"),
        ),
    ),
    Recipe(
        "siren",
        "SIREN",
        "vsitzmann/siren, modules.py; arXiv 2006.09661, section 3.2",
        (
            # The first number in the name of the first layer is 0, and so are all that follow.
            _r(
                role="linear",
                name=r"\D*0(\.0)?(\.linear)?\.weight",
                law="uniform",
                bound="1 / fan_in",
            ),
            _r(role=_LINEARS, law="uniform", bound="sqrt(6 / fan_in) / 30"),
            _r(role="bias", law="default"),
        ),
    ),
    Recipe(
        "ppo",
        "PPO, orthogonal",
        "DLR-RM/stable-baselines3, common/policies.py",
        (
            _r(name=r".*action_net\.weight", law="orthogonal", gain="0.01"),
            _r(name=r"value_net\.weight", law="orthogonal", gain="1"),
            _r(role=f"conv|{_LINEARS}", law="orthogonal", gain="sqrt(2)"),
            _NO_BIAS,
            _r(name=r".*log_std", law="zeros"),
        ),
    ),
    Recipe(
        "irnn",
        "IRNN",
        "Le, Jaitly & Hinton 2015, arXiv 1504.00941, section 4",
        (
            _r(role="recurrent_hidden", law="eye"),
            _r(role=f"recurrent_input|{_LINEARS}", law="normal", std="0.001"),
            _r(role="recurrent_bias|bias", law="zeros"),
        ),
    ),
    Recipe(
        "delta_orthogonal",
        "Delta-orthogonal",
        "Xiao et al. 2018, arXiv 1806.05393; jax, nn/initializers.py",
        (_r(role="conv", law="delta_orthogonal"), _NO_BIAS, *_NORMS),
    ),
    Recipe(
        "selu",
        "Self-normalizing network",
        "Klambauer et al. 2017, arXiv 1706.02515",
        (
            _r(role=f"conv|{_LINEARS}", law="lecun_normal", also=[_LECUN_TRUNCATED]),
            _NO_BIAS,
        ),
    ),
)
