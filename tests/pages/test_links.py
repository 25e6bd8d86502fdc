"""Links: each opens the very state it states, for everybody; a wrong one says what is wrong."""

from urllib.parse import parse_qs, urlsplit

import pytest

from initcore import Init, Layer, Spec, draw_spec, schemes, snippet
from initcore.schemes import Slot
from ui import audits
from ui.link import query

LINEAR = Layer("linear", (5, 5))

# Written when only what differs from a default was stated: such links must open the same for good.
GOLDEN = [
    ({}, Spec(LINEAR, Init("xavier_uniform"))),
    ({"seed": "7"}, Spec(LINEAR, Init("xavier_uniform"), seed=7)),
    (
        {"in": "8", "out": "3", "scheme": "normal", "normal.std": "0.02"},
        Spec(Layer("linear", (8, 3)), Init("normal", {"std": 0.02})),
    ),
    (
        {"scheme": "uniform", "uniform.a": "-0.5", "uniform.b": "0.5", "bias": "zeros"},
        Spec(LINEAR, Init("uniform", {"a": -0.5, "b": 0.5}), Init("zeros")),
    ),
    (
        {"layer": "conv2d", "in": "6", "out": "4", "kernel": "2", "groups": "2", "scheme": "dirac"},
        Spec(Layer("conv2d", (6, 4, 2), 2), Init("dirac")),
    ),
    (
        {"layer": "bilinear", "in2": "7", "scheme": "default"},
        Spec(Layer("bilinear", (5, 7, 5)), Init("default")),
    ),
    (
        {"layer": "embedding", "in": "10", "out": "4", "scheme": "trunc_normal"}
        | {"trunc_normal.std": "0.1", "trunc_normal.a": "-0.2", "trunc_normal.b": "0.2"},
        Spec(
            Layer("embedding", (10, 4)),
            Init("trunc_normal", {"std": 0.1, "a": -0.2, "b": 0.2}),
        ),
    ),
    (
        {"scheme": "kaiming_normal", "kaiming_normal.mode": "fan_out"}
        | {"kaiming_normal.nonlinearity": "relu", "dtype": "bfloat16"},
        Spec(
            LINEAR,
            Init("kaiming_normal", {"mode": "fan_out", "nonlinearity": "relu"}),
            dtype="bfloat16",
        ),
    ),
    # And one that states everything.
    (
        {
            "layer": "conv_transpose1d",
            "in": "4",
            "out": "6",
            "kernel": "5",
            "groups": "2",
            "scheme": "kaiming_uniform",
            "kaiming_uniform.a": "0.3",
            "kaiming_uniform.mode": "fan_in",
            "kaiming_uniform.nonlinearity": "leaky_relu",
            "bias": "normal",
            "bias.normal.mean": "0.1",
            "bias.normal.std": "0.001",
            "dtype": "float64",
            "seed": "9007199254740991",
        },
        Spec(
            Layer("conv_transpose1d", (4, 6, 5), 2),
            Init("kaiming_uniform", {"a": 0.3}),
            Init("normal", {"mean": 0.1, "std": 0.001}),
            seed=2**53 - 1,
            dtype="float64",
        ),
    ),
]


SMALL_RACE = {"problem": "spirals", "width": 8, "steps": 20, "seeds": 2}
# The other pages with a full link, at states that reach all kinds of their controls.
OTHERS = [
    ("compare", {"layer": "conv1d", "groups": 5, "schemes": ["normal", "eye"], "seed": 3}),
    ("compare", {"in": 7, "schemes": ["uniform", "sparse"], "uniform.b": 0.1 + 0.2}),
    ("defaults", {"find": "LSTM", "seed": 3}),
    ("audit", audits.EXAMPLE | {"tensor": "transformer.wte.weight"}),
    ("audit", {"source": "model", "model": "lstm", "find": "hh", "tensor": "lstm.weight_hh_l0"}),
    ("propagation", {"depth": 4, "widths": "8, 9", "inputs": "correlated", "batch": 8}),
    ("phase", {"activation": "relu", "sigma_w": 1.25, "scheme": "normal", "normal.std": 0.1}),
    ("spectrum", {"inputs": 40, "depth": 3, "width": 30, "matrix": "jacobian", "seed": 3}),
    ("race", SMALL_RACE | {"schemes": ["normal", "zeros"], "rates": "each", "normal.rate": 0.01}),
    ("race", SMALL_RACE | {"view": "sweep", "low": 0.01, "high": 1.0, "count": 2}),
]


