"""Grain: which values a generator of torch's can have drawn, bit for bit."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from initcore import Init, Layer, Spec, audit, draw_spec, identify
from initcore.grain import Grain
from initcore.laws import Normal, TruncatedNormal, Uniform, constant
from tests.initcore.cuda import cuda_normal, cuda_uniform

DRAWS = {
    "uniform": Init("uniform", {"a": -0.3, "b": 0.1}),
    "xavier_uniform": Init("xavier_uniform"),
    "default": Init("default"),
    "normal": Init("normal", {"mean": 0.0, "std": 0.02}),
    "kaiming_normal": Init("kaiming_normal"),
    "trunc_normal": Init("trunc_normal", {"mean": 0.0, "std": 0.02, "a": -0.04, "b": 0.04}),
}
LAYERS = (
    Layer("linear", (64, 64)),
    Layer("linear", (77, 33)),  # of no whole number of runs
    Layer("linear", (700, 500)),
    Layer("conv2d", (16, 24, 3)),
)


def drawn(init, layer, seed=0, dtype="float32"):
    spec = Spec(layer, init, seed=seed, dtype=dtype)
    return draw_spec(spec).weight, init.law(spec.slot("weight"))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.code)
@pytest.mark.parametrize("init", DRAWS.values(), ids=DRAWS.keys())
def test_a_draw_of_torchs_is_one_until_it_is_touched(init, layer):
    for seed in range(5):
        weight, law = drawn(init, layer, seed)
        assert Grain(weight).is_draw_of(law)
        assert Grain(weight + 1e-5 * law.std).is_draw_of(law) is False
        assert Grain(weight * (1 + 1e-5)).is_draw_of(law) is False


@pytest.mark.parametrize("init", DRAWS.values(), ids=DRAWS.keys())
def test_the_same_law_drawn_by_another_generator_is_no_draw_of_torchs(init):
    layer = LAYERS[0]
    _, law = drawn(init, layer)
    for seed in range(5):
        chances = np.random.default_rng(seed).random(layer.weight_shape)
        other = torch.from_numpy(law.quantile(chances).astype(np.float32))
        assert Grain(other).is_draw_of(law) is False


@pytest.mark.parametrize("bits", [23, 22])
def test_uniforms_of_a_coarser_lattice_are_no_draw_of_torchs(bits):
    # jax.random.uniform knows 23 bits: each of its values is one that torch may draw.
    law = Uniform(-0.25, 0.25)
    whole = np.random.default_rng(0).integers(2**bits, size=(64, 64))
    other = torch.from_numpy((law.low + 0.5 * whole / 2**bits).astype(np.float32))
    assert Grain(other).is_draw_of(law) is False
    assert not Grain(other).is_cuda_draw_of(law)


@pytest.mark.parametrize(
    ("low", "high"), [(-0.125, 0.125), (-0.0866, 0.0866), (-0.2, 0.3), (-0.1, 0.5)]
)
def test_uniforms_of_a_gpu_are_known_until_they_are_touched(low, high):
    law = Uniform(low, high)
    for seed in range(5):
        weight = cuda_uniform((64, 96), low, high, seed)
        assert Grain(weight).is_cuda_draw_of(law)
        assert not Grain(weight).is_draw_of(law)
        assert not Grain(weight + 1e-5 * law.std).is_cuda_draw_of(law)
        assert not Grain(weight * (1 + 1e-5)).is_cuda_draw_of(law)


# The threads of a T4, an L4, an A100 and an H100.
@pytest.mark.parametrize("threads", [40 * 1024, 58 * 1536, 108 * 2048, 132 * 2048])
def test_normals_of_a_gpu_are_known_where_they_come_in_pairs(threads):
    law = Normal(0.0, 0.02)
    for seed in range(3):
        weight = cuda_normal((700, 512), law.std, threads, seed)
        assert Grain(weight).is_cuda_draw_of(law)
        assert Grain(weight).is_draw_of(law) is False
        assert not Grain(weight).is_cuda_draw_of(Normal(0.0, 0.02 * (1 + 1e-4)))
        assert not Grain(weight + 1e-5 * law.std).is_cuda_draw_of(law)
        assert not Grain(weight[: threads // 512]).is_cuda_draw_of(law)  # the first of each


def test_truncated_normals_of_a_gpu_are_known():
    law = TruncatedNormal(0.0, 0.02, -0.04, 0.04)
    weight, other = (cuda_normal((700, 512), 0.02, 108 * 2048, seed) for seed in range(2))
    outside = weight.abs() > 0.04
    assert Grain(torch.where(outside, other.clamp(-0.04, 0.04), weight)).is_cuda_draw_of(law)


def test_a_draw_of_the_cpu_is_none_of_a_gpu():
    for init in DRAWS.values():
        weight, law = drawn(init, LAYERS[2])
        assert not Grain(weight).is_cuda_draw_of(law)


@pytest.mark.parametrize(
    ("weight", "label"),
    [
        (cuda_uniform((300, 500), -math.sqrt(6 / 800), math.sqrt(6 / 800)), "xavier_uniform"),
        (cuda_normal((700, 512), 0.02, 108 * 2048), "normal(std=0.02)"),
    ],
    ids=["uniform", "normal"],
)
def test_identify_says_that_a_gpu_drew_a_tensor(weight, label):
    found = identify(weight)
    assert found.schemes[0].label == label
    assert found.drawn_on == "CUDA"
    assert found.torch_draw
    assert found.confidence == "certain"
    assert "bit for bit a draw of torch's CUDA generator" in found.sentence
    moved = identify(weight + 1e-4 * weight.std())
    assert moved.drawn_on == ""
    assert moved.torch_draw is False


def test_a_normal_that_no_generator_here_drew_is_as_fresh_as_any():
    # A model drawn on a GPU has hundreds of weights: one of them called trained is one too many.
    values = np.random.default_rng(0).standard_normal((1500, 64, 64)).astype(np.float32) / 32
    assert all(identify(torch.from_numpy(weight)).family != "none" for weight in values)


def test_one_step_of_training_leaves_no_draw():
    layer = nn.Linear(64, 64)
    nn.init.kaiming_normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    law = Normal(0.0, (2 / 64) ** 0.5)
    assert Grain(layer.weight.detach()).is_draw_of(law)
    x = torch.randn(32, 64, generator=torch.Generator().manual_seed(1))
    layer(x).square().mean().backward()
    torch.optim.SGD(layer.parameters(), lr=1e-3).step()
    assert Grain(layer.weight.detach()).is_draw_of(law) is False


def test_half_a_draw_is_none():
    for init in DRAWS.values():
        weight, law = drawn(init, LAYERS[2])
        weight[::3] += 1e-4 * law.std  # as the rows of an embedding that were used
        assert Grain(weight).is_draw_of(law) is None


def test_the_std_is_told_to_six_digits_and_the_angles_know_none():
    weight = torch.empty(256, 256).normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
    assert Grain(weight).is_draw_of(Normal(0.0, 0.02))
    assert not Grain(weight).is_draw_of(Normal(0.0, 0.02 * (1 + 1e-5)))
    assert Grain(weight).is_normal(0.0, 1e-4)
    assert Grain(weight * 3.7).is_normal(0.0, 1e-4)
    assert Grain(weight + 1e-6).is_normal(0.0, 1e-4) is False


# normal_(weight, 0.02) is among them: its second argument is the mean.
@pytest.mark.parametrize(("mean", "std"), [(0.02, 1.0), (0.5, 1.0), (-0.1, 0.3), (0.013, 0.1)])
@pytest.mark.parametrize("side", [64, 512])
def test_the_mean_may_be_a_round_number(mean, std, side):
    weight = torch.empty(side, side).normal_(mean, std, generator=torch.Generator().manual_seed(0))
    found = identify(weight)
    assert found.family == "normal"
    assert found.torch_draw
    assert identify(weight + 1e-4 * std).torch_draw is False


@pytest.mark.parametrize("mean", [0.7, 1.0, 5.0])
def test_a_mean_that_rounds_the_values_leaves_nothing_to_tell(mean):
    weight = torch.empty(64, 64).normal_(mean, 1.0, generator=torch.Generator().manual_seed(0))
    assert identify(weight).torch_draw is None


def test_the_order_in_memory_counts():
    weight, law = drawn(DRAWS["kaiming_normal"], LAYERS[2])
    # A view: what was drawn as (in, out) is read as (out, in).
    assert Grain(weight.T).is_draw_of(law)
    assert Grain(weight.T.contiguous()).is_draw_of(law) is False


@pytest.mark.parametrize(
    ("tensor", "law"),
    [
        (torch.zeros(64, 64, dtype=torch.bfloat16), Normal(0.0, 1.0)),
        (torch.zeros(64, 64, dtype=torch.float64), Normal(0.0, 1.0)),
        (torch.ones(128, 64)[64:], Normal(0.0, 1.0)),
        (torch.ones(64, 64), Normal(1.0, 0.1)),
        (torch.ones(64, 64), TruncatedNormal(0.0, 1.0, 1.0, 2.0)),
        (torch.ones(64, 64), constant(1.0)),
        (torch.ones(5, 5), Uniform(-1.0, 1.0)),
    ],
    ids=["bfloat16", "float64", "part", "mean", "tail", "constant", "few"],
)
def test_nothing_is_said_where_nothing_can_be_told(tensor, law):
    assert Grain(tensor).is_draw_of(law) is None


def test_identify_keeps_the_schemes_that_torch_can_have_drawn_from():
    layer = Layer("linear", (128, 96))
    for slug, rival in (("xavier_normal", "kaiming_normal"), ("kaiming_normal", "xavier_normal")):
        found = identify(drawn(Init(slug), layer)[0], layer)
        assert found.torch_draw
        assert found.confidence == "certain"
        assert {c.scheme for c in found.schemes} >= {slug}
        assert rival not in {c.scheme for c in found.schemes}
        assert "bit for bit a draw" in found.sentence
    weight, law = drawn(Init("normal", {"mean": 0.0, "std": 0.0137}), layer)
    assert identify(weight, layer).torch_draw  # of a std that no scheme names
    moved = identify(weight + 1e-4 * law.std, layer)
    assert moved.family == "normal"
    assert moved.torch_draw is False
    assert moved.confidence == "likely"
    assert "no draw of torch's" in moved.sentence
    trained = identify(weight + 0.3 * law.std * weight[:1].sign(), layer)
    assert trained.family == "none"
    assert trained.torch_draw is False


def test_few_values_of_two_possible_families_are_told_apart_by_their_bits():
    layer = Layer("linear", (10, 30))
    for slug in ("xavier_uniform", "xavier_normal"):
        for seed in range(10):
            found = identify(drawn(Init(slug), layer, seed)[0], layer)
            assert found.family in ("cannot_tell", slug.removeprefix("xavier_"))
            assert not found.torch_draw or found.family != "cannot_tell"


def test_an_audit_tells_a_draw_from_what_moved_a_little_also_from_a_file(tmp_path):
    model = nn.Sequential(nn.Linear(96, 128), nn.ReLU(), nn.Linear(128, 96), nn.Linear(96, 64))
    for seed, layer in enumerate((model[0], model[2], model[3])):
        nn.init.kaiming_normal_(layer.weight, generator=torch.Generator().manual_seed(seed))
        nn.init.zeros_(layer.bias)
    before = tmp_path / "before.pt"
    torch.save(model.state_dict(), before)
    with torch.no_grad():
        model[0].weight += 1e-4 * torch.randn(
            model[0].weight.shape, generator=torch.Generator().manual_seed(9)
        )
    torch.save(model.state_dict(), tmp_path / "after.pt")
    for source in (model, model.state_dict(), tmp_path / "after.pt"):
        rows = {row.name: row for row in audit(source).tensors}
        draws = {name: row.study.identification.torch_draw for name, row in rows.items()}
        assert draws["0.weight"] is False
        assert draws["2.weight"]
        assert draws["3.weight"]
        assert rows["0.weight"].state == "at init"  # nothing else is trained: drawn elsewhere
    # Against where it came from, it has changed; by its law alone it would be a fresh draw.
    codes = {f.code: f.tensors for f in audit(model, against=before).findings}
    assert codes["changed"] == ("0.weight",)
    assert "not_loaded" not in codes
    # Among trained weights nobody can say whether it is.
    with torch.no_grad():
        model[2].weight += 3 * torch.outer(torch.ones(96), torch.linspace(-1, 1, 128)) / 96
    rows = {row.name: row for row in audit(model).tensors}
    assert rows["2.weight"].state == "trained"
    assert rows["0.weight"].state == "unknown"
    assert rows["3.weight"].state == "at init"


def test_an_audit_says_what_a_gpu_drew():
    state = {
        "0.weight": cuda_uniform((128, 96), -1 / math.sqrt(96), 1 / math.sqrt(96)),
        "2.weight": cuda_normal((700, 512), 0.02, 108 * 2048),
        "4.weight": cuda_normal((64, 64), 0.02, 108 * 2048),
    }
    assert "3 at initialisation (2 of them drawn by torch on a GPU, 1 there or elsewhere, or" in (
        audit(state).sentence
    )
    del state["0.weight"], state["2.weight"]
    assert "1 at initialisation (drawn elsewhere than by torch on a CPU, or" in (
        audit(state).sentence
    )
