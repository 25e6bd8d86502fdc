"""What the tests of the pages share: opening a page as a link would, and reading what it shows."""

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ui import reports
from ui.kept import Kept

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(autouse=True)
def a_fresh_server(monkeypatch):
    """No report of another test, and the limits' defaults."""
    monkeypatch.setattr(reports, "_reports", Kept(reports._KEPT))
    monkeypatch.delenv("INITCORE_HOLD_MB", raising=False)
    monkeypatch.delenv("INITCORE_STREAM_MB", raising=False)


@pytest.fixture
def open_page():
    """``open_page("compare", {"seed": 3})``: a visitor's first request, by link; "" is the root."""

    def open_page(page="layer", query=None, theme="light"):
        at = AppTest.from_file(APP, default_timeout=60)
        at.context = {"url": f"http://localhost:8501/{page}", "theme": theme}
        for key, value in (query or {}).items():
            several = isinstance(value, list)
            at.query_params[key] = [str(v) for v in value] if several else str(value)
        if page:
            at.switch_page(f"pages/{page}.py")
        at.run()
        assert not at.exception
        return at

    return open_page


@pytest.fixture
def press():
    """Press the button whose label holds a word, and run."""

    def press(at, word):
        found = [button for button in at.button if word.lower() in button.label.lower()]
        found[0].click().run()
        assert not at.exception
        return at

    return press


@pytest.fixture
def open_in_layer():
    """Follow "Open in Layer": that of a scheme, or the only one there is."""

    def open_in_layer(at, slug=""):
        links = [parse_qs(link.proto.query_string) for link in at.page_link]
        [query] = [query for query in links if slug in ("", *query["scheme"])]
        at.query_params = query
        at.switch_page("pages/layer.py").run()
        assert not at.exception
        return at

    return open_in_layer


@pytest.fixture
def snippet_shown():
    """The Python code of the Layer page."""
    return lambda at: [code.value for code in at.code if code.language == "python"][-1]


@pytest.fixture
def charts():
    """The charts of a page by key: text alternative, figure as plain data, and its JSON."""

    def charts(at):
        return {
            chart.key.removeprefix("chart-"): SimpleNamespace(
                alt=chart.proto.alt, json=chart.proto.spec, **json.loads(chart.proto.spec)
            )
            for chart in at.get("plotly_chart")
        }

    return charts


@pytest.fixture
def array():
    """An array of a figure's JSON, which Plotly packs as base64."""

    def array(packed):
        if not isinstance(packed, dict):
            return np.array(packed)
        flat = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
        shape = [int(n) for n in packed.get("shape", str(len(flat))).split(",")]
        return flat.reshape(shape)

    return array


@pytest.fixture
def messages():
    """All that a page says about a problem."""
    return lambda at: [m.value for m in [*at.warning, *at.error]]
