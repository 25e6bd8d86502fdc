"""How numbers and tables are shown."""

import tomllib
from pathlib import Path

import pytest

from initcore.figures.style import DARK, LIGHT
from ui.show import cell

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "–"),
        (0.0, "0"),
        (-0.123456, "−0.1235"),
        (1e-7, "1e−7"),
        ("mean", "mean"),
        (3, "3"),
    ],
    ids=str,
)
def test_a_cell(value, shown):
    assert cell(value) == shown


@pytest.mark.parametrize(("theme", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_charts_and_pages_share_the_colour_of_text(theme, palette):
    pages = tomllib.loads(CONFIG.read_text())["theme"][theme]
    assert pages["textColor"] == palette.ink
    assert pages["borderColor"] == palette.line
