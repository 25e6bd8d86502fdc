"""Charts are drawn, in either appearance and on a phone."""

from playwright.sync_api import expect

from initcore.figures.style import DARK

CHARTS = {
    "Layer": 3,
    "Compare": 13,
    "Lesson": 0,
    "Schemes": 17,
    "Defaults": 0,
    "Audit": 0,
    "Propagation": 7,
    "Phase": 2,
    "Spectrum": 4,
    "Race": 3,
    "Papers": 0,
}
# Streamlit closes its sidebar after a choice where the browser says that it is a phone's.
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "user_agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537 Mobile Safari/537",
}


def test_the_histogram_has_bars_a_curve_and_both_bounds(server, new_tab):
    histogram = new_tab(server, "layer", {"in": 40}).get_by_role("figure", name="Histogram").first
    expect(histogram.locator(".barlayer .point path").nth(5)).to_be_visible()
    expect(histogram.locator(".scatterlayer path.js-line")).to_have_count(3)


def test_the_dark_appearance_has_a_dark_page_and_dark_middles(server, new_tab, settle):
    tab = settle(new_tab(server, color_scheme="dark"))
    expect(tab.get_by_test_id("stApp")).to_have_css("background-color", "rgb(20, 23, 28)")
    tab.wait_for_function(
        """middle => document.querySelector('[aria-label^="Heat map"] .js-plotly-plot')
            ?._fullData?.[0].colorscale.some(([at, colour]) => at === 0.5 && colour === middle)""",
        arg=DARK.heat[2],
    )


def test_the_menu_opens_every_page_and_a_phone_shows_it_within_its_width(
    server, new_tab, settle, see_charts
):
    tab = settle(new_tab(server, **PHONE))
    for page in CHARTS:
        if page != "Layer":
            # The sidebar is closed; menu and controls are a tap away.
            expect(tab.get_by_test_id("stSidebar")).not_to_be_in_viewport()
            tab.get_by_role("button", name="Expand sidebar").tap()
            link = tab.get_by_test_id("stSidebarNavLink").filter(has_text=page)
            expect(link).to_be_in_viewport()
            link.tap()
            tab.wait_for_url(f"**/{page.lower()}*")
            settle(tab)
        expect(tab.get_by_test_id("stException")).to_have_count(0)
        see_charts(tab, CHARTS[page])
        widths = tab.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        assert max(widths) <= 390, page
        for chart in tab.locator(".js-plotly-plot").all():
            box = chart.bounding_box()
            assert 0 <= box["x"] < box["x"] + box["width"] <= 390, page
