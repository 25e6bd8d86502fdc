"""What a page costs: the bytes a browser is sent, and the server's time for a rerun."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from plotly.io import to_json
from streamlit.logger import set_log_level
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest

from benchmarks.table import Row, ms, side_by_side
from initcore import Init, Layer, Limits, Report, Spec, describe
from initcore.figures.style import LIGHT, Chart
from initcore.figures.weights import heatmap, histogram

APP = Path(__file__).parent.parent / "app.py"


def _report(side: int) -> Report:
    spec = Spec(Layer("linear", (side, side)), Init("xavier_uniform"))
    return describe(spec, Limits(hold_mb=1))


def _payload(name: str, chart: Chart, must: float) -> Row:
    kilobytes = len(to_json(chart.for_browser(), validate=False).encode()) / 1000
    return Row(name, f"{kilobytes:.1f} KB", "", kilobytes, must=must, unit="KB")


def heatmap_payload(quick: bool) -> Row:
    side = 1024 if quick else 4096
    return _payload(f"payload of the heat map, {side}²", heatmap(_report(side), LIGHT), 400)


def histogram_payload(quick: bool) -> Row:
    side = 1024 if quick else 4096
    return _payload(f"payload of the histogram, {side}²", histogram(_report(side), LIGHT), 10)


def _one_slider() -> None:
    import streamlit as st

    st.slider("x", 0, 100)


@contextmanager
def _compiled_once() -> Iterator[None]:
    """As a server does; AppTest compiles every file again for each run."""
    cache = ScriptCache()
    with ExitStack() as stack:
        for module in ("app_test", "local_script_runner"):
            stack.enter_context(
                patch(f"streamlit.testing.v1.{module}.ScriptCache", return_value=cache)
            )
        yield


@_compiled_once()
def page_to_one_slider(quick: bool) -> Row:
    """The Layer page after its seed moved, an app of one slider after that moved."""
    set_log_level("ERROR")  # it warns that there is no browser
    side, rounds = 256, 5 if quick else 21
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    page.switch_page("pages/layer.py").run()
    page.number_input(key="in").set_value(side)
    page.number_input(key="out").set_value(side)
    page.run()
    slider = AppTest.from_function(_one_slider, default_timeout=60).run()

    seeds, positions = itertools.count(1), itertools.cycle(range(100))

    def ours() -> None:
        page.number_input(key="seed").set_value(next(seeds)).run()

    def peer() -> None:
        slider.slider[0].set_value(next(positions)).run()

    mine, theirs, ratio = side_by_side(ours, peer, rounds)
    assert not page.exception
    name = f"rerun of the Layer page, {side}² ÷ rerun of one slider"
    return Row(name, ms(mine), ms(theirs), ratio, must=9, aim=6)


ROWS = (heatmap_payload, histogram_payload, page_to_one_slider)
