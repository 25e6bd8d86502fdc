"""The menu, and the way in: every page runs through app.py, whichever link opened it."""

import gc
from functools import cache
from typing import NamedTuple

import streamlit as st

ICON = "assets/icon.png"
_MARK = "_through_app"
# Where a run notes the keys of its controls, for its full link.
CONTROLS = "_controls"


class _Entry(NamedTuple):
    """A line of the menu. The URL of a page is its file's name."""

    path: str
    title: str
    icon: str
    help: str


MENU = (
    _Entry(
        "pages/layer.py",
        "Layer",
        ":material/grid_on:",
        "Pick a layer and a scheme: see the matrix, its histogram and how it compares.",
    ),
    _Entry(
        "pages/compare.py",
        "Compare",
        ":material/compare:",
        "Up to six schemes side by side on one layer and one seed.",
    ),
    _Entry(
        "pages/lesson.py",
        "Lesson",
        ":material/school:",
        "From nn.Linear(5, 5) to Xavier in eight steps, with a guess before each answer.",
    ),
    _Entry(
        "pages/schemes.py",
        "Schemes",
        ":material/category:",
        "Every scheme: its formula, its law's shape, when to use it, the paper.",
    ),
    _Entry(
        "pages/defaults.py",
        "Defaults",
        ":material/fact_check:",
        "What every torch.nn module does when you construct it, measured now.",
    ),
    _Entry(
        "pages/audit.py",
        "Audit",
        ":material/troubleshoot:",
        "Upload a checkpoint: what was every tensor initialised with, and was it meant?",
    ),
    _Entry(
        "pages/propagation.py",
        "Propagation",
        ":material/waterfall_chart:",
        "What a deep network, as initialised, does to a signal and to a gradient.",
    ),
    _Entry(
        "pages/phase.py",
        "Phase",
        ":material/ssid_chart:",
        "Where a signal dies out, where it turns to chaos, and the critical line between.",
    ),
    _Entry(
        "pages/spectrum.py",
        "Spectrum",
        ":material/equalizer:",
        "Singular values of a weight, a product of layers, a Jacobian, against their laws.",
    ),
    _Entry(
        "pages/race.py",
        "Race",
        ":material/sprint:",
        "Train one small network from up to six initialisations, everything else equal.",
    ),
    _Entry(
        "pages/papers.py",
        "Papers",
        ":material/menu_book:",
        "Classic claims about initialisation, each checked now, the paper's number beside ours.",
    ),
)


def start() -> None:
    """The root: opens the first page, with whatever the link holds."""
    query = {key: st.query_params.get_all(key) for key in st.query_params}
    st.switch_page(MENU[0].path, query_params=query)


def pages() -> list[st.Page]:
    """The pages for ``st.navigation``.

    Streamlit serves its default page at the root only: it is not in the menu, whose pages thus all
    have an address of their own.
    """
    root = st.Page(start, title="Init Explorer", default=True, visibility="hidden")
    return [root, *(st.Page(e.path, title=e.title, icon=e.icon, help=e.help) for e in MENU)]


def passed_through_app() -> None:
    """Called by app.py before it runs a page."""
    st.session_state[_MARK] = True


@cache
def _prepare_server() -> None:
    """Once a server, after the imports of the first page: make it fit for many visitors."""
    import torch  # not above: app.py shows its menu before the seconds that this takes

    # Visitors share the cores: torch's own threads would only wait for each other.
    torch.set_num_threads(1)
    # Streamlit collects garbage after every run. What was imported never becomes any; to look
    # through it takes four times as long as the run itself.
    gc.freeze()


def through_app() -> None:
    """Called first by every page.

    Until a server has met ``st.navigation`` once, Streamlit takes the files in ``pages/`` for pages
    of its older kind, and a deep link runs one without app.py: no page set-up, another menu. Naming
    the pages here tells the server their kind; then the page runs again, through app.py.
    """
    _prepare_server()
    st.session_state[CONTROLS] = []
    if _MARK not in st.session_state:
        st.set_page_config(page_title="Init Explorer", page_icon=ICON)
        st.navigation(pages(), position="hidden")
        st.rerun()
