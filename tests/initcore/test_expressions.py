"""Expressions: arithmetic and nothing else, with its text for people."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initcore.errors import InitError
from initcore.expressions import VARIABLES, Expression

AT = {name: float(i + 2) for i, name in enumerate(VARIABLES)}


@pytest.mark.parametrize(
    ("text", "value", "form"),
    [
        ("0.02 / sqrt(2 * L)", 0.02 / math.sqrt(2 * AT["L"]), "0.02/√(2L)"),
        (
            "1 / sqrt(2 * d * (l + 1))",
            1 / math.sqrt(2 * AT["d"] * (AT["l"] + 1)),
            "1/√(2d·(ℓ + 1))",
        ),
        ("sqrt(6 / (fan_in + fan_out))", math.sqrt(6 / 5), "√(6/(fan_in + fan_out))"),
        ("sqrt(6 / fan_in) / 30", math.sqrt(3) / 30, "√(6/fan_in)/30"),
        ("L ** -0.25", AT["L"] ** -0.25, "L^(−0.25)"),
        ("(d * head_dim) ** -0.5", (AT["d"] * AT["head_dim"]) ** -0.5, "(d·head_dim)^(−0.5)"),
        ("2 * (l + 1)", 2 * (AT["l"] + 1), "2(ℓ + 1)"),
        ("d - (L - 1)", AT["d"] - AT["L"] + 1, "d − (L − 1)"),
        ("d - L - 1", AT["d"] - AT["L"] - 1, "d − L − 1"),
        ("d / (L / 2)", 2 * AT["d"] / AT["L"], "d/(L/2)"),
        ("d / L / 2", AT["d"] / AT["L"] / 2, "d/L/2"),
        ("2 ** 3 ** 2", 512.0, "2^(3^2)"),
        ("(2 ** 3) ** 2", 64.0, "(2^3)^2"),
        ("-0.02", -0.02, "−0.02"),
        ("-d ** 2", -(AT["d"] ** 2), "−d^2"),
        ("+1e-6", 1e-6, "1e−6"),
        ("sqrt(2)", math.sqrt(2), "√2"),
        (" \n1\n", 1.0, "1"),
    ],
)
def test_value_and_form(text, value, form):
    expression = Expression(text)
    assert expression.value(AT) == pytest.approx(value, rel=1e-15)
    assert expression.form == form


@given(
    st.recursive(
        st.sampled_from([*VARIABLES, "1", "2.5", "1e-3"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(
                lambda t: f"({t[0]} {t[1]} {t[2]})"
            ),
            inner.map(lambda t: f"sqrt({t})"),
            inner.map(lambda t: f"-{t}"),
        ),
        max_leaves=6,
    )
)
def test_agrees_with_python_and_its_form_says_the_same(text):
    try:
        expected = eval(text, {"sqrt": math.sqrt, **AT})
    except (ZeroDivisionError, ValueError):
        expected = math.nan
    expression = Expression(text)
    if not math.isfinite(expected):
        with pytest.raises(InitError, match="no finite number"):
            expression.value(AT)
        return
    assert expression.value(AT) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    # The form, read back as people would, has the same value: no parenthesis is missing.
    again = readable(expression.form)
    assert Expression(again).value(AT) == pytest.approx(expected, rel=2e-3, abs=1e-12)


def readable(form):
    """The form as an expression: its signs, roots and products written out."""

    form = form.replace("−", "-").replace("·", "*").replace("^", "**").replace("ℓ", "l")
    form = re.sub(r"√(\w[\w.]*)", r"sqrt(\1)", form).replace("√", "sqrt")
    return re.sub(r"(?<![\w.])(\d[\d.]*(?:e-?\d+)?)(?=[(A-Za-z])", r"\1*", form)


def test_unknown_sizes_make_it_unknown():
    expression = Expression("d / L")
    assert expression.names == {"d", "L"}
    assert expression.value({"d": 4.0, "L": None}) is None
    assert expression.value({"d": 4.0}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d d",
        "1 if d else 2",
        "True",
        "'a'",
        "b'a'",
        "1j",
        "None",
        "...",
        "x",
        "sqrt",
        "sqrt()",
        "sqrt(1, 2)",
        "sqrt(x=1)",
        "exp(1)",
        "d.real",
        "d[0]",
        "d < L",
        "d // 2",
        "d % 2",
        "d @ L",
        "~d",
        "not d",
        "d and L",
        "[1]",
        "{1}",
        "lambda: 1",
        "(d := 2)",
        "__import__('os').system('true')",
        "d; L",
        "d = 2",
        "\0",
        "(" * 100 + "1" + ")" * 100,
        "(" * 1000,
        "-" * 1000 + "1",
        "1" * 5000,
        "9" * 201,
    ],
)
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(InitError) as error:
        Expression(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "10**10**10",
        "10.0**400",
        "2**2**2**2**2**2",
        "1/0",
        "0**-1",
        "sqrt(-1)",
        "(-8)**0.5",
        "1e999",
    ],
)
def test_numbers_out_of_reach_are_refused(text):
    with pytest.raises(InitError, match="is no finite number"):
        Expression(text).value(AT)