def full_link(at):
    """The query of the link that the page offers for copying."""
    link = next(code.value for code in at.code if code.value.startswith("http"))
    query = parse_qs(urlsplit(link).query, keep_blank_values=True)
    return {key: several if len(several) > 1 else several[0] for key, several in query.items()}


def seen(at, charts):
    """All that a page shows, but for its controls and the link."""
    texts = [text.value for kind in (at.title, at.markdown, at.caption, at.code) for text in kind]
    tables = [
        table.value.drop(columns="steps per second", errors="ignore") for table in at.dataframe
    ]
    return texts, [table.to_csv() for table in tables], {k: c.json for k, c in charts(at).items()}


def bound(at):
    """The keys of all controls on the page that are bound to the link."""
    elements = [element for part in (at.sidebar, at.main) for element in part]
    return {getattr(element.proto, "query_param_key", "") for element in elements} - {""}


@pytest.mark.parametrize(("link", "spec"), GOLDEN, ids=[" ".join(link) for link, _ in GOLDEN])
def test_a_link_opens_the_state_it_states(open_page, snippet_shown, messages, link, spec):
    at = open_page("layer", link)
    assert snippet_shown(at) == snippet(spec)
    assert not messages(at)


@pytest.mark.parametrize(("link", "spec"), GOLDEN, ids=[" ".join(link) for link, _ in GOLDEN])
def test_the_full_link_states_every_value_and_opens_the_same(
    open_page, snippet_shown, messages, link, spec
):
    full = full_link(open_page("layer", link))
    assert full == {key: str(value) for key, value in query(spec).items()}
    again = open_page("layer", full)
    assert snippet_shown(again) == snippet(spec)
    assert full_link(again) == full
    assert not messages(again)


@pytest.mark.parametrize(("page", "link"), OTHERS, ids=str)
def test_every_page_has_a_full_link_that_states_every_control_and_opens_the_same(
    open_page, charts, messages, page, link
):
    at = open_page(page, link)
    full = full_link(at)
    assert full.keys() == bound(at) >= link.keys()
    assert all(str(full[key]) == str(value) for key, value in link.items())
    again = open_page(page, full)
    assert seen(again, charts) == seen(at, charts)
    assert full_link(again) == full
    assert messages(again) == messages(at)


@pytest.mark.parametrize("slug", schemes())
def test_every_scheme_can_be_linked_with_all_its_parameters(open_page, snippet_shown, slug):
    refused = schemes()[slug].why_not(Slot(LINEAR, "weight"))
    layer = Layer("conv2d", (5, 5, 3)) if refused else LINEAR
    spec = Spec(layer, Init(slug), Init("constant", {"val": -1e-7}), seed=2)
    assert snippet_shown(open_page("layer", query(spec))) == snippet(spec)


def test_the_root_opens_the_layer_page_with_whatever_the_link_holds(
    open_page, snippet_shown, messages
):
    link = {"scheme": "normal", "normal.std": "0.02", "in": "-8"}
    root, layer = open_page("", link), open_page("layer", link)
    assert snippet_shown(root) == snippet_shown(layer)
    assert messages(root) == messages(layer) != []
    assert full_link(root) == full_link(layer)


def test_parameters_keep_every_digit(open_page, snippet_shown):
    std = 0.1 + 0.2  # 0.30000000000000004, more digits than its control shows
    spec = Spec(LINEAR, Init("normal", {"std": std}))
    at = open_page("layer", query(spec))
    assert f"std={std!r}" in snippet_shown(at)
    assert full_link(at)["normal.std"] == repr(std)


def test_a_link_shows_everybody_the_same_matrix(open_page, snippet_shown, charts, array):
    link = {"scheme": "orthogonal", "in": 12, "out": 9, "seed": 4}
    first, second = open_page("layer", link), open_page("layer", link)
    assert snippet_shown(first) == snippet_shown(second)
    assert charts(first)["heatmap"].json == charts(second)["heatmap"].json
    drawn = draw_spec(Spec(Layer("linear", (12, 9)), Init("orthogonal"), seed=4)).weight
    assert (array(charts(first)["heatmap"].data[0]["z"]) == drawn.numpy()).all()


