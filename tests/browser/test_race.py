"""A race is watched, stopped and resumed; nothing trains on for a tab that is gone."""

import sys
import time

import pytest
from playwright.sync_api import expect

# Long enough that no machine is done with it before it is stopped.
LONG = {"problem": "teacher", "width": 32, "depth": 2, "steps": 20000, "seeds": 2}


def point_reached(tab):
    """The number of points that the first curve has, once it has some."""
    reached = tab.wait_for_function(
        """() => document.querySelector('[aria-label^="Training loss"] .js-plotly-plot')
            ?._fullData?.find(trace => trace.name === 'kaiming_normal')?.x?.length"""
    )
    return reached.json_value()


def test_curves_grow_while_training_stop_keeps_them_and_continue_goes_on(
    server, new_tab, settle, press
):
    tab = new_tab(server, "race", LONG)
    first = point_reached(tab)
    tab.wait_for_function(
        """first => document.querySelector('[aria-label^="Training loss"] .js-plotly-plot')
            ?._fullData?.find(trace => trace.name === 'kaiming_normal')?.x?.length > first""",
        arg=first,
    )
    press(tab, "stop and keep")
    stopped = tab.get_by_test_id("stAlert").filter(has_text="Stopped after")
    expect(stopped).to_be_visible()
    settle(tab)
    kept = point_reached(tab)
    assert kept > first
    expect(tab.get_by_role("figure")).to_have_count(3)
    press(tab, "continue")
    expect(stopped).to_have_count(0)
    tab.wait_for_function(
        """kept => document.querySelector('[aria-label^="Training loss"] .js-plotly-plot')
            ?._fullData?.find(trace => trace.name === 'kaiming_normal')?.x?.length > kept""",
        arg=kept,
    )
    press(tab, "stop and keep")
    expect(stopped).to_be_visible()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the server's time from /proc")
def test_nothing_trains_on_once_the_tab_is_closed(timed_server, new_tab):
    url, worked = timed_server
    tab = new_tab(url, "race", LONG)
    point_reached(tab)
    before = worked()
    tab.wait_for_timeout(1000)
    assert worked() - before > 0.1  # it trains
    tab.close()
    # The server is told of it within moments, and then has nothing to do.
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        before = worked()
        time.sleep(0.5)
        if worked() - before < 0.03:
            return
    pytest.fail("the server still works for a closed tab")
