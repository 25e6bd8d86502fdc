"""The ratio decoder: every cause is found again in tensors that it scaled, at several shapes."""

import math

import pytest
import torch

from initcore.checkpoint import entries
from initcore.identify import identify
from initcore.laws import Normal, TruncatedNormal, Uniform
from initcore.ratios import CAUSES, TRUNCATED, Case, decode, decode_together
from initcore.roles import Dims, places

DIMS = Dims(d=96, L=6, heads=6, head_dim=16, ff=256, vocab=500)


def place_of(name, shape):
    [place] = places({name: (shape, "float32")})
    return place


# Where each cause can happen: (name, shape) of a tensor that has the sizes it speaks of.
ATTENTION = ("h.{}.attn.q_proj.weight", (96, 96))
OUT = ("h.{}.mlp.down_proj.weight", (96, 256))
WIDE = ("h.{}.mlp.up_proj.weight", (256, 96))
CONV = ("net.conv.weight", (64, 32, 3, 3))
GROUPED = ("blocks.0.dwconv.weight", (48, 1, 7, 7))
EXPERTS = ("layers.0.experts.down_proj", (4, 64, 80))
WHERE = {
    "packed_qkv": ("h.{}.attn.qkv_proj.weight", (288, 96)),
    "embedding_scale": ("lm_head.weight", (500, 96)),
    "head_scale": ("wte.weight", (500, 96)),
    "all_groups": GROUPED,
    "one_group": GROUPED,
    "kernel_left_out": CONV,
    "kernel_twice": CONV,
    "stored_shape": EXPERTS,
    "fan_of_a_head": ATTENTION,
    "head_dim_left_out": ATTENTION,
    "head_dim_extra": ATTENTION,
    "fan_out_for_fan_in": WIDE,
    "fan_in_for_fan_out": WIDE,
}
EXPECTED = {
    "cut_absent": lambda std: TruncatedNormal(0.0, std, -2 * std, 2 * std),
    "std_as_bound": lambda std: Normal(0.0, std),
    "torch_default": lambda std: Normal(0.0, std),
}


def case_of(cause, depth=2, std=0.0137):
    name, shape = WHERE.get(cause.slug, OUT)
    law = EXPECTED.get(cause.slug, lambda s: Normal(0.0, s))(std)
    family = cause.families[0] if cause.families else "normal"
    return Case(place_of(name.format(depth), shape), DIMS, law, family)


def named(ratio, error, case):
    return {match.cause.slug for match in decode(ratio, error, case)}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.slug)
@pytest.mark.parametrize("depth", [0, 2, 4])
def test_every_cause_is_named_for_the_ratio_it_leaves(cause, depth):
    case = case_of(cause, depth)
    ratio = cause.ratio(case)
    if (cause.slug, depth) == ("depth_index_low", 0):  # it would divide by 0
        assert math.isnan(ratio)
        assert cause.slug not in named(2.0, 1.0, case)
        return
    assert math.isfinite(ratio)
    assert abs(math.log(ratio)) > 0.05
    for error in (0.0, 0.001, 0.005):
        assert cause.slug in named(ratio, error, case)
    assert cause.slug not in named(1.03 * ratio, 0.001, case)
    assert cause.slug not in named(ratio / 1.03, 0.001, case)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.slug)
@pytest.mark.parametrize("seed", range(3))
def test_every_cause_is_recovered_from_a_tensor_that_it_scaled(cause, seed):
    case = case_of(cause, depth=1 + seed, std=[0.0137, 0.05, 0.3][seed])
    std = cause.ratio(case) * case.expected.std
    generator = torch.Generator().manual_seed(seed)
    tensor = torch.empty(case.place.shape)
    if case.family == "uniform":
        tensor.uniform_(-math.sqrt(3) * std, math.sqrt(3) * std, generator=generator)
    elif case.family == "truncated_normal":
        scale = std / TRUNCATED
        torch.nn.init.trunc_normal_(tensor, 0, scale, -2 * scale, 2 * scale, generator=generator)
    else:
        tensor.normal_(0, std, generator=generator)
    found = identify(tensor)
    assert found.family == case.family or found.family == "cannot_tell"
    error = math.sqrt(0.5 / tensor.numel())
    ratio = found.measurement.std / case.expected.std
    assert cause.slug in named(ratio, error, Case(case.place, DIMS, case.expected, found.family))