# --- links that are wrong -----------------------------------------------------------------------

# Values that no control takes: the page goes on with the default, and says so.
NOT_TAKEN = [
    ({"scheme": "foo"}, "foo"),
    ({"layer": "dense"}, "dense"),
    ({"dtype": "int8"}, "int8"),
    ({"bias": "orthogonal"}, "orthogonal"),
    ({"in": "-8"}, "-8"),
    ({"in": "abc"}, "abc"),
    ({"in": "5.5"}, "5.5"),
    ({"in": "10000000000"}, "10000000000"),
    ({"seed": "-1"}, "-1"),
    ({"seed": "9007199254740992"}, "9007199254740992"),
    ({"scheme": "normal", "normal.std": "abc"}, "abc"),
    ({"scheme": "normal", "normal.std": "nan"}, "nan"),
    ({"scheme": "normal", "normal.std": "inf"}, "inf"),
    ({"scheme": "kaiming_normal", "kaiming_normal.mode": "up"}, "up"),
]
# Values, or combinations of them, that cannot be drawn.
IMPOSSIBLE = [
    ({"scheme": "uniform", "uniform.a": "5", "uniform.b": "1"}, "a = 5"),
    ({"scheme": "trunc_normal", "trunc_normal.a": "50", "trunc_normal.b": "60"}, "50"),
    ({"layer": "conv2d", "groups": "3"}, "groups = 3"),
    ({"scheme": "dirac"}, "dirac"),
    ({"scheme": "orthogonal", "dtype": "float16"}, "float16"),
    ({"in": 10**9, "out": 10**9}, "1,000,000,000"),
    ({"layer": "conv3d", "in": 10**9, "kernel": 10**9}, "1,000,000,000"),
]


def named(cases):
    return [" ".join(map(str, link.values())) for link, *_ in cases]


@pytest.mark.parametrize(("link", "value"), NOT_TAKEN, ids=named(NOT_TAKEN))
def test_a_value_that_is_not_taken_is_named_and_the_default_used(
    open_page, snippet_shown, messages, link, value
):
    at = open_page("layer", link)
    [message] = messages(at)
    assert value in message
    others = {key: text for key, text in link.items() if text != value}
    assert snippet_shown(at) == snippet_shown(open_page("layer", others))


@pytest.mark.parametrize(("link", "part"), IMPOSSIBLE, ids=named(IMPOSSIBLE))
def test_what_cannot_be_drawn_is_explained_and_the_controls_stay(open_page, messages, link, part):
    at = open_page("layer", link)
    [message] = messages(at)
    assert part in message
    assert at.error
    for key, value in link.items():
        assert str(at.get_by_key(key).value).removesuffix(".0") == str(value)
    # The way out is open.
    at.selectbox(key="layer").select("linear").run()
    at.selectbox(key="scheme").select("zeros").run()
    for key in ("in", "out"):
        at.number_input(key=key).set_value(5).run()
    assert not messages(at)


@pytest.mark.parametrize("slug", ["normal.std", "sparse.std", "xavier_uniform.gain"])
def test_a_parameter_out_of_range_gets_one_message(open_page, messages, slug):
    at = open_page("layer", {"scheme": slug.split(".")[0], slug: "-1"})
    [message] = messages(at)
    assert "-1" in message


@pytest.mark.parametrize("text", ["1e1", "10.0", "0010", "+10"])
def test_a_size_is_either_used_or_complained_about(open_page, messages, text):
    at = open_page("layer", {"in": text})
    used = at.number_input(key="in").value == 10
    assert used is not any(text in message for message in messages(at))


@pytest.mark.parametrize(
    "page", ["compare", "lesson", "schemes", "defaults", "audit", "propagation", "phase"]
)
def test_every_page_opens_with_any_query(open_page, page):
    at = open_page(
        page,
        {"in": "abc", "scheme": "foo", "step": "99", "seed": "-3", "schemes": "no", "depth": "x"},
    )
    assert at.title


def test_a_message_about_the_link_goes_once_a_control_is_changed(open_page, messages):
    at = open_page("layer", {"in": "abc"})
    assert messages(at)
    at.number_input(key="in").set_value(6).run()
    assert not messages(at)
