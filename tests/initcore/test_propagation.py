"""Propagation: statistics equal to autograd's, theory within sampling error, limits, overflow."""

import contextlib
import json
import math
import weakref
from csv import reader

import numpy as np
import pytest
import torch
from torch import nn

from initcore import Init, InitError, propagation
from initcore.activations import ACTIVATIONS
from initcore.meanfield import chi
from initcore.network import Network, NetworkLimits, network_code
from initcore.propagation import (
    MEASURED,
    PREDICTED,
    Statistics,
    Weights,
    as_dict,
    correlation_of_pairs,
    csv,
    predict,
    propagate,
    run,
    spread,
    variances,
)

HE = Init("kaiming_normal", {"nonlinearity": "relu"})


def small(**fields):
    return Network(**{"depth": 4, "width": 32, "batch": 16, "seeds": 1} | fields)


# --- the same values as autograd


class Recorder(Statistics):
    """Keeps every tensor it is shown."""

    def __init__(self, network):
        super().__init__(network)
        self.h, self.x, self.g = {}, {}, {}

    def forward(self, layer, h, u, x):
        self.h[layer], self.x[layer] = h, x
        return super().forward(layer, h, u, x)

    def backward(self, layer, gradient):
        self.g[layer] = gradient
        return super().backward(layer, gradient)


def tensors(network):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(network.batch, network.features, generator=generator)
    return x, torch.randn(network.batch, network.widths[-1], generator=generator)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.slug)
@pytest.mark.parametrize("layer_norm", [False, True], ids=["plain", "layer_norm"])
def test_every_value_is_autograds_to_the_bit(activation, layer_norm):
    network = small(
        width=(24, 32, 40, 16),
        activation=activation.slug,
        layer_norm=layer_norm,
        bias=Init("normal", {"std": 0.3}),
    )
    weights = Weights(network, 0, keep=True)
    seen, modules = {}, []
    for layer in range(1, 5):
        linear = nn.Linear(*network.layer(layer).size)
        with torch.no_grad():
            linear.weight.copy_(weights[layer][0])
            linear.bias.copy_(weights[layer][1])

        def hook(module, inputs, output, layer=layer):
            output.retain_grad()
            seen[layer] = output

        linear.register_forward_hook(hook)
        norm = [nn.LayerNorm(network.widths[layer - 1])] if layer_norm else []
        modules += [linear, *norm, eval(activation.module, {"nn": nn})]
    x, gradient = tensors(network)
    output = nn.Sequential(*modules)(x)
    seen[4].backward(gradient)
    ours = Recorder(network)
    assert run(network, weights, x, gradient, ours) == (None, None)
    assert torch.equal(ours.x[4], output)
    for layer in range(1, 5):
        assert torch.equal(ours.h[layer], seen[layer])
        assert torch.equal(ours.g[layer], seen[layer].grad if layer < 4 else gradient)
        std = float(seen[layer].detach().double().std(correction=0))
        assert ours.arrays["preactivation_std"][layer - 1] == pytest.approx(std, rel=1e-6)


@pytest.mark.parametrize(
    "fields",
    [
        {"residual": "plain"},
        {"residual": "scaled", "layer_norm": True},
        {"residual": "plain", "whole": "fixup"},
    ],
    ids=str,
)
def test_residual_connections_are_autograds_to_the_bit(fields):
    network = small(depth=6, activation="gelu", **fields)
    weights = Weights(network, 0, keep=True)
    x, gradient = tensors(network)
    s = 1 / math.sqrt(5) if network.residual == "scaled" else 1.0
    length = 2 if network.whole == "fixup" else 1
    h, streams = [], []
    entering = x
    for layer in range(1, 7):
        weight, bias = weights[layer]
        out = nn.functional.linear(entering, weight.clone().requires_grad_(), bias)
        if layer > 1 and (layer - 1) % length == 0:
            out = torch.add(streams[-1], out, alpha=s)
        if (layer - 1) % length == 0:
            streams.append(out)
        out.retain_grad()
        h.append(out)
        normed = nn.functional.layer_norm(out, (32,)) if network.layer_norm else out
        entering = nn.functional.gelu(normed)
    h[-1].backward(gradient)
    ours = Recorder(network)
    run(network, weights, x, gradient, ours)
    for layer in range(1, 7):
        assert torch.equal(ours.h[layer], h[layer - 1])
        assert torch.equal(ours.g[layer], h[layer - 1].grad)


