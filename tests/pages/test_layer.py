"""The Layer page: every control has its effect, and what is shown is what the library says."""

import math

import pytest

from initcore import LAYERS, Init, Layer, Spec, describe, draw_spec, schemes, snippet
from initcore.draw import DTYPES, MAX_SEED
from initcore.figures.style import DARK, LIGHT
from initcore.laws import number
from initcore.report import comparison
from initcore.schemes import Slot
from ui import reports

LINEAR, CONV = Layer("linear", (5, 5)), Layer("conv2d", (5, 5, 3))
XAVIER = Init("xavier_uniform")


def layer_for(slug):
    return CONV if schemes()[slug].why_not(Slot(LINEAR, "weight")) else LINEAR


def change(param):
    """Another allowed value of a parameter."""
    return param.choices[-1] if param.choices else param.default + 0.25


# --- the controls -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.slug)
def test_each_layer_has_its_own_sizes(open_page, snippet_shown, kind):
    at = open_page()
    at.selectbox(key="layer").select(kind.slug).run()
    labels = [number.label for number in at.sidebar.number_input]
    wanted = [*kind.sizes, *(["kernel_size", "groups"] if kind.spatial else [])]
    assert [label for label in labels if label in wanted] == wanted
    sizes = ["in", "in2", "out"] if len(kind.sizes) == 3 else ["in", "out"]
    values = dict(zip(sizes, (6, 4, 8), strict=False))
    if kind.spatial:
        values |= {"kernel": 2, "groups": 2}
    for key, value in values.items():
        at.number_input(key=key).set_value(value)
    at.run()
    size = tuple(values[key] for key in [*sizes, "kernel"] if key in values)
    assert snippet_shown(at) == snippet(
        Spec(Layer(kind.slug, size, values.get("groups", 1)), XAVIER)
    )
    assert ("bias" in {box.key for box in at.sidebar.selectbox}) is kind.has_bias


def test_sizes_survive_a_change_of_layer(open_page, snippet_shown):
    at = open_page("layer", {"in": 6, "out": 4})
    at.selectbox(key="layer").select("conv1d").run()
    assert "nn.Conv1d(6, 4, kernel_size=3)" in snippet_shown(at)


def test_every_scheme_can_be_chosen(open_page):
    assert open_page().selectbox(key="scheme").options == list(schemes())


@pytest.mark.parametrize("slug", schemes())
def test_a_schemes_controls_are_its_record(open_page, snippet_shown, slug):
    at = open_page("layer", {"layer": layer_for(slug).slug})
    at.selectbox(key="scheme").select(slug).run()
    scheme, layer = schemes()[slug], layer_for(slug)
    shown = {w.key: w for w in [*at.sidebar.number_input, *at.sidebar.selectbox] if "." in w.key}
    assert shown.keys() == {f"{slug}.{param.name}" for param in scheme.params}
    assert snippet_shown(at) == snippet(Spec(layer, Init(slug)))
    for param in scheme.params:
        widget = shown[f"{slug}.{param.name}"]
        assert widget.value == param.default
        assert list(param.choices) == getattr(widget, "options", [])
        assert param.allowed in widget.help or param.choices
    params = {param.name: change(param) for param in scheme.params}
    for name, value in params.items():
        at.sidebar.get_by_key(f"{slug}.{name}").set_value(value).run()
    assert snippet_shown(at) == snippet(Spec(layer, Init(slug, params)))


@pytest.mark.parametrize("slug", ["kaiming_uniform", "kaiming_normal"])
def test_the_slope_is_greyed_out_where_torch_ignores_it(open_page, slug):
    at = open_page("layer", {"scheme": slug})
    for nonlinearity in at.selectbox(key=f"{slug}.nonlinearity").options:
        at.selectbox(key=f"{slug}.nonlinearity").select(nonlinearity).run()
        greyed = at.number_input(key=f"{slug}.a").disabled
        assert greyed is (nonlinearity != "leaky_relu")


