"""Expressions: arithmetic in the sizes of a layer and a model, as a recipe states its laws.

>>> expression = Expression("0.02 / sqrt(2 * L)")
>>> expression.value({"L": 8}), expression.form
(0.005, '0.02/√(2L)')

Numbers, the names of ``VARIABLES``, + - * / **, parentheses and sqrt; nothing else is understood,
and nothing is executed. Everything is computed in float64, so that no number can grow large.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from initcore.errors import InitError
from initcore.laws import number

VARIABLES = {
    "fan_in": "inputs of the layer, as torch computes them",
    "fan_out": "outputs of the layer, as torch computes them",
    "effective_fan_in": "inputs that feed one output",
    "effective_fan_out": "outputs that one input feeds",
    "d": "width of the model",
    "L": "number of blocks",
    "l": "index of the block, from 0",
    "ff": "width of the feed-forward layers",
    "heads": "number of attention heads",
    "head_dim": "size of an attention head",
    "hidden": "hidden size of a recurrent layer",
}
MAX_LENGTH = 200
_ALLOWED = f"numbers, + - * / **, sqrt( ) and: {', '.join(VARIABLES)}"
_SIGNS = {ast.Add: " + ", ast.Sub: " − ", ast.Mult: "·", ast.Div: "/"}


@dataclass(frozen=True)
class Expression:
    """A parsed expression. Raises InitError, naming what is allowed, for anything else."""

    text: str

    def __post_init__(self) -> None:
        shown = repr(self.text if len(self.text) <= 60 else self.text[:57] + "…")
        if len(self.text) > MAX_LENGTH:
            raise InitError(f"{shown}: {len(self.text):,} characters, at most {MAX_LENGTH}")
        try:
            _check(self._tree)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            what = str(error) if isinstance(error, InitError) else "not an expression"
            raise InitError(f"{shown}: {what}; allowed are {_ALLOWED}") from None

    @cached_property
    def _tree(self) -> ast.expr:
        return ast.parse(self.text.strip(), mode="eval").body

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables it needs."""
        nodes = ast.walk(self._tree)
        return frozenset(n.id for n in nodes if isinstance(n, ast.Name) and n.id != "sqrt")

    def value(self, variables: Mapping[str, float | None]) -> float | None:
        """Its value; None where a variable it needs is unknown.

        Raises InitError where the value is no finite number.
        """
        given = {name: variables.get(name) for name in self.names}
        known = {name: float(value) for name, value in given.items() if value is not None}
        if len(known) < len(given):
            return None
        try:
            value = _value(self._tree, known)
        except (ArithmeticError, ValueError, TypeError):
            value = math.nan
        if not math.isfinite(value):
            at = ", ".join(f"{name} = {x:g}" for name, x in known.items())
            raise InitError(f"{self.text!r} is no finite number{' at ' + at if at else ''}")
        return value

    @cached_property
    def form(self) -> str:
        """As people write it: 0.02/√(2L), with ℓ for l."""
        return _form(self._tree)


def _check(node: ast.expr) -> None:
    """Raise InitError at the first thing that is no arithmetic."""
    match node:
        case ast.Constant(value=bool()):
            raise InitError(f"{node.value!r} is no number")
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name):
            if name not in VARIABLES:
                raise InitError(f"unknown name {name!r}")
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            _check(operand)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
            _check(left)
            _check(node.right)
        case ast.Call(func=ast.Name(id="sqrt"), args=[operand], keywords=[]):
            _check(operand)
        case _:
            raise InitError(f"{ast.unparse(node)[:40]!r} is not arithmetic")


def _value(node: ast.expr, variables: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return variables[name]
        case ast.UnaryOp(op=op, operand=operand):
            value = _value(operand, variables)
            return -value if isinstance(op, ast.USub) else value
        case ast.Call(args=[operand]):
            return math.sqrt(_value(operand, variables))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, variables), _value(right, variables)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
            return math.pow(a, b)
    raise AssertionError(node)


def _form(node: ast.expr, within: int = 0) -> str:
    """The node as text, in parentheses where it binds less tightly than what is around it.

    Sums bind at 1, products at 2, quotients' denominators want 3, powers 4.
    """
    match node:
        case ast.Constant(value=int() | float() as value):
            return number(value)
        case ast.Name(id=name):
            return "ℓ" if name == "l" else name
        case ast.UnaryOp(op=op, operand=operand):
            text, binds = ("−" if isinstance(op, ast.USub) else "") + _form(operand, 3), 2
        case ast.Call(args=[operand]):
            inner = _form(operand, 4)
            return f"√{inner}" if inner.startswith("(") or inner.isidentifier() else _root(inner)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            text, binds = f"{_form(left, 5)}^{_form(right, 5)}", 4
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            # A number stands right before a name or a parenthesis: 2L, 2(ℓ + 1).
            last = _form(right, 2)
            close = isinstance(left, ast.Constant) and (last[0].isalpha() or last[0] in "(√")
            text, binds = f"{_form(left, 2)}{'' if close else '·'}{last}", 2
        case ast.BinOp(left=left, op=op, right=right):
            sums = isinstance(op, ast.Add | ast.Sub)
            sign = _SIGNS[type(op)]
            text = f"{_form(left, 1 if sums else 2)}{sign}{_form(right, 2 if sums else 3)}"
            binds = 1 if sums else 2
        case _:
            raise AssertionError(node)
    return f"({text})" if binds < within else text


def _root(inner: str) -> str:
    return f"√{inner}" if inner.isdecimal() else f"√({inner})"
