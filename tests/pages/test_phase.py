"""The Phase page: the plane, the points in it, and the way on to Propagation."""

import math
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from initcore import Init
from initcore.activations import get_activation
from initcore.meanfield import chi, fixed_point
from initcore.network import Network, network_code
from ui import show


def row(at, index):
    return at.dataframe[0].value.iloc[index]


def test_it_opens_with_the_plane_the_scales_and_two_points(open_page, charts):
    at = open_page("phase")
    assert charts(at).keys() == {"phase", "scales"}
    assert all(any(c.isdigit() for c in chart.alt) for chart in charts(at).values())
    assert at.markdown[0].value.startswith("Chaotic")
    point = fixed_point(get_activation("tanh"), 1.5**2, 0.2**2)
    assert row(at, 0)["χ"] == pytest.approx(float(point.chi))
    assert row(at, 1)["σ_w"] == pytest.approx(1.0)  # Xavier on a square layer


def test_the_schemes_place_follows_from_its_law(open_page):
    link = {"scheme": "normal", "normal.std": 0.1, "width": 400}
    at = open_page(
        "phase", link | {"bias": "uniform", "bias.uniform.a": -0.6, "bias.uniform.b": 0.6}
    )
    assert row(at, 1)["σ_w"] == pytest.approx(0.1 * math.sqrt(400))
    assert row(at, 1)["σ_b"] == pytest.approx(0.6 / math.sqrt(3))


def test_the_points_numbers_move_it(open_page):
    at = open_page("phase", {"activation": "relu"})
    at.number_input(key="sigma_w").set_value(1.0).run()
    at.number_input(key="sigma_b").set_value(0.5).run()
    assert at.markdown[0].value.startswith("Ordered")
    assert row(at, 0)["χ"] == pytest.approx(float(chi(get_activation("relu"), 1.0, 0.25)))


def test_a_click_is_read_from_the_selection(monkeypatch):
    points = [{"x": 1.25, "y": 0.5, "curve_number": 3}]
    state = {"chart-phase": {"selection": {"points": points}}}
    monkeypatch.setattr(show, "st", SimpleNamespace(session_state=state))
    assert show.clicked("phase") == [(1.25, 0.5)]


@pytest.mark.parametrize("which", ["point", "xavier"])
def test_both_points_can_be_propagated(open_page, which):
    at = open_page("phase", {"activation": "relu", "width": 64, "sigma_w": 1.6, "sigma_b": 0.25})
    [link] = [link for link in at.page_link if which in link.label]
    at.query_params = parse_qs(link.proto.query_string)
    at.switch_page("pages/propagation.py").run()
    assert not at.exception
    common = {"depth": 30, "width": 64, "activation": "relu", "batch": 128, "seeds": 3}
    weight, bias = Init("xavier_uniform"), Init("zeros")
    if which == "point":
        weight, bias = Init("normal", {"std": 1.6 / 8}), Init("normal", {"std": 0.25})
    code = [code.value for code in at.code if code.language == "python"][-1]
    assert code == network_code(Network(**common, weight=weight, bias=bias))


def test_a_scheme_without_a_place_says_why(open_page):
    at = open_page("phase", {"scheme": "uniform"})
    assert len(at.dataframe[0].value) == 1
    assert "mean of 0" in at.info[0].value


def test_an_impossible_scheme_is_explained(open_page, messages):
    [message] = messages(open_page("phase", {"scheme": "dirac"}))
    assert "dirac" in message
