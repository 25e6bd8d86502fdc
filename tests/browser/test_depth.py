"""The plane of the phases can be clicked; a long propagation can be cancelled."""

from playwright.sync_api import expect


def test_a_click_in_the_plane_moves_the_point_and_propagates_it(server, new_tab, settle):
    tab = settle(new_tab(server, "phase", {"width": 64}))
    verdict = tab.get_by_text("At this σ_b the critical σ_w")
    expect(verdict).to_contain_text("Chaotic")
    plot = tab.get_by_role("figure").first.locator(".nsewdrag").first
    box = plot.bounding_box()
    # σ_w 0.5 of 4, σ_b 0.5 of 2 (and its margins).
    plot.click(position={"x": box["width"] / 8, "y": box["height"] * (1.53 / 2.06)})
    expect(verdict).to_contain_text("Ordered")
    expect(tab.get_by_role("spinbutton", name="σ_w of the point")).to_have_value("0.5")
    expect(tab.get_by_role("spinbutton", name="σ_b of the point")).to_have_value("0.5")
    settle(tab)
    assert "sigma_w=0.5" in tab.url
    tab.get_by_role("link", name="Propagate the point").click()
    tab.wait_for_url("**/propagation*")
    settle(tab)
    expect(tab.get_by_role("heading", level=1)).to_contain_text("normal through 30 layers")
    expect(tab.get_by_text("Vanishing")).to_be_visible()
    assert "normal.std=0.0625" in tab.url


def test_a_long_propagation_can_be_cancelled_and_the_app_goes_on(server, new_tab, settle):
    link = {"depth": 90, "width": 1024, "seeds": 20, "batch": 100}
    tab = new_tab(server, "propagation", link)
    expect(tab.get_by_role("progressbar")).to_be_visible()
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.get_by_test_id("stAlert").filter(has_text="Cancel")).to_be_visible()
    settle(tab)
    expect(tab.get_by_role("figure")).to_have_count(0)
    expect(tab.get_by_role("button", name="Propagate it")).to_be_visible()
    # Nobody waits for what was cancelled.
    other = settle(new_tab(server, "propagation", {"depth": 3, "width": 16}))
    expect(other.get_by_role("figure")).to_have_count(7)