SQUARE_ROOT_OF_TWO = {"relu_gain", "two_over_root", "depth_halved"}


def test_causes_that_leave_one_ratio_are_all_named():
    case = case_of(next(cause for cause in CAUSES if cause.slug == "relu_gain"))
    assert named(math.sqrt(2), 1e-3, case) >= SQUARE_ROOT_OF_TWO
    # The cause of another family is not.
    uniform = Case(case.place, DIMS, case.expected, "uniform")
    assert "two_over_root" not in named(math.sqrt(2), 1e-3, uniform)
    assert "relu_gain" in named(math.sqrt(2), 1e-3, uniform)
    # A family that cannot be told excludes none.
    assert named(math.sqrt(2), 1e-3, Case(case.place, DIMS, case.expected, "cannot_tell")) >= (
        SQUARE_ROOT_OF_TWO
    )


def test_a_packed_square_matrix_leaves_the_root_of_two():
    case = case_of(next(cause for cause in CAUSES if cause.slug == "packed_qkv"))
    assert named(1 / math.sqrt(2), 1e-3, case) >= {"packed_qkv", "no_relu_gain"}


@pytest.mark.parametrize("blocks", [3, 6, 12])
@pytest.mark.parametrize(
    ("slug", "ratio"),
    [
        ("depth_missing", lambda depth, n: math.sqrt(2 * n)),
        ("depth_index_missing", lambda depth, n: math.sqrt(2 * (depth + 1))),
        ("depth_total_for_index", lambda depth, n: math.sqrt((depth + 1) / n)),
        ("depth_index_for_total", lambda depth, n: math.sqrt(n / (depth + 1))),
    ],
)
def test_all_blocks_together_tell_depth_laws_apart(blocks, slug, ratio):
    dims = Dims(d=96, L=blocks)
    name, shape = OUT
    seen = []
    for depth in range(blocks):
        if depth == blocks - 1 and slug in ("depth_total_for_index", "depth_index_for_total"):
            continue  # the last block has the same scale by both laws
        case = Case(place_of(name.format(depth), shape), dims, Normal(0, 0.0137), "normal")
        seen.append((ratio(depth, blocks), 0.002, case))
    assert [cause.slug for cause in decode_together(seen)] == [slug]


def test_no_cause_for_a_ratio_of_one_nor_for_none():
    case = case_of(CAUSES[0])
    for ratio in (1.0, 1.004, 0.0, math.nan, -1.0):
        assert decode(ratio, 0.001, case) == ()
    assert decode_together([]) == ()


def test_the_fans_of_a_square_matrix_cannot_be_swapped():
    square = Case(place_of("h.0.mlp.up_proj.weight", (96, 96)), DIMS, Normal(0, 0.1), "normal")
    for cause in CAUSES:
        if "fan" in cause.slug and "head" not in cause.slug:
            assert math.isnan(cause.ratio(square)), cause.slug


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 256), (256, 64), (100, 30)])
def test_a_transposed_matrix_is_named(inputs, outputs):
    place = place_of("net.fc.weight", (outputs, inputs))
    case = Case(place, Dims(), Normal(0, math.sqrt(1 / inputs)), "normal")
    found = decode(math.sqrt(inputs / outputs), 1e-3, case)
    assert "fan_out_for_fan_in" in [match.cause.slug for match in found]
    assert "transposed" in found[0].cause.sentence


def test_torchs_default_is_named_for_what_it_is():
    for module in (
        torch.nn.Linear(70, 40),
        torch.nn.Conv2d(16, 24, 3, groups=2),
        torch.nn.LSTM(30, 50),
        torch.nn.MultiheadAttention(32, 4),
    ):
        for place, entry in zip(places(module), entries(module), strict=True):
            tensor = entry.values.read(0, entry.count)
            if not tensor.std():
                continue
            case = Case(place, Dims(), Uniform(-0.3, 0.3), "uniform")
            error = math.sqrt(0.2 / entry.count)
            assert "torch_default" in named(float(tensor.std()) / 0.3 * math.sqrt(3), error, case)


def test_records_are_complete():
    assert len({cause.slug for cause in CAUSES}) == len(CAUSES)
    for cause in CAUSES:
        assert (
            cause.sentence[0].islower()
            or cause.sentence[0].isdigit()
            or (cause.sentence.startswith(("He", "SELU")))
        )
        assert not cause.sentence.endswith(".")
        assert cause.mend
