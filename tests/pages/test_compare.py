"""The Compare page: the chosen schemes on one layer, one seed and the same axes."""

import pytest

from initcore import Init, Layer, Spec, describe, schemes, snippet
from initcore.laws import number
from initcore.report import outside_share

LINEAR = Layer("linear", (5, 5))


def panels(charts):
    """The schemes that have a matrix, a histogram and nothing else."""
    heats = [key.removeprefix("heat-") for key in charts if key.startswith("heat-")]
    assert {f"bars-{slug}" for slug in heats} <= charts.keys()
    assert len(charts) == 2 * len(heats) + (1 if heats else 0)
    return heats


def test_it_opens_with_six_schemes(open_page, charts):
    at = open_page("compare")
    chosen = at.multiselect(key="schemes").value
    assert len(chosen) == 6
    assert panels(charts(at)) == chosen
    assert at.multiselect(key="schemes").options == list(schemes())


def test_each_chosen_scheme_has_a_panel_a_curve_and_a_row(open_page, charts):
    at = open_page("compare")
    at.multiselect(key="schemes").set_value(["normal", "zeros", "sparse"]).run()
    shown = charts(at)
    assert panels(shown) == ["normal", "zeros", "sparse"]
    curves = [trace["name"] for trace in shown["densities"].data]
    assert {"normal", "zeros", "sparse"} <= set(curves)
    assert list(at.dataframe[0].value.iloc[:, 0]) == ["normal", "zeros", "sparse"]
    assert all(any(c.isdigit() for c in chart.alt) for chart in shown.values())


def test_the_panels_share_colours_and_axes(open_page, charts):
    shown = charts(open_page("compare", {"schemes": ["normal", "uniform", "constant"], "in": 30}))
    heats = [chart for key, chart in shown.items() if key.startswith("heat-")]
    bars = [chart for key, chart in shown.items() if key.startswith("bars-")]
    assert len({(heat.data[0]["zmin"], heat.data[0]["zmax"]) for heat in heats}) == 1
    assert len({tuple(bar.layout["xaxis"]["range"]) for bar in bars}) == 1
    assert len({tuple(bar.layout["yaxis"]["range"]) for bar in bars}) == 1


def test_the_numbers_are_the_librarys(open_page):
    slugs = ["kaiming_normal", "orthogonal", "uniform"]
    at = open_page("compare", {"schemes": slugs, "in": 40, "out": 30, "seed": 3})
    for line, slug in zip(at.dataframe[0].value.itertuples(index=False), slugs, strict=True):
        made = describe(Spec(Layer("linear", (40, 30)), Init(slug), seed=3))
        part = made.weight
        assert {
            part.law.std,
            part.measurement.std,
            part.measurement.min,
            part.measurement.max,
            part.fit.std_ratio,
            part.fit.ks_low,
            outside_share(made),
        } <= set(line)


def test_layer_number_type_and_seed_are_for_all(open_page, charts, press):
    at = open_page("compare", {"schemes": ["normal", "uniform"]})
    before = charts(at)
    press(at, "again")
    assert at.number_input(key="seed").value == 1
    at.selectbox(key="layer").select("conv1d").run()
    at.selectbox(key="dtype").select("float64").run()
    at.number_input(key="kernel").set_value(4).run()
    after = charts(at)
    assert all(before[key].json != after[key].json for key in before)
    assert "5 × 20" in after["heat-normal"].alt
    press(at, "reset")
    assert len(at.multiselect(key="schemes").value) == 6
    assert at.selectbox(key="layer").value == "linear"


def test_the_chosen_schemes_parameters_can_be_set(open_page, charts):
    at = open_page("compare", {"schemes": ["normal", "xavier_uniform"]})
    keys = {box.key for box in at.sidebar.number_input if "." in box.key}
    assert keys == {"normal.mean", "normal.std", "xavier_uniform.gain"}
    at.number_input(key="normal.std").set_value(0.02).run()
    std = describe(Spec(LINEAR, Init("normal", {"std": 0.02}))).weight.measurement.std
    assert number(std) in charts(at)["heat-normal"].alt


def test_a_scheme_that_cannot_fill_the_layer_is_named_and_left_out(open_page, charts, messages):
    at = open_page("compare", {"schemes": ["normal", "dirac", "uniform"]})
    [message] = messages(at)
    assert "dirac" in message
    assert panels(charts(at)) == ["normal", "uniform"]
    at.selectbox(key="layer").select("conv2d").run()
    assert panels(charts(at)) == ["normal", "dirac", "uniform"]


def test_impossible_parameters_leave_one_scheme_out(open_page, charts, messages):
    link = {"schemes": ["uniform", "normal"], "uniform.a": 5, "uniform.b": 1}
    at = open_page("compare", link)
    assert "a = 5" in messages(at)[0]
    assert panels(charts(at)) == ["normal"]


@pytest.mark.parametrize("link", [{"schemes": ""}, {"schemes": ["dirac"]}], ids=str)
def test_no_scheme_at_all_gets_help(open_page, charts, link):
    at = open_page("compare", link)
    assert at.info
    assert not charts(at)


def test_an_empty_choice_is_no_problem_of_the_link(open_page, messages):
    at = open_page("compare")
    at.multiselect(key="schemes").set_value([]).run()
    assert at.info
    # A browser states the empty choice in the address.
    at = open_page("compare", {"schemes": ""})
    assert at.multiselect(key="schemes").value == []
    assert not messages(at)


def test_a_link_to_more_than_six_shows_six(open_page, charts):
    at = open_page("compare", {"schemes": list(schemes())[:9]})
    assert panels(charts(at)) == list(schemes())[:6]


def test_a_link_to_an_unknown_scheme_names_it(open_page, messages):
    at = open_page("compare", {"schemes": ["foo"]})
    assert "foo" in messages(at)[0]


def test_an_impossible_layer_is_explained(open_page, messages):
    at = open_page("compare", {"layer": "conv1d", "groups": 3})
    assert "groups = 3" in messages(at)[0]
    assert at.number_input(key="groups").value == 3


@pytest.mark.parametrize(
    "link",
    [
        {},
        {"schemes": ["xavier_normal", "zeros"], "in": 7, "seed": 3, "xavier_normal.gain": 0.5},
    ],
    ids=["by its address alone", "with choices"],
)
def test_open_in_layer_shows_the_same_there(open_page, open_in_layer, snippet_shown, link):
    at = open_in_layer(open_page("compare", link), "xavier_normal")
    gain = {"gain": link["xavier_normal.gain"]} if link else {}
    layer = Layer("linear", (link.get("in", 5), 5))
    spec = Spec(layer, Init("xavier_normal", gain), seed=link.get("seed", 0))
    assert at.session_state["scheme"] == "xavier_normal"
    assert snippet_shown(at) == snippet(spec)
    # The address is that of what is shown.
    assert snippet_shown(open_page("layer", at.query_params)) == snippet(spec)
