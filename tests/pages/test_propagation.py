"""The Propagation page: one network from its link, its verdict, charts, code and downloads."""

from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from initcore import Init
from initcore.network import Network, network_code
from initcore.propagation import propagate
from ui import networks
from ui.kept import Kept
from ui.link import network_of, network_query

CHARTS = {
    "preactivation_std",
    "activation_std",
    "gradient_std",
    "correlation",
    "shares",
    "activations",
    "gradients",
}
SMALL = {"depth": 5, "width": 16, "batch": 8, "seeds": 2}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(networks, "_propagations", Kept(12))
    monkeypatch.delenv("INITCORE_PROPAGATE_MB", raising=False)
    monkeypatch.delenv("INITCORE_PROPAGATE_WORK", raising=False)


def code_of(at):
    return [code.value for code in at.code if code.language == "python"][-1]


def address(at):
    link = next(code.value for code in at.code if code.value.startswith("http"))
    return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))


def test_it_opens_on_a_network_with_verdict_charts_and_code(open_page, charts):
    at = open_page("propagation")
    assert charts(at).keys() == CHARTS
    assert all(any(c.isdigit() for c in chart.alt) for chart in charts(at).values())
    shown = Network(30, 256, weight=Init("xavier_uniform"), batch=128, seeds=3)
    assert propagate(shown).verdict.sentence in at.markdown[0].value
    assert code_of(at) == network_code(shown)
    [gains] = at.dataframe
    assert len(gains.value) == 11
    tanh = gains.value.set_index("activation").loc["Tanh"]
    assert tanh["exact gain"] == pytest.approx(1.5925, abs=1e-4)
    assert tanh["torch's gain"] == pytest.approx(5 / 3)


def test_the_charts_hold_the_librarys_numbers(open_page, charts, array):
    at = open_page("propagation", SMALL | {"activation": "relu", "scheme": "orthogonal"})
    made = propagate(Network(5, 16, "relu", Init("orthogonal"), batch=8, seeds=2))
    for name in ("preactivation_std", "gradient_std"):
        lines = {trace.get("name"): trace for trace in charts(at)[name].data}
        np.testing.assert_allclose(array(lines["measured"]["y"]), made.mean(name), rtol=1e-6)
        np.testing.assert_allclose(array(lines["theory"]["y"]), made.theory[name], rtol=1e-6)


NETWORKS = [
    Network(**SMALL),
    Network(
        depth=3,
        width=(12, 20, 8),
        activation="gelu",
        weight=Init("normal", {"std": 0.25}),
        bias=Init("normal", {"std": 0.3}),
        inputs="correlated",
        correlation=0.75,
        batch=6,
        seeds=1,
        seed=4,
        layer_norm=True,
    ),
    Network(**SMALL | {"depth": 6}, activation="selu", residual="scaled", inputs="digits"),
    Network(**SMALL, residual="plain", whole="fixup", bias=Init("default")),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: f"{n.activation} {n.whole}")
def test_a_link_holds_every_control(open_page, messages, network):
    query = network_query(network)
    assert network_of({key: str(value) for key, value in query.items()}) == network
    at = open_page("propagation", {key: value for key, value in query.items() if value != ""})
    assert not messages(at)
    assert code_of(at) == network_code(network)
    assert address(at) == {key: str(value) for key, value in query.items()}


def test_controls_change_the_network_and_reset_brings_it_back(open_page, press):
    at = open_page("propagation", SMALL)
    at.selectbox(key="activation").select("silu").run()
    at.selectbox(key="residual").select("plain").run()
    at.selectbox(key="norm").select("layer_norm").run()
    press(at, "again")
    changed = Network(
        **SMALL,
        activation="silu",
        weight=Init("xavier_uniform"),
        residual="plain",
        layer_norm=True,
        seed=1,
    )
    assert code_of(at) == network_code(changed)
    press(at, "reset")
    assert at.number_input(key="depth").value == 30
    assert at.selectbox(key="activation").value == "tanh"
    assert at.selectbox(key="bias").value == "zeros"


def test_table_and_json_can_be_downloaded(open_page):
    at = open_page("propagation", SMALL)
    assert [button.label for button in at.download_button] == ["Layers (CSV)", "All of it (JSON)"]
    assert not any(button.disabled for button in at.download_button)


def test_an_exploding_network_is_shown_up_to_its_overflow(open_page, charts):
    link = SMALL | {"depth": 40, "activation": "relu", "scheme": "normal", "normal.std": 100}
    at = open_page("propagation", link)
    assert "overflowing float32 in layer" in at.markdown[0].value
    assert charts(at).keys() == CHARTS - {"gradients"}
    assert at.info


def test_a_scheme_without_theory_says_so(open_page):
    at = open_page("propagation", SMALL | {"scheme": "uniform"})
    assert any("No theory is drawn" in caption.value for caption in at.caption)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"scheme": "dirac"}, "dirac needs"),
        ({"whole": "fixup"}, "residual to plain"),
        ({"widths": "12, x"}, "widths = 12, x"),
        ({"depth": 1000, "width": 100_000}, "INITCORE_PROPAGATE_MB"),
        ({"depth": 900, "width": 1024, "seeds": 100, "batch": 8}, "INITCORE_PROPAGATE_WORK"),
        ({"depth": "many"}, "depth=many"),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be_is_explained(open_page, messages, link, words):
    [message] = messages(open_page("propagation", link))
    assert words in message


def test_a_propagation_is_made_once_for_everybody(open_page, monkeypatch):
    open_page("propagation", SMALL)
    monkeypatch.setattr(networks, "propagate", None)
    open_page("propagation", SMALL)
    assert len(networks._propagations) == 1


def test_the_cache_is_bounded(open_page, monkeypatch):
    monkeypatch.setattr(networks, "_propagations", Kept(2))
    at = open_page("propagation", SMALL)
    for seed in (1, 2, 3):
        at.number_input(key="seed").set_value(seed).run()
    assert [network.seed for network in networks._propagations] == [2, 3]


def test_a_run_that_is_ended_leaves_the_way_free(open_page, monkeypatch):
    class GoneError(Exception):
        pass

    def gone(network, limits, progress):
        raise GoneError

    monkeypatch.setattr(networks, "propagate", gone)
    with pytest.raises(AssertionError):  # the page shows the exception
        open_page("propagation", SMALL)
    assert not networks._propagations.turn.locked()
    assert not networks._propagations
