"""How numbers and tables are shown."""

import json
import math
import tomllib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

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


def _a_table():
    import math

    from ui import show

    show.table(
        [
            {"what": "a", "finite": 0.5, "endless": math.inf, "count": 3},
            {"what": "b", "finite": math.nan, "endless": 2.0, "count": 4},
        ],
        "Two lines",
    )


def test_numbers_of_a_table_stand_right_infinite_ones_too():
    table = AppTest.from_function(_a_table).run().dataframe[0]
    columns = json.loads(table.proto.columns)
    assert list(table.value["endless"]) == ["∞", "2"]
    assert columns["endless"]["alignment"] == "right"
    assert columns["finite"]["type_config"]["type"] == "number"
    assert math.isnan(table.value["finite"][1])


@pytest.mark.parametrize(("theme", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_charts_and_pages_share_the_colour_of_text(theme, palette):
    pages = tomllib.loads(CONFIG.read_text())["theme"][theme]
    assert pages["textColor"] == palette.ink
    assert pages["borderColor"] == palette.line
