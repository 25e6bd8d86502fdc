"""The keys of a link: a contract with every link ever shared."""

import pytest

from initcore import LAYERS, Init, Layer, Spec, schemes
from initcore.network import Network
from ui import link
from ui.link import network_query, param_key, query, size_keys


def test_the_keys_are_these():
    spec = Spec(
        Layer("conv2d", (8, 6, 3), 2),
        Init("normal", {"std": 0.02}),
        Init("constant", {"val": 0.5}),
        seed=7,
        dtype="float64",
    )
    assert query(spec) == {
        "layer": "conv2d",
        "in": 8,
        "out": 6,
        "kernel": 3,
        "groups": 2,
        "scheme": "normal",
        "normal.mean": 0.0,
        "normal.std": 0.02,
        "bias": "constant",
        "bias.constant.val": 0.5,
        "dtype": "float64",
        "seed": 7,
    }
    assert query(Spec(Layer("bilinear", (4, 5, 6)), Init("zeros")))["in2"] == 5


def test_the_keys_of_a_network_are_these():
    network = Network(
        depth=2,
        width=(8, 9),
        weight=Init("orthogonal"),
        bias=Init("normal", {"std": 0.5}),
        layer_norm=True,
    )
    assert network_query(network) == {
        "depth": 2,
        "width": 8,
        "widths": "8, 9",
        "activation": "tanh",
        "scheme": "orthogonal",
        "orthogonal.gain": 1.0,
        "bias": "normal",
        "bias.normal.mean": 0.0,
        "bias.normal.std": 0.5,
        "inputs": "white",
        "correlation": 0.5,
        "batch": 256,
        "seeds": 5,
        "norm": "layer_norm",
        "residual": "none",
        "whole": "none",
        "seed": 0,
    }
    assert network_query(Network())["widths"] == ""


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.slug)
def test_each_size_of_a_layer_has_a_key_of_its_own(kind):
    keys = size_keys(kind)
    assert len(set(keys)) == len(keys) == len(kind.sizes)
    assert ("bias" in query(Spec(Layer(kind.slug, (4,) * len(keys)), Init("zeros")))) is (
        kind.has_bias
    )


def test_no_two_parameters_share_a_key():
    keys = [
        param_key(role, slug, param.name)
        for role in ("weight", "bias")
        for slug, scheme in schemes().items()
        for param in scheme.params
    ]
    network = Network(weight=Init("zeros"))
    fixed = {"layer", "in", "in2", "out", "kernel", "groups", "dtype", *network_query(network)}
    assert len({*keys, *fixed}) == len(keys) + len(fixed)


def test_a_link_states_the_address_of_the_server(monkeypatch):
    class Context:
        url = "https://example.org/tools/compare?x=1#top"

    monkeypatch.setattr(link.st, "context", Context)
    made = link.link("layer", query(Spec(Layer("linear", (5, 5)), Init("zeros"))))
    assert made.startswith("https://example.org/tools/")
    assert made.count("?") == 1
    assert "compare" not in made
    assert "layer=linear&in=5&out=5&scheme=zeros" in made


@pytest.mark.parametrize(
    "hostile",
    [{}, {"layer": "linear"}, {"layer": "rnn"}, {"in": "x"}, {"_defaults": "1", "revealed": "1"}],
    ids=str,
)
def test_what_is_no_link_of_ours_is_no_spec(hostile):
    with pytest.raises((KeyError, ValueError)):
        link.spec_of({"layer": "linear", "out": "5", **hostile} if "in" in hostile else hostile)