def test_the_bias_has_the_schemes_that_fill_a_vector(open_page, snippet_shown):
    at = open_page()
    slugs = [slug for slug, scheme in schemes().items() if 1 in scheme.ranks]
    assert at.selectbox(key="bias").options == slugs
    for slug in slugs:
        at.selectbox(key="bias").select(slug).run()
        assert snippet_shown(at) == snippet(Spec(LINEAR, XAVIER, Init(slug)))
        for param in schemes()[slug].params:
            widget = at.number_input(key=f"bias.{slug}.{param.name}").set_value(change(param))
            assert widget.label == param.name
        at.run()
        params = {param.name: change(param) for param in schemes()[slug].params}
        assert snippet_shown(at) == snippet(Spec(LINEAR, XAVIER, Init(slug, params)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_number_type_is_drawn(open_page, snippet_shown, charts, array, dtype):
    at = open_page()
    at.selectbox(key="dtype").select(dtype).run()
    spec = Spec(LINEAR, XAVIER, dtype=dtype)
    assert snippet_shown(at) == snippet(spec)
    drawn = draw_spec(spec).weight.float().numpy()
    assert (array(charts(at)["heatmap"].data[0]["z"]) == drawn).all()


def test_draw_again_takes_the_next_seed_and_reset_the_first_state(
    open_page, press, snippet_shown, charts
):
    at = open_page()
    first = charts(at)["heatmap"].json
    press(at, "again")
    assert snippet_shown(at) == snippet(Spec(LINEAR, XAVIER, seed=1))
    assert charts(at)["heatmap"].json != first
    at.selectbox(key="scheme").select("normal").run()
    at.number_input(key="normal.std").set_value(3.0).run()
    at.number_input(key="in").set_value(9).run()
    press(at, "reset")
    assert snippet_shown(at) == snippet(Spec(LINEAR, XAVIER))
    assert charts(at)["heatmap"].json == first
    at.selectbox(key="scheme").select("normal").run()
    assert at.number_input(key="normal.std").value == 1.0


def test_after_the_last_seed_comes_the_first(open_page, press):
    at = open_page("layer", {"seed": MAX_SEED})
    assert press(at, "again").number_input(key="seed").value == 0


# --- what is shown ------------------------------------------------------------------------------


def test_the_charts_are_there_and_say_what_they_show(open_page, charts):
    shown = charts(open_page("layer", {"seed": 3}))
    assert shown.keys() == {"heatmap", "histogram", "bias"}
    made = describe(Spec(LINEAR, XAVIER, seed=3))
    m = made.weight.measurement
    for value in (m.mean, m.std, m.min, m.max):
        assert number(value) in shown["heatmap"].alt
    assert f"{m.count}" in shown["histogram"].alt
    assert number(made.bias.measurement.max) in shown["bias"].alt


def test_a_layer_without_bias_has_no_bias_chart(open_page, charts):
    assert charts(open_page("layer", {"layer": "embedding"})).keys() == {"heatmap", "histogram"}


def test_the_table_is_the_librarys_comparison(open_page):
    at = open_page("layer", {"scheme": "kaiming_normal", "in": 40, "seed": 2})
    spec = Spec(Layer("linear", (40, 5)), Init("kaiming_normal"), seed=2)
    rows = comparison(describe(spec))
    shown = at.dataframe[0].value
    assert list(shown.iloc[:, 0]) == [row.name for row in rows]
    for line, row in zip(shown.itertuples(index=False), rows, strict=True):
        wanted = (row.bound, row.std, row.mean, row.min, row.max, row.ratio, row.error)
        assert {v for v in wanted if not math.isnan(v)} <= {v for v in line if v == v}


def test_the_verdict_states_the_measured_numbers(open_page):
    at = open_page("layer", {"in": 300, "out": 200})
    fit = describe(Spec(Layer("linear", (300, 200)), XAVIER)).weight.fit
    assert any(fit.verdict in text.value for text in at.markdown)
    assert any(number(fit.std_ratio) in text.value for text in at.markdown)


def test_the_theory_puts_the_numbers_into_the_formula(open_page):
    written = [f.value for f in open_page("layer", {"in": 7, "out": 3}).markdown]
    formulas = " ".join(text for text in written if text.startswith("$$"))
    assert "fan" in formulas
    assert "{7 + 3}" in formulas
    assert number(math.sqrt(6 / 10)) in formulas


@pytest.mark.parametrize(
    ("link", "fans"),
    [
        ({"layer": "conv2d", "in": 8, "out": 16, "groups": 4}, (18, 36)),
        ({"layer": "conv_transpose1d", "in": 4, "out": 6}, (12, 18)),
        ({"layer": "embedding", "in": 10, "out": 4}, (1, 4)),
        ({"layer": "linear"}, None),
    ],
    ids=lambda value: str(value),
)
def test_effective_fans_are_named_where_torchs_mislead(open_page, link, fans):
    notes = [info.value for info in open_page("layer", link).info]
    assert len(notes) == (1 if fans else 0)
    assert all(str(fan) in notes[0] for fan in fans or ())


def test_a_large_matrix_shows_extremes_or_means(open_page, charts, array):
    at = open_page("layer", {"in": 600, "out": 300})
    extreme = array(charts(at)["heatmap"].data[0]["z"])
    at.segmented_control(key="cells").set_value("mean").run()
    mean = array(charts(at)["heatmap"].data[0]["z"])
    assert extreme.shape == mean.shape == (150, 200)
    assert (abs(mean) < abs(extreme)).all()
    assert not open_page().segmented_control


def test_the_colours_are_those_of_the_visitors_appearance(open_page, charts):
    for theme, palette in (("light", LIGHT), ("dark", DARK)):
        shown = charts(open_page(theme=theme))
        assert dict(shown["heatmap"].data[0]["colorscale"])[0.5] == palette.heat[2]
        assert shown["histogram"].data[0]["marker"]["color"] == palette.measured


# --- the server's limits ------------------------------------------------------------------------

BIG = {"in": 120, "out": 100}  # 48 kB in float32


@pytest.fixture
def small_server(monkeypatch):
    """Holds 10 kB, draws 1 MB block by block."""
    monkeypatch.setenv("INITCORE_HOLD_MB", "0.01")
    monkeypatch.setenv("INITCORE_STREAM_MB", "1")


def downloads(at):
    return {button.label.split()[0].lower(): button for button in at.download_button}


def test_a_matrix_too_large_to_hold_has_the_same_statistics(
    open_page, charts, monkeypatch, small_server
):
    streamed = open_page("layer", BIG)
    monkeypatch.delenv("INITCORE_HOLD_MB")
    reports._reports.clear()
    held = open_page("layer", BIG)
    assert streamed.dataframe[0].value.equals(held.dataframe[0].value)
    assert charts(streamed)["heatmap"].json == charts(held)["heatmap"].json
    assert charts(streamed)["bias"].json == charts(held)["bias"].json
    assert not streamed.progress  # it goes when the work is done


def test_progress_is_shown_while_a_matrix_is_streamed(open_page, monkeypatch, small_server):
    shares = []

    def describe_and_note(spec, limits, progress):
        def note(share):
            shares.append(share)
            progress(share)

        return describe(spec, limits, note)

    monkeypatch.setattr(reports, "describe", describe_and_note)
    open_page("layer", BIG)
    assert shares
    assert all(0 <= share <= 1 for share in shares)


def test_what_was_never_held_cannot_be_downloaded(open_page, small_server):
    buttons = downloads(open_page("layer", BIG))
    assert buttons["weights"].disabled
    assert buttons["tensors"].disabled
    assert not buttons["script"].disabled


def test_a_matrix_too_large_for_a_csv_can_be_downloaded_as_tensors(open_page):
    buttons = downloads(open_page("layer", {"in": 1001, "out": 1000}))
    assert buttons["weights"].disabled
    assert not buttons["tensors"].disabled
    assert not any(button.disabled for button in downloads(open_page()).values())


@pytest.mark.parametrize(
    ("link", "variable"),
    [
        ({"scheme": "orthogonal", **BIG}, "INITCORE_HOLD_MB"),
        ({"in": 1000, "out": 1000}, "INITCORE_STREAM_MB"),
    ],
    ids=["hold", "stream"],
)
def test_a_refusal_names_the_variable_and_the_sizes(
    open_page, messages, small_server, link, variable
):
    at = open_page("layer", link)
    [message] = messages(at)
    assert variable in message
    assert f"{link['out']:,} × {link['in']:,}" in message
    assert at.number_input(key="in").value == link["in"]


def test_a_limit_that_is_no_number_is_named(open_page, messages, monkeypatch):
    monkeypatch.setenv("INITCORE_HOLD_MB", "plenty")
    [message] = messages(open_page())
    assert "INITCORE_HOLD_MB" in message
    assert "plenty" in message