def test_weights_that_are_drawn_again_change_nothing():
    network = small(depth=6, seeds=2, whole="lsuv", activation="relu", weight=Init("orthogonal"))
    whole = propagate(network)
    limits = NetworkLimits(hold_mb=network.signals_mb + 1e-6)
    assert not limits.keeps_weights(network)
    again = propagate(network, limits)
    for name in MEASURED:
        np.testing.assert_allclose(again.measured[name], whole.measured[name], rtol=1e-4)


@pytest.mark.parametrize("shift", [0.0, 1e6], ids=["centred", "far from 0"])
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_mean_and_std_are_those_of_float64(shift, scale):
    x = torch.randn(40, 300, generator=torch.Generator().manual_seed(0))
    x = (x + shift) * scale
    mean, std = spread(x)
    assert std == pytest.approx(float(x.double().std(correction=0)), rel=1e-5)
    assert mean == pytest.approx(float(x.double().mean()), rel=1e-5, abs=1e-6 * std)


def test_saturated_and_dead_are_counted():
    network = small(activation="relu", depth=1, width=3, batch=4)
    u = torch.tensor([[-1.0, 1, -1], [-2, 2, 0], [-3, -1, 5], [-1, 2, 1]])
    statistics = Statistics(network)
    statistics.forward(1, u, u, u.relu())
    assert statistics.arrays["saturated"][0] == 7 / 12  # at 0 the slope is 0
    assert statistics.arrays["dead"][0] == 1 / 3
    tanh = Statistics(small(activation="tanh", depth=1, width=2, batch=4))
    u = torch.tensor([[4.0, 4], [5, -4], [3, 4], [9, 4]])
    tanh.forward(1, u, u, u.tanh())
    assert tanh.arrays["saturated"][0] == 1
    assert tanh.arrays["dead"][0] == 1 / 2


def test_correlation_of_pairs():
    x = torch.randn(400, 500, generator=torch.Generator().manual_seed(0))
    assert correlation_of_pairs(x) == pytest.approx(0, abs=0.01)
    x[1::2] = 0.6 * x[0::2] + 0.8 * x[1::2]
    assert correlation_of_pairs(x) == pytest.approx(0.6, abs=0.01)


# --- theory against measurement

SCHEMES = {
    "xavier_normal": Init("xavier_normal"),
    "he": HE,
    "orthogonal": Init("orthogonal", {"gain": 1.2}),
    "default": Init("default"),
}


def sampling_error(network, theory):
    """Standard error of a mean std over the seeds, in units of it, layer by layer.

    A layer's mean square over n units has relative variance (kurtosis − 1)/n at most, which adds up
    over the layers; a std has half the relative error.
    """
    layers = np.arange(1, network.depth + 1)
    kurtosis = 6.0  # E f⁴/(E f²)² is 6 for relu, the most of all here
    return np.sqrt(kurtosis * layers / network.widths[0] / network.seeds) / 2


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("activation", [a.slug for a in ACTIVATIONS])
def test_theory_is_within_sampling_error_at_width_512(activation, scheme):
    network = Network(6, 512, activation, SCHEMES[scheme], batch=32, seeds=2, seed=1)
    made = propagate(network)
    error = 4 * sampling_error(network, made.theory)
    for name in ("preactivation_std", "activation_std"):
        ratio = made.mean(name) / made.theory[name]
        assert (np.abs(ratio - 1) < error).all(), (name, ratio)
    ratio = made.mean("gradient_std") / made.theory["gradient_std"]
    assert (np.abs(ratio - 1) < error[::-1]).all(), ratio
    # A share of about 500 · 32 entries, whose layers are correlated.
    np.testing.assert_allclose(made.mean("saturated"), made.theory["saturated"], atol=0.03)
    np.testing.assert_allclose(made.mean("correlation"), made.theory["correlation"], atol=0.06)


