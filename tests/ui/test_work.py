"""Long work ends where it reports, also where there is nothing new to show."""

from streamlit.testing.v1 import AppTest


def page(reached, stop):
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from ui.work import long_work

    with long_work("Working", "work") as progress:
        progress(0.5, "waiting")
        reached.append("begun")
        if stop:
            get_script_run_ctx().script_requests.request_stop()
        progress(0.5, "waiting")
        reached.append("gone on")


def reached(stop):
    places = []
    at = AppTest.from_function(page, kwargs={"reached": places, "stop": stop}, default_timeout=60)
    assert not at.run().exception
    return places


def test_who_waits_for_another_may_leave():
    assert reached(stop=True) == ["begun"]


def test_who_stays_gets_the_work_done():
    assert reached(stop=False) == ["begun", "gone on"]
