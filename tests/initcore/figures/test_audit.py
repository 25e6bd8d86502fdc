"""Figures of an audit: true to its tensors, with findings in words."""

import itertools
import math

import numpy as np
import pytest
import torch

from initcore.audit import audit
from initcore.closeup import close_up
from initcore.figures.audit import expected_std, heatmap, histogram, with_depth
from initcore.figures.style import DARK, LIGHT
from initcore.models import build_model

GPT = build_model("gpt", width=32, blocks=3)


@pytest.fixture(scope="module")
def right():
    return audit(GPT, "nanogpt")


@pytest.fixture(scope="module")
def wrong():
    """Held against a recipe without depth scaling."""
    return audit(GPT, "gpt2")


def row_of(made, name):
    return next(row for row in made.tensors if row.name == name)


def names(chart):
    return {trace["name"] for trace in chart.plot["data"]} - {"gap", "recipe"}


def marks(chart, name):
    return next(trace for trace in chart.plot["data"] if trace["name"] == name)


def test_expected_stds_are_the_recipes(right, wrong):
    name = "transformer.h.1.mlp.c_proj.weight"
    assert expected_std(row_of(right, name)) == pytest.approx(0.02 / math.sqrt(6))
    assert expected_std(row_of(wrong, name)) == pytest.approx(0.02)
    assert math.isnan(expected_std(row_of(audit(GPT), name)))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_depth_shows_every_weight_beside_its_expected_std(right, palette):
    chart = with_depth(right, palette)
    outs = marks(chart, "mlp out")
    stds = [row_of(right, name).study.measurement.std for name in outs["text"]]
    np.testing.assert_allclose(outs["y"], stds, rtol=1e-6)
    assert [round(x) for x in outs["x"]] == [0, 1, 2]
    bars = marks(chart, "recipe")
    assert bars["marker"]["line"]["color"] == palette.law
    # Each weight has a bar at its own place.
    weights = [t for t in chart.plot["data"] if t["name"] not in ("recipe", "gap")]
    places = {(x, text) for t in weights for x, text in zip(t["x"], t["text"], strict=True)}
    assert places == set(zip(bars["x"], bars["text"], strict=True))
    assert len(places) == 12
    assert "all 12 are as the recipe has them" in chart.alt
    assert chart.figure


def test_depth_says_what_is_not_as_the_recipe_has_it(wrong):
    assert "6 of 12 are not as the recipe has them" in with_depth(wrong, LIGHT).alt


@pytest.mark.parametrize("scale", [1.0, 1.1, 1.5, 2.0, 3.0, 1e3, 1e-12])
def test_the_axis_of_stds_holds_all_marks_and_has_ticks_that_can_be_read(scale):
    generator = torch.Generator().manual_seed(0)
    drawn = [0.02 * torch.randn(64, 64, generator=generator) for _ in range(3)]
    state = {f"h.{i}.mlp.c_fc.weight": weight for i, weight in enumerate(drawn)}
    state["h.1.mlp.c_fc.weight"] *= scale
    axis = with_depth(audit(state), LIGHT).plot["layout"]["yaxis"]
    low, high = (10**end for end in axis["range"])
    stds = [float(weight.std()) for weight in state.values()]
    assert low < min(stds) <= max(stds) < high
    assert 2 <= len(axis["tickvals"]) < 16
    assert all(low <= tick <= high for tick in axis["tickvals"])


def test_stages_follow_one_another_and_zeros_are_left_out():
    model = build_model("cnn", width=8, blocks=2)
    torch.nn.init.zeros_(model.layer2[0].conv1.weight)
    chart = with_depth(audit(model), LIGHT)
    conv = marks(chart, "conv")
    assert sorted(set(np.round(conv["x"]))) == [0, 1, 2, 3, 4, 5]
    assert "layer2.0.conv1.weight" not in conv["text"]
    assert not [trace for trace in chart.plot["data"] if trace["name"] == "recipe"]


def test_no_chart_without_two_blocks():
    assert with_depth(audit(build_model("lstm", vocab=20, width=8, hidden=8)), LIGHT) is None
    assert with_depth(audit(build_model("mlp", inputs=8, width=8, depth=1)), LIGHT) is None


def test_names_from_files_are_no_html_in_a_chart():
    state = {f"h.{i}.<b>c_fc.weight": torch.randn(16, 16) for i in range(3)}
    chart = with_depth(audit(state), LIGHT)
    assert all("<" not in text for trace in chart.plot["data"] for text in trace.get("text", ()))


def test_a_histogram_has_both_laws_and_the_density_is_one(wrong):
    row = row_of(wrong, "transformer.h.1.mlp.c_proj.weight")
    chart = histogram(row, LIGHT)
    bars = marks(chart, "measured")
    assert float(np.sum(bars["y"] * bars["width"])) == pytest.approx(1, abs=1e-3)
    for name, std in (("identified", 0.02 / math.sqrt(6)), ("expected", 0.02)):
        peak = float(np.max(marks(chart, name)["y"]))
        assert peak == pytest.approx(1 / (std * math.sqrt(2 * math.pi)), rel=0.05)
    assert marks(chart, "identified")["line"] != marks(chart, "expected")["line"]
    assert "N(0, 0.02²)" in chart.alt


def test_a_constant_and_a_vector_can_be_shown(right):
    row = row_of(right, "transformer.ln_f.weight")
    constant = histogram(row, LIGHT)
    assert "all 1" in constant.alt
    assert constant.plot["layout"]["yaxis"]["range"] == [0, 1.0]
    chart = heatmap(row, close_up(GPT, row.study), LIGHT)
    assert "1 × 32" in chart.alt
    assert chart.figure


def test_a_heat_map_names_its_sides_also_of_a_transposed_matrix():
    weight = torch.randn(32, 96, generator=torch.Generator().manual_seed(0))
    state = {f"h.{i}.attn.c_attn.weight": weight + i for i in range(2)}
    state |= {"wte.weight": torch.randn(100, 32), "h.0.attn.c_proj.weight": torch.randn(32, 32)}
    row = row_of(audit(state), "h.0.attn.c_attn.weight")
    assert row.study.place.transposed
    chart = heatmap(row, close_up(state, row.study), LIGHT)
    sides = [chart.plot["layout"][axis]["title"]["text"] for axis in ("yaxis", "xaxis")]
    assert sides == ["input", "output"]


def test_depth_shows_the_roles_that_findings_name_before_all_others():
    parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    parts += ["mlp.gate", "mlp.up_proj", "mlp.down_proj"]
    state = {
        f"layers.{block}.{part}.weight": torch.randn(
            64, 64, generator=torch.Generator().manual_seed(seed)
        )
        / 8
        for seed, (block, part) in enumerate(itertools.product(range(4), parts))
    }
    chart = with_depth(audit(state), LIGHT)
    assert len(names(chart)) == 6
    assert chart.alt.endswith(" Left to the table: mlp out.")
    state["layers.2.mlp.down_proj.weight"] *= 30
    chart = with_depth(audit(state), LIGHT)
    assert len(names(chart)) == 6
    assert "layers.2.mlp.down_proj.weight" in marks(chart, "mlp out")["text"]
    assert chart.alt.endswith(" Left to the table: mlp in.")