@pytest.mark.parametrize(
    "fields",
    [
        {"bias": Init("normal", {"std": 0.5})},
        {"inputs": "correlated", "correlation": 0.7},
        {"inputs": "digits"},
        {"layer_norm": True},
        {"residual": "plain"},
        {"residual": "scaled"},
        {"residual": "plain", "whole": "fixup", "activation": "relu", "weight": HE},
        {"whole": "lsuv", "activation": "relu", "weight": Init("orthogonal")},
        {"width": (512, 256, 512, 1024, 512, 256)},
    ],
    ids=str,
)
def test_theory_holds_for_every_kind_of_network(fields):
    network = Network(**{"depth": 6, "width": 512, "batch": 32, "seeds": 3} | fields)
    made = propagate(network)
    for name in ("preactivation_std", "activation_std", "gradient_std"):
        np.testing.assert_allclose(made.mean(name), made.theory[name], rtol=0.12, atol=1e-12)
    # Images differ in their length, for which theory takes one number.
    slack = 0.1 if network.inputs == "digits" else 0.05
    np.testing.assert_allclose(made.mean("correlation"), made.theory["correlation"], atol=slack)


def test_theory_uses_the_fans_as_they_are():
    """Not square: Xavier's compromise keeps neither pass, and theory says by how much."""
    network = Network(2, (1024, 256), "linear", Init("xavier_normal"), batch=16, seeds=1)
    assert variances(network, 2)[0] == pytest.approx(1024 * 2 / 1280)
    theory, _ = predict(network)
    assert theory["preactivation_std"] == pytest.approx([1, math.sqrt(1.6)])
    assert theory["gradient_std"] == pytest.approx([math.sqrt(256 * 2 / 1280), 1])


def test_the_relu_classics():
    """He et al. 2015: 1/2 per layer under Xavier; nothing lost under He's variance 2/fan_in."""
    theory, _ = predict(Network(30, 100, "relu", Init("xavier_normal")))
    assert theory["preactivation_std"] ** 2 == pytest.approx(0.5 ** np.arange(30))
    theory, _ = predict(Network(30, 100, "relu", HE))
    assert theory["preactivation_std"] == pytest.approx(np.full(30, math.sqrt(2)))
    assert theory["gradient_std"] == pytest.approx(np.ones(30))


@pytest.mark.parametrize(
    ("weight", "word"), [("uniform", "mean"), ("eye", "random"), ("constant", "mean")]
)
def test_where_theory_has_nothing_to_say_it_says_why(weight, word):
    made = propagate(small(weight=Init(weight)))
    assert word in made.theory_note
    assert math.isnan(made.chi)
    assert all(np.isnan(made.theory[name]).all() for name in PREDICTED)
    assert np.isfinite(made.mean("preactivation_std")).all()
    assert made.verdict.sentence


# --- whole-network schemes


def test_residual_streams_with_and_without_scaling():
    """GPT-2's 1/√N: the stream's variance grows to 2 with it, with N without."""
    network = Network(101, 64, "linear", Init("lecun_normal"), residual="scaled")
    assert len(network.sources) == 100
    assert predict(network)[0]["preactivation_std"][-1] ** 2 == pytest.approx(1.01**100)
    relu = Network(101, 64, "tanh", Init("lecun_normal"), residual="plain")
    assert 30 < predict(relu)[0]["preactivation_std"][-1] ** 2 < 101


def test_fixup_keeps_the_stream_as_it_is():
    network = small(depth=9, residual="plain", whole="fixup", activation="relu", weight=HE)
    made = propagate(network)
    stream = made.mean("preactivation_std")[0::2]
    np.testing.assert_array_equal(stream, stream[0])
    assert network.weight_scale(2) == 0.5  # 4 branches of two layers: 4^(−1/2)
    assert network.weight_scale(3) == 0
    assert network.weight_scale(1) == 1


def test_lsuv_ends_within_its_tolerance_of_1():
    network = small(depth=8, width=64, batch=64, whole="lsuv", weight=Init("normal", {"std": 3.0}))
    std = propagate(network).mean("preactivation_std")
    assert (np.abs(std - 1) <= 0.1 + 1e-6).all()


# --- overflow, nothing at all, and limits


