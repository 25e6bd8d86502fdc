"""The first request that a server ever gets may be for any page."""

import pytest
from playwright.sync_api import expect

MENU = [
    "Layer",
    "Compare",
    "Lesson",
    "Schemes",
    "Defaults",
    "Audit",
    "Propagation",
    "Phase",
    "Spectrum",
    "Race",
    "Papers",
]


@pytest.mark.parametrize(
    ("page", "query", "charts"),
    [
        ("", {"scheme": "normal", "seed": 3}, 3),
        ("layer", {}, 3),
        ("compare", {"in": 7, "seed": 3, "schemes": ["normal", "zeros"]}, 5),
        ("lesson", {"step": 4}, 0),
        ("schemes", {}, 17),
        ("defaults", {"find": "LSTM", "seed": 3}, 0),
        ("audit", {"source": "model", "model": "lstm", "tensor": "head.weight", "seed": 3}, 3),
        ("propagation", {"activation": "relu", "depth": 4, "widths": "8, 9", "seed": 3}, 7),
        ("phase", {"activation": "relu", "sigma_w": 1.25}, 2),
        ("spectrum", {"inputs": 40, "depth": 3, "seed": 3}, 4),
        ("race", {"problem": "spirals", "width": 8, "steps": 20, "seeds": 2, "seed": 3}, 3),
        ("papers", {}, 0),
    ],
)
def test_a_fresh_server_opens_every_page_by_its_link_with_all_its_charts(
    fresh_server, new_tab, settle, see_charts, page, query, charts
):
    tab = settle(new_tab(fresh_server, page, query))
    assert page in tab.url
    expect(tab.get_by_text("Page not found")).to_have_count(0)
    expect(tab.get_by_test_id("stException")).to_have_count(0)
    expect(tab.get_by_test_id("stSidebarNavLink")).to_contain_text(MENU)
    expect(tab).to_have_title("Init Explorer")
    see_charts(tab, charts)
    # What the link states is set, and stays in the address.
    assert all(f"{key}=" in tab.url for key in query)
    if "seed" in query:
        expect(tab.get_by_role("spinbutton", name="Seed", exact=True)).to_have_value("3")
    if "scheme" in query:  # the root leads to the Layer page
        assert "/layer?" in tab.url
        expect(tab.get_by_role("heading", level=1)).to_contain_text("normal")
    if "in" in query:
        expect(tab.get_by_role("heading", level=1)).to_contain_text("nn.Linear(7, 5)")
    if "step" in query:
        expect(tab.get_by_role("heading", level=2)).to_contain_text("4.")
