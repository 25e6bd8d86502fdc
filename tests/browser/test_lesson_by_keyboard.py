"""The lesson without a mouse."""

from playwright.sync_api import expect

FOCUSED = "document.activeElement"


def tab_to(tab, is_there, most=60):
    """Press Tab until the focused element fits a JavaScript condition on ``it``."""
    for _ in range(most):
        tab.keyboard.press("Tab")
        if tab.evaluate(f"(it => Boolean({is_there}))({FOCUSED})"):
            return
    raise AssertionError(f"Tab never reaches an element where {is_there}")


def test_from_the_first_guess_to_the_second_step(server, new_tab, settle):
    tab = settle(new_tab(server, "lesson"))
    reveal = tab.get_by_role("button", name="Reveal")
    expect(reveal).to_be_disabled()
    tab_to(tab, "it.type === 'radio' && it.closest('[data-testid=stRadio]')")
    tab.keyboard.press("Space")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    expect(tab.get_by_role("radio", name="30")).to_be_checked()
    expect(reveal).to_be_enabled()
    tab_to(tab, "it.innerText.includes('Reveal')")
    tab.keyboard.press("Enter")
    expect(tab.get_by_test_id("stAlert").filter(has_text="30")).to_be_visible()
    expect(tab.get_by_role("figure")).to_have_count(2)
    settle(tab)
    tab.keyboard.press("n")
    tab.wait_for_url("**step=2")
    expect(tab.get_by_role("heading", level=2)).to_contain_text("2.")
    expect(reveal).to_be_disabled()
    settle(tab)
    tab.keyboard.press("b")
    expect(tab.get_by_role("heading", level=2)).to_contain_text("1.")
    expect(tab.get_by_role("radio", name="30")).to_be_checked()