def test_an_exploding_network_is_drawn_up_to_its_overflow():
    made = propagate(small(depth=40, activation="relu", weight=Init("normal", {"std": 100.0})))
    std = made.mean("preactivation_std")
    assert 5 < made.overflow < 40
    assert np.isfinite(std[: made.overflow - 1]).all()
    assert np.isnan(std[made.overflow - 1 :]).all()
    assert made.verdict.state == "exploding"
    assert f"overflowing float32 in layer {made.overflow}" in made.verdict.sentence
    data = as_dict(made)
    assert data["layers"][39]["preactivation_std"] is None
    json.dumps(data, allow_nan=False)


def test_a_gradient_that_overflows_is_said():
    network = small(depth=40, activation="tanh", weight=Init("normal", {"std": 1.0}), width=4)
    assert propagate(network).gradient_overflow is None
    grown = small(depth=30, activation="linear", weight=Init("normal", {"std": 2e3}), width=64)
    # The signal starts at 0, so that only the gradient can overflow.
    statistics = Statistics(grown)
    weights = Weights(grown, 0, keep=True)
    _, gradient = tensors(grown)
    found = run(grown, weights, torch.zeros(16, 64), gradient, statistics)
    assert found[0] is None
    assert 1 < found[1] < 30


def test_a_network_of_zeros_is_a_result():
    made = propagate(small(weight=Init("zeros")))
    assert made.verdict.state == "vanishing"
    assert (made.mean("preactivation_std") == 0).all()
    assert (made.theory["preactivation_std"] == 0).all()
    json.dumps(as_dict(made), allow_nan=False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"depth": 0}, "depth = 0"),
        ({"width": (3, 4)}, "2 widths for depth 4"),
        ({"batch": 1}, "batch = 1"),
        ({"seeds": 0}, "seeds = 0"),
        ({"activation": "swish"}, "swish"),
        ({"inputs": "noise"}, "white, correlated, digits"),
        ({"correlation": 2.0}, "correlation = 2"),
        ({"inputs": "digits", "batch": 2000}, "1,438"),
        ({"whole": "fixup"}, "residual"),
        ({"width": (8, 8, 9, 8), "residual": "plain"}, "one width"),
        ({"weight": Init("dirac")}, "dirac needs"),
    ],
    ids=lambda value: str(value),
)
def test_impossible_networks_are_refused_with_a_way_out(fields, words):
    with pytest.raises(InitError) as error:
        small(**fields)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("network", "setting"),
    [
        (Network(1000, 4096, batch=1000), "INITCORE_PROPAGATE_MB"),
        (Network(200, 1024, batch=64, seeds=100), "INITCORE_PROPAGATE_WORK"),
    ],
    ids=["memory", "work"],
)
def test_limits_are_stated_before_anything_is_drawn(network, setting, monkeypatch):
    monkeypatch.setattr(torch, "empty", None)  # nothing is allocated
    with pytest.raises(InitError, match=rf"depth {network.depth} × width.*limit.*{setting}"):
        propagate(network)


def test_limits_are_settings(monkeypatch):
    monkeypatch.setenv("INITCORE_PROPAGATE_MB", "7")
    monkeypatch.setenv("INITCORE_PROPAGATE_WORK", "8")
    assert NetworkLimits.from_environment() == NetworkLimits(7, 8)
    monkeypatch.setenv("INITCORE_PROPAGATE_WORK", "many")
    with pytest.raises(InitError, match="INITCORE_PROPAGATE_WORK = many"):
        NetworkLimits.from_environment()


def test_progress_goes_from_layer_to_layer_and_may_end_the_work(monkeypatch):
    class StopError(Exception):
        pass

    shares = []
    network = small(seeds=2)
    propagate(network, progress=lambda share, now="": shares.append(share))
    assert shares == pytest.approx(np.arange(1, 17) / 16)

    def stop(share, now=""):
        if share > 0.5:
            raise StopError

    alive = []

    class Watched(Weights):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            alive.append(weakref.ref(self))

    monkeypatch.setattr(propagation, "Weights", Watched)
    with contextlib.suppress(StopError):
        propagate(network, progress=stop)
    assert len(alive) == 2
    assert not any(reference() for reference in alive)  # freed at once, without a collection


# --- what is made of it


