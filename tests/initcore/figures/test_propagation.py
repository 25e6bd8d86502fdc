"""Figures of a propagation: what is measured, theory through it, and a sentence with numbers."""

import re

import numpy as np
import pytest

from initcore import Init
from initcore.figures.propagation import NAMES, by_layer, histograms, shares
from initcore.figures.style import DARK, LIGHT
from initcore.network import Network
from initcore.propagation import propagate


@pytest.fixture(scope="module")
def made():
    return propagate(Network(depth=12, width=64, activation="relu", batch=32, seeds=3))


@pytest.fixture(scope="module")
def overflowing():
    weight = Init("normal", {"std": 100.0})
    return propagate(Network(depth=30, width=32, activation="relu", weight=weight, batch=8))


def traces(chart):
    return {trace.get("name"): trace for trace in chart.plot["data"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_statistic_has_its_band_its_mean_and_its_theory(made, name):
    chart = by_layer(made, name, LIGHT)
    shown = traces(chart)
    np.testing.assert_allclose(shown["measured"]["y"], made.mean(name), rtol=1e-6)
    np.testing.assert_allclose(shown["theory"]["y"], made.theory[name], rtol=1e-6)
    assert shown["theory"]["line"]["color"] == LIGHT.law
    band = shown[None]["y"]
    runs = made.measured[name]
    np.testing.assert_allclose(band[:12], runs.min(axis=0), rtol=1e-6)
    np.testing.assert_allclose(band[12:], runs.max(axis=0)[::-1], rtol=1e-6)
    assert len(re.findall(r"\d", chart.alt)) > 6
    assert chart.figure  # Plotly accepts it


def test_an_axis_is_logarithmic_where_it_spans_decades(made):
    assert by_layer(made, "preactivation_std", LIGHT).plot["layout"]["yaxis"]["type"] == "log"
    short = propagate(Network(depth=3, width=32, batch=8, seeds=1))
    axis = by_layer(short, "preactivation_std", LIGHT).plot["layout"]["yaxis"]
    assert axis["range"][0] == 0


def test_shares_are_in_per_cent(made):
    chart = shares(made, DARK)
    shown = traces(chart)
    np.testing.assert_allclose(shown["saturated"]["y"], 100 * made.mean("saturated"), rtol=1e-5)
    assert np.allclose(shown["theory"]["y"], 50)
    assert "saturated 5" in chart.alt
    assert chart.figure


def test_an_overflow_ends_the_lines_and_theirs_theory(overflowing):
    chart = by_layer(overflowing, "preactivation_std", LIGHT)
    assert len(traces(chart)["measured"]["x"]) == overflowing.overflow - 1
    assert np.isfinite(traces(chart)["theory"]["y"]).sum() == overflowing.overflow - 1
    empty = by_layer(overflowing, "gradient_std", LIGHT)
    assert "overflow" in empty.plot["layout"]["annotations"][0]["text"]
    assert f"layer {overflowing.overflow}" in empty.alt
    assert chart.figure
    assert empty.figure
    assert shares(overflowing, LIGHT).figure


@pytest.mark.parametrize("what", ["activation", "gradient"])
def test_histograms_stand_in_rows_of_one_height(made, what):
    shown = made.activations if what == "activation" else made.gradients
    chart = histograms(shown, what, LIGHT)
    assert [trace["name"] for trace in chart.plot["data"]] == [f"layer {h.layer}" for h in shown]
    for row, trace in enumerate(chart.plot["data"]):
        base = len(shown) - 1 - row
        assert base <= trace["y"].min() < trace["y"].max() <= base + 0.9
    assert f"in {len(shown)} layers" in chart.alt
    assert len(str(chart.for_browser())) < 40_000
    assert chart.figure


def test_a_network_of_zeros_can_be_drawn():
    made = propagate(Network(depth=3, width=8, batch=4, seeds=1, weight=Init("zeros")))
    for name in NAMES:
        assert by_layer(made, name, LIGHT).figure
    assert histograms(made.activations, "activation", LIGHT).figure
