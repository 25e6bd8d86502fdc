"""A server of the app, a browser, and a watch that nothing goes wrong in any tab of any test."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from initcore import draw_spec, snippet
from tests.browser.chromium import ARGUMENTS, executable
from tests.browser.server import HOST, running_server

SETTLED = '[data-testid="stApp"][data-test-connection-state="CONNECTED"]'
SETTLED += '[data-test-script-state="notRunning"]'
DRAWN = """() => [...document.querySelectorAll('.js-plotly-plot')].every(plot => {
    const box = plot.querySelector('svg.main-svg')?.getBoundingClientRect();
    return box?.width > 50 && box.height > 50 && plot._fullData.length > 0;
})"""
# Slow machines draw a page in seconds; a condition that never holds fails after this long.
PATIENCE = 60_000
# High enough to hold all controls: a list of options closes when the page is scrolled.
SCREEN = {"width": 1280, "height": 1400}
# Below a page's own path, Streamlit's frontend first asks for its server where there is none.
PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")


# --- server and browser -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of one server for all tests, whose log must stay free of tracebacks."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with running_server(log) as (url, _):
        yield url
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def fresh_server(tmp_path):
    """The URL of a server that has served nothing yet."""
    with running_server(tmp_path / "log.txt") as (url, _):
        yield url


@pytest.fixture
def timed_server(tmp_path):
    """The URL of a server of its own, and how many seconds its processor has worked for it."""
    with running_server(tmp_path / "log.txt") as (url, pid):

        def worked():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        yield url, worked


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


# --- tabs ---------------------------------------------------------------------------------------


def _watch(tab, problems):
    def is_probe(url):
        return bool(PROBE.search(urlsplit(url).path))

    def on_console(message):
        if message.type == "error" and not is_probe(message.location["url"]):
            problems.append(f"console: {message.text} {message.location['url']}")

    def on_response(response):
        if response.status >= 400 and not (response.status == 404 and is_probe(response.url)):
            problems.append(f"{response.status}: {response.url}")

    def on_request(request):
        at = urlsplit(request.url)
        if at.scheme not in ("data", "blob") and at.hostname != HOST:
            problems.append(f"leaves this machine: {request.url}")

    def on_socket(socket):
        if urlsplit(socket.url).hostname != HOST:
            problems.append(f"leaves this machine: {socket.url}")

    tab.on("console", on_console)
    tab.on("pageerror", lambda error: problems.append(f"script: {error}"))
    tab.on("response", on_response)
    tab.on("request", on_request)
    tab.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    tab.on("websocket", on_socket)


@pytest.fixture
def new_tab(browser):
    """``new_tab(url, "compare", {"seed": 3})``: a visitor of their own opens a link.

    The test fails if anything goes wrong in the tab: an error in its console, a failed request, a
    request to another machine.
    """
    contexts, problems = [], []

    def new_tab(url, page="layer", query=None, **options):
        context = browser.new_context(**{"viewport": SCREEN, "reduced_motion": "reduce"} | options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        tab = context.new_page()
        _watch(tab, problems)
        tab.goto(f"{url}/{page}{'?' + urlencode(query, doseq=True) if query else ''}")
        return tab

    expect.set_options(timeout=PATIENCE)
    yield new_tab
    found = list(problems)  # what closing cuts off is no failure
    for context in contexts:
        context.close()
    assert found == []


@pytest.fixture
def settle():
    """Wait until the page has been drawn and nothing runs."""

    def settle(tab):
        expect(tab.get_by_role("heading", level=1).first).to_be_visible()
        tab.wait_for_selector(SETTLED)
        return tab

    return settle


@pytest.fixture
def see_charts():
    """Wait until so many charts are drawn; each has a name with numbers in it."""

    def see_charts(tab, count):
        expect(tab.get_by_role("figure")).to_have_count(count)
        expect(tab.locator(".js-plotly-plot")).to_have_count(count)
        tab.wait_for_function(DRAWN)
        for figure in tab.get_by_role("figure").all():
            assert re.search(r"\d", figure.get_attribute("aria-label"))

    return see_charts


@pytest.fixture
def code_of():
    """The Python code of the Layer page."""
    return lambda tab: tab.locator("code", has_text="import torch").first


@pytest.fixture
def see(code_of):
    """Wait until the Layer page shows a spec: its code, and its very matrix in the heat map."""

    def see(tab, spec):
        expect(code_of(tab)).to_have_text(snippet(spec))
        weight = draw_spec(spec).weight.float().reshape(spec.layer.matrix_shape)
        tab.wait_for_function(
            """rows => {
                const plot = document.querySelector('[aria-label^="Heat map"] .js-plotly-plot');
                const shown = plot?._fullData?.[0]?.z;
                return shown?.length === rows.length && rows.every(
                    (row, i) => row.every((value, j) => Object.is(shown[i][j], value)));
            }""",
            arg=weight.tolist(),
        )

    return see


@pytest.fixture
def set_number():
    def set_number(tab, label, value):
        box = tab.get_by_role("spinbutton", name=label, exact=True)
        box.fill(str(value))
        box.press("Enter")

    return set_number


@pytest.fixture
def choose():
    def choose(tab, label, option):
        tab.get_by_role("combobox", name=label, exact=True).fill(option)
        tab.get_by_role("option", name=option, exact=True).click()

    return choose


@pytest.fixture
def press():
    """Press the first button, or follow the first link, whose name holds a text."""

    def press(tab, text, nth=0):
        name = re.compile(text, re.IGNORECASE)
        tab.get_by_role("button", name=name).or_(tab.get_by_role("link", name=name)).nth(
            nth
        ).click()

    return press