def test_histograms_share_their_edges_and_hold_the_values():
    made = propagate(small(depth=20, batch=64, seeds=2))
    for shown in (made.activations, made.gradients):
        assert len(shown) == 8
        assert [one.layer for one in shown][:1] == [1]
        assert [one.layer for one in shown][-1:] == [20]
        for one in shown:
            np.testing.assert_array_equal(one.edges, shown[0].edges)
            assert one.total == 64 * 32 * 2
            assert 0.97 * one.total < one.counts.sum() <= one.total
    # The spread of the counts is the layer's std.
    first = made.activations[0]
    middles = (first.edges[1:] + first.edges[:-1]) / 2
    std = math.sqrt(first.counts @ middles**2 / first.counts.sum())
    assert std == pytest.approx(made.mean("activation_std")[0], rel=0.02)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"activation": "relu", "weight": HE}, "stable"),
        ({"activation": "relu"}, "vanishing"),
        ({"activation": "linear", "weight": Init("orthogonal")}, "stable"),
        ({"activation": "tanh", "weight": Init("xavier_normal", {"gain": 3.0})}, "exploding"),
        ({"activation": "sigmoid"}, "vanishing"),
    ],
    ids=str,
)
def test_the_verdict(fields, state):
    network = Network(**{"depth": 12, "width": 256, "batch": 32, "seeds": 2} | fields)
    verdict = propagate(network).verdict
    assert verdict.state == state
    assert verdict.sentence.startswith(state.capitalize())
    assert f"Gain {network.function.gain:.4g} holds" in verdict.sentence


def test_factors_per_layer():
    made = propagate(Network(12, 256, "relu", batch=32, seeds=2))
    assert made.verdict.signal == pytest.approx(math.sqrt(0.5), rel=0.03)
    assert made.verdict.gradient == pytest.approx(math.sqrt(0.5), rel=0.03)
    assert "down to a tenth after 7 layers" in made.verdict.sentence


def test_plain_data():
    network = small(weight=HE, activation="relu", seeds=2)
    made = propagate(network)
    data = as_dict(made)
    assert data["gain"] == {"torch": pytest.approx(math.sqrt(2)), "exact": network.function.gain}
    assert data["chi"] == pytest.approx(float(chi(network.function, 2.0, 0.0)))
    assert [row["layer"] for row in data["layers"]] == [1, 2, 3, 4]
    row = data["layers"][1]
    assert row["activation_std"] == made.measured["activation_std"][:, 1].mean()
    assert row["theory_gradient_std"] == made.theory["gradient_std"][1]
    assert propagate(network).measured["gradient_std"].tolist() == (
        made.measured["gradient_std"].tolist()
    )


def test_the_table():
    made = propagate(small(depth=30, activation="relu", weight=Init("normal", {"std": 100.0})))
    heading, *rows = list(reader(csv(made).splitlines()))
    assert heading[0] == "layer"
    assert len(rows) == 30
    column = heading.index("preactivation_std")
    assert float(rows[2][column]) == made.mean("preactivation_std")[2]
    assert rows[29][column] == ""


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"width": (24, 32, 40, 16), "bias": Init("default"), "activation": "selu"},
        {"inputs": "digits", "bias": Init("default"), "weight": Init("sparse", {"std": 0.2})},
        {"inputs": "correlated", "layer_norm": True, "activation": "gelu"},
        {"residual": "scaled", "depth": 5},
        {"residual": "plain", "whole": "fixup", "depth": 6, "activation": "relu", "weight": HE},
        {"whole": "lsuv", "weight": Init("orthogonal"), "activation": "relu"},
    ],
    ids=str,
)
def test_the_code_gives_the_same_network(fields, capsys):
    network = small(**fields)
    made = propagate(network)
    with torch.random.fork_rng(devices=[]):
        exec(network_code(network), {})
    printed = np.array([line.split() for line in capsys.readouterr().out.splitlines()], float)
    assert printed[:, 0].tolist() == list(range(1, network.depth + 1))
    np.testing.assert_allclose(printed[:, 1], made.mean("preactivation_std"), rtol=1e-5)
    np.testing.assert_allclose(printed[:, 2], made.mean("gradient_std"), rtol=1e-5, atol=1e-9)
