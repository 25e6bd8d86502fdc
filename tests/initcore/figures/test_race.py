"""Figures of a race: every entrant, its seeds, its end."""

from dataclasses import replace

import numpy as np
import pytest

from initcore.figures.race import curves, sweep_map
from initcore.figures.style import DARK, LIGHT
from initcore.schemes import Init
from initcore.training import Entrant, RaceSpec, Sweep, race

QUANTITIES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "gradient")
SPEC = RaceSpec(
    (Entrant(Init("kaiming_normal")), Entrant(Init("normal", {"std": 5.0}), 100.0)),
    "spirals",
    (32,) * 8,
    steps=10,
    every=1,
    seeds=3,
)


@pytest.fixture(scope="module")
def made():
    return race(SPEC)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_each_entrant_has_a_line_of_means_in_a_band_of_its_seeds(made, quantity):
    runner = made.runners[0]
    chart = curves(made, quantity, LIGHT)
    band, line = (t for t in chart.plot["data"] if t.get("legendgroup") == runner.name)
    values = getattr(runner, quantity)
    np.testing.assert_allclose(line["y"], values.mean(1), rtol=1e-6)
    count = len(values)
    np.testing.assert_allclose(band["y"][:count], values.max(1), rtol=1e-6)
    np.testing.assert_allclose(band["y"][count:][::-1], values.min(1), rtol=1e-6)
    assert runner.name in chart.alt
    assert f"{made.runners[1].name} diverged" in chart.alt


def test_a_diverged_curve_ends_at_a_cross(made):
    lost = made.runners[1]
    traces = curves(made, "train_loss", LIGHT).plot["data"]
    line = next(t for t in traces if t.get("name") == lost.name)
    assert len(line["y"]) == min(lost.diverged)
    assert np.isfinite(line["y"]).all()
    assert line["marker"]["symbol"] == "x"
    assert line["marker"]["size"][-1] > 0


def test_guessing_is_drawn_with_the_losses_only(made):
    for quantity in QUANTITIES:
        names = [t.get("name") for t in curves(made, quantity, DARK).plot["data"]]
        assert ("guessing" in names) == quantity.endswith("loss")


def test_one_seed_has_no_band():
    traces = curves(race(replace(SPEC, seeds=1)), "test_accuracy", LIGHT).plot["data"]
    assert len(traces) == 2


def test_a_chart_of_six_long_races_is_small():
    entrants = tuple(Entrant(Init("xavier_normal"), rate) for rate in (1, 2, 3, 4, 5, 6))
    made = race(RaceSpec(entrants, "spirals", (4,), steps=60, every=1, seeds=2))
    assert len(curves(made, "train_loss", LIGHT).figure.to_json()) < 25_000


def test_a_sweeps_map_is_neutral_at_guessing_and_frames_the_best():
    guess = SPEC.chance
    means = np.array([[guess, guess / 10, guess * 3], [guess / 2, np.nan, np.nan]])
    made = Sweep(SPEC, (0.01, 0.1, 1.0), np.repeat(means[..., None], 3, axis=2))
    chart = sweep_map(made, LIGHT)
    cells = chart.plot["data"][0]
    np.testing.assert_allclose(cells["z"][0], [0, -1, np.log10(3)], atol=1e-6)
    assert np.isnan(cells["z"][1][1:]).all()
    assert cells["zmin"] == -cells["zmax"]
    frames = [(s["x0"] + s["x1"], s["y0"] + s["y1"]) for s in chart.plot["layout"]["shapes"]]
    assert frames == [pytest.approx((2, 0)), pytest.approx((0, 2))]
    lost = chart.plot["data"][-1]
    assert list(zip(lost["x"], lost["y"], strict=True)) == [
        ("0.1", SPEC.names[1]),
        ("1", SPEC.names[1]),
    ]
    assert "at 0.1" in chart.alt
