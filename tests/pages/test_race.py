"""The Race page: trained as one watches, stopped and resumed, by link."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from initcore import Init
from initcore.training import Entrant, RaceSpec, race, results, sweep
from ui import races

SMALL = {"problem": "spirals", "width": 8, "depth": 2, "steps": 40, "seeds": 2}
LINK = SMALL | {"schemes": ["kaiming_normal", "normal"]}
SPEC = RaceSpec(
    (Entrant(Init("kaiming_normal")), Entrant(Init("normal"))),
    "spirals",
    (8, 8),
    steps=40,
    seeds=2,
)


@pytest.fixture(autouse=True)
def nothing_kept():
    races.states.clear()
    races.sweeps.clear()


def shown(at):
    return " ".join(text.value for text in at.markdown)


def test_it_shows_the_librarys_race(open_page, charts, messages):
    at = open_page("race", LINK)
    made = race(SPEC)
    assert made.verdict in shown(at)
    assert set(charts(at)) == {"train_loss", "test_accuracy", "gradient"}
    frame = at.dataframe[0].value
    assert list(frame["training loss"]) == [r.final_loss.mean() for r in made.runners]
    assert list(frame["scheme"]) == ["kaiming_normal", "normal"]
    assert not messages(at)


def test_curves_are_drawn_while_training_however_slowly_it_goes(open_page, charts, monkeypatch):
    """At every stop point, at most of which no entrant has gained a point."""
    monkeypatch.setattr(races, "_REPORT", -1)
    monkeypatch.setattr(races, "_REDRAW", -1)
    drawn = []
    monkeypatch.setattr(races, "results", lambda *a: drawn.append(a[0].step) or results(*a))
    at = open_page("race", LINK)
    assert drawn == [10, 20, 30, 40, 40]
    assert "over 40 steps" in charts(at)["train_loss"].alt


def test_its_first_race_is_of_four_schemes_on_the_digits(open_page):
    at = open_page("race", {"steps": 10, "seeds": 1})
    assert "digits" in at.title[0].value
    assert len(at.dataframe[0].value) == 4


def test_every_control_reaches_the_race(open_page):
    link = LINK | {
        "normal.std": 0.1,
        "activation": "tanh",
        "bias": "constant",
        "bias.constant.val": 0.1,
        "rates": "each",
        "kaiming_normal.rate": 0.2,
        "normal.rate": 0.01,
        "batch": 16,
        "momentum": 0.5,
        "seed": 7,
    }
    at = open_page("race", link)
    defined = {}
    code = next(code.value for code in at.code if code.language == "python")
    exec(code.rpartition("\n")[0], defined)
    bias = Init("constant", {"val": 0.1})
    assert defined["spec"] == RaceSpec(
        (
            Entrant(Init("kaiming_normal"), 0.2, bias),
            Entrant(Init("normal", {"std": 0.1}), 0.01, bias),
        ),
        "spirals",
        (8, 8),
        "tanh",
        steps=40,
        batch=16,
        momentum=0.5,
        seeds=2,
        seed=7,
    )


def test_a_stopped_race_shows_what_is_trained_and_goes_on(open_page, press, charts):
    at = open_page("race", LINK)
    # As a click on Stop leaves it, half way.
    races.states.clear()
    state = races.start(races._key(SPEC))
    for reached in races.train(state, 20):
        state = reached
    races._keep(state)
    at.session_state[races._STOPPED] = SPEC
    at.run()
    assert "Stopped after 20 of 40 steps" in at.info[0].value
    assert "after 20 steps" in shown(at)
    assert "over 20 steps" in charts(at)["train_loss"].alt
    press(at, "Continue")
    assert race(SPEC).verdict in shown(at)
    assert not at.info


def test_a_race_is_trained_once_for_everybody(open_page, monkeypatch):
    open_page("race", LINK)
    monkeypatch.setattr(races, "train", None)
    at = open_page("race", LINK)
    assert race(SPEC).verdict in shown(at)
    # What is trained further shows no more than is asked for.
    at = open_page("race", LINK | {"steps": 20})
    assert "after 20 steps" in shown(at)


def test_who_comes_while_another_trains_watches_and_goes_on_where_the_other_leaves(
    open_page, monkeypatch
):
    key = races._key(SPEC)
    *_, halfway = races.train(races.start(key), 20)
    begun = []

    def train(state, steps):
        begun.append(state.step)
        return train_here(state, steps)

    def other(seconds):
        """What the other visitor does while this one waits: trains, then closes the tab."""
        if races.states.get(key).step == 0:
            races._keep(halfway)
        else:
            races._trained.discard(key)

    train_here = races.train
    monkeypatch.setattr(races, "train", train)
    monkeypatch.setattr(races, "sleep", other)
    assert races._first_to_train(key)
    at = open_page("race", LINK)
    assert begun == [20]
    assert race(SPEC).verdict in shown(at)
    assert not races._trained


def test_of_many_who_open_a_race_one_trains_it(monkeypatch):
    key, begun = races._key(SPEC), []

    def train(state, steps):
        begun.append(state.step)
        opened.wait(60)  # until all are there
        yield from train_here(state, steps)

    def watch(_):
        *_, last = races._on(start, SPEC.steps)
        return results(last, SPEC.steps).verdict

    start, train_here, opened = races.start(key), races.train, threading.Barrier(8)
    monkeypatch.setattr(races, "train", train)
    monkeypatch.setattr(races, "_REPORT", 0.001)
    sleep = races.sleep
    there = threading.local()

    def arrive(seconds):
        if not hasattr(there, "opened"):
            there.opened = opened.wait(60)
        sleep(seconds)

    monkeypatch.setattr(races, "sleep", arrive)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(watch, range(8))) == {race(SPEC).verdict}
    assert begun == [0]


def test_more_steps_go_on_from_where_it_is(open_page, monkeypatch):
    at = open_page("race", LINK)
    monkeypatch.setattr(races, "start", None)
    at.number_input(key="steps").set_value(60).run()
    assert not at.exception
    assert "after 60 steps" in shown(at)


def test_the_sweep_is_a_map_of_final_losses(open_page, charts):
    at = open_page("race", LINK | {"view": "sweep", "low": 0.01, "high": 1, "count": 3})
    made = sweep(SPEC, (0.01, 0.1, 1.0))
    assert made.verdict in shown(at)
    assert set(charts(at)) == {"sweep"}
    assert list(at.dataframe[0].value["0.1"]) == list(made.means[:, 1])


@pytest.mark.parametrize(
    ("link", "part"),
    [
        ({"width": 100_000}, "width = 100000"),
        ({"depth": 51}, "hidden layers = 51"),
        ({"width": 512, "depth": 9}, "at most 2,000,000"),
    ],
)
def test_what_cannot_be_is_refused(open_page, messages, charts, link, part):
    at = open_page("race", LINK | link)
    assert part in " ".join(messages(at))
    assert not charts(at)


@pytest.mark.parametrize("wrong", [{"momentum": 1.5}, {"rate": -1}, {"seeds": 0}], ids=str)
def test_a_wrong_value_of_the_link_is_named(open_page, messages, wrong):
    at = open_page("race", LINK | wrong)
    [(key, value)] = wrong.items()
    assert f"{key}={value}" in messages(at)[0]


def test_no_scheme_gets_help(open_page):
    assert open_page("race", SMALL | {"schemes": ""}).info


def test_it_can_be_kept(open_page):
    labels = [button.proto.label for button in open_page("race", LINK).get("download_button")]
    assert labels == ["Curves (CSV)", "Race (JSON)"]
