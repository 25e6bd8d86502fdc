"""Long work ends where it reports, also where there is nothing new to show."""

import threading

from streamlit.testing.v1 import AppTest

from ui.work import turn


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


def test_one_visitor_at_a_time_and_whoever_waits_can_cancel():
    lock = threading.Lock()
    told = []

    class CancelledError(Exception):
        pass

    def progress(share, now=""):
        told.append(now)
        raise CancelledError

    with turn(lock, progress):
        caught = []

        def other():
            try:
                with turn(lock, progress):
                    pass
            except CancelledError as error:
                caught.append(error)

        waiting = threading.Thread(target=other)
        waiting.start()
        waiting.join(10)
        assert caught
        assert "waiting" in told[0]
    assert not lock.locked()
