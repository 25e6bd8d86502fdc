"""The audit: faults are found with their cause, what is right is left alone, on any executor."""

import json
import math
import pickle
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from initcore import survey as survey_module
from initcore.audit import assert_init, audit
from initcore.checkpoint import entries
from initcore.checks import CHECKS
from initcore.draw import torch_seeded
from initcore.errors import InitError
from initcore.findings import CODES, SEVERITIES
from initcore.laws import number
from initcore.measure import measure
from initcore.models import build_model
from initcore.recipes import RECIPES, apply_recipe, parse_recipe
from initcore.survey import _spikes, survey
from tests.initcore.families import FAMILIES, SIZES
from tests.initcore.odd import tensors

D, L, VOCAB = 64, 4, 300


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gpt(seed=0, **stds):
    """A GPT-style state dict of N(0, .02²), with depth scaling; ``stds`` by the end of a name."""
    g = generator(seed)
    shapes = {"wte": (VOCAB, D), "wpe": (32, D)}
    for i in range(L):
        shapes |= {
            f"h.{i}.attn.qkv_proj": (3 * D, D),
            f"h.{i}.attn.out_proj": (D, D),
            f"h.{i}.mlp.up_proj": (4 * D, D),
            f"h.{i}.mlp.down_proj": (D, 4 * D),
        }
    state = {}
    for name, shape in shapes.items():
        std = 0.02 / math.sqrt(2 * L) if name.endswith(("out_proj", "down_proj")) else 0.02
        std = next((value for end, value in stds.items() if name.endswith(end)), std)
        state[f"{name}.weight"] = torch.empty(shape).normal_(0, std, generator=g)
        if name.startswith("h."):
            state[f"{name}.bias"] = torch.zeros(shape[0])
    for i in range(L):
        state |= {f"h.{i}.ln_1.weight": torch.ones(D), f"h.{i}.ln_1.bias": torch.zeros(D)}
    return state


def codes(result, severity=None):
    return sorted({f.code for f in result.findings if severity in (None, f.severity)})


def only(result, code):
    [found] = [finding for finding in result.findings if finding.code == code]
    return found


# --- nothing amiss ------------------------------------------------------------------------------


SMALL = {
    "mlp": {"inputs": 50, "width": 48, "depth": 3},
    "cnn": {"width": 8, "blocks": 1, "groups": 2},
    "lstm": {"vocab": 100, "width": 32, "hidden": 40},
    "encoder": {"vocab": 100, "width": 32, "ff": 64, "blocks": 2},
    "gpt": {"vocab": 100, "width": 48, "blocks": 3},
    "vit": {"image": 16, "width": 48, "blocks": 3},
}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.slug)
def test_no_false_alarm_on_correct_instances_of_recipes(recipe):
    for seed, (slug, sizes) in enumerate(SMALL.items()):
        module = build_model(slug, seed=seed, **sizes)
        filled = apply_recipe(module, recipe, seed + 100)
        if not filled:
            continue
        found = [f for f in audit(module, recipe).findings if f.severity == "error"]
        # The layers of torch's encoder are copies, where the recipe leaves any of them be.
        assert [f for f in found if f.code != "identical"] == []


@pytest.mark.parametrize("slug", SMALL)
def test_built_in_models_are_as_their_recipes_have_them(slug):
    for seed in range(3):
        result = audit(build_model(slug, seed=seed, **SMALL[slug]), "auto")
        assert codes(result, "error") == (["identical"] if slug == "encoder" else [])
        assert result.trained == 0
        assert result.chosen[0].share > 0.98


def test_the_recipe_that_fits_is_chosen():
    result = audit(gpt(), "auto")
    assert result.recipe.slug == "nanogpt"
    assert result.chosen[0].share == 1
    assert result.chosen[0].agreeing == result.chosen[0].tensors == len(gpt())
    assert "nanoGPT" in result.sentence
    assert result.chosen[0].share == max(fit.share for fit in result.chosen)


def test_a_deviation_from_a_guessed_recipe_is_an_error_only_beside_its_like():
    one, all_blocks = gpt(), gpt()
    one["h.1.mlp.up_proj.weight"] *= 3
    for i in range(L):
        all_blocks[f"h.{i}.mlp.up_proj.weight"] *= 3
    for state, severity in ((one, "error"), (all_blocks, "warning")):
        guessed, named = audit(state, "auto"), audit(state, "nanogpt")
        assert guessed.recipe == named.recipe
        assert only(named, "scale").severity == "error"
        assert only(guessed, "scale") == replace(only(named, "scale"), severity=severity)
    for i in range(L):  # a fifth of all tensors: the recipe may not be meant at all
        one[f"h.{i}.attn.qkv_proj.bias"] += 1
        one[f"h.{i}.mlp.down_proj.bias"] += 1
    guessed = audit(one, "auto")
    assert guessed.recipe.slug == "nanogpt"
    assert codes(guessed, "error") == []


@pytest.mark.parametrize("name", ["transformers", "gemma"])
def test_the_usual_default_of_transformers_is_recognised(name):
    with torch_seeded(0):
        model = FAMILIES[name][0](SIZES[1])
    result = audit(model, "auto")
    assert result.recipe.slug == "transformers"
    assert result.chosen[0].share == 1


def test_where_no_recipe_fits_that_is_said():
    result = audit({"fc.weight": 7 * torch.randn(50, 50, generator=generator())}, "auto")
    assert result.recipe is None
    assert "no_recipe" in codes(result, "info")


# --- against a recipe ---------------------------------------------------------------------------


def test_missing_depth_scaling_is_one_finding_of_all_blocks():
    result = audit(gpt(out_proj=0.02, down_proj=0.02), "nanogpt")
    found = [f for f in result.findings if f.severity == "error"]
    assert [f.code for f in found] == ["scale"]
    assert len(found[0].tensors) == 2 * L  # attention and feed-forward
    assert "1/√(2L) was never applied" in found[0].cause
    assert "2.8" in found[0].evidence
    assert "√(2L)" in found[0].fix
    assert codes(audit(gpt(out_proj=0.02, down_proj=0.02), "gpt2"), "error") == ["scale"]  # wpe


def test_a_wrong_fan_is_named():
    state = {
        "net.0.weight": torch.empty(300, 100).normal_(0, math.sqrt(2 / 300), generator=generator())
    }
    recipe = parse_recipe(
        '[[rule]]\nrole = "linear"\nlaw = "kaiming_normal"\nnonlinearity = "relu"', "he"
    )
    finding = only(audit(state, recipe), "scale")
    assert "transposed" in finding.cause
    assert finding.tensors == ("net.0.weight",)


def test_parts_of_a_packed_tensor_are_judged_on_their_own():
    state = gpt()
    state["h.1.attn.qkv_proj.weight"][D : 2 * D] *= 2
    finding = only(audit(state, "nanogpt"), "scale")
    assert finding.tensors == ("h.1.attn.qkv_proj.weight",)
    assert "[k]" in finding.evidence
    assert "q" not in finding.evidence.partition("[")[2][:2]
    assert "k: std" in only(audit(state), "blocks").evidence


def test_the_forget_bias_of_both_biases():
    def lstm(biases):
        module = nn.LSTM(16, 40)
        for name, parameter in module.named_parameters():
            if "bias" in name:
                nn.init.zeros_(parameter)
                if name in biases:
                    nn.init.ones_(parameter[40:80])
        return module

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        right, wrong = lstm(["bias_hh_l0"]), lstm(["bias_hh_l0", "bias_ih_l0"])
    rule = '[[rule]]\nrole = "recurrent_bias"\n'
    recipe = parse_recipe(
        rule + 'name = ".*bias_hh.*"\nblock = "f"\nlaw = "ones"\n' + rule + 'law = "zeros"', "lstm"
    )
    assert codes(audit(right, recipe), "error") == []
    assert only(audit(wrong, recipe), "value").tensors == ("bias_ih_l0",)
    # By principle, without a recipe:
    assert codes(audit(right)) == []
    assert "1 + 1 = 2" in only(audit(wrong), "forget_bias").evidence


def test_the_right_scale_of_the_wrong_family_is_a_warning():
    bound = 0.02 * math.sqrt(3)
    state = {"fc.weight": torch.empty(100, 100).uniform_(-bound, bound, generator=generator())}
    assert codes(audit(state, "gpt2"), "error") == []
    assert "uniform" in only(audit(state, "gpt2"), "law").cause


def test_a_mean_and_constants():
    state = gpt()
    state["h.0.mlp.up_proj.weight"] += 0.01
    state["h.0.mlp.up_proj.bias"] += 1
    result = audit(state, "nanogpt")
    assert only(result, "mean").tensors == ("h.0.mlp.up_proj.weight",)
    assert only(result, "value").tensors == ("h.0.mlp.up_proj.bias",)


def test_a_recipe_has_little_to_say_of_trained_tensors():
    state = gpt()
    for name, tensor in state.items():
        if tensor.dim() > 1:
            rows = torch.linspace(0.2, 3, len(tensor))[:, None]
            state[name] = tensor * rows + 0.02 * rows.flip(0)
    result = audit(state, "nanogpt")
    assert codes(result) == ["trained"]
    assert result.trained == 2 + 4 * L
    with pytest.raises(AssertionError, match="trained"):
        assert_init(state, "nanogpt")


def test_assert_init_passes_or_fails_with_the_table():
    assert_init(gpt(), "nanogpt")
    with pytest.raises(AssertionError) as error:
        assert_init(gpt(up_proj=0.2, wpe=1.0), "nanogpt")
    lines = str(error.value).splitlines()
    assert lines[0].startswith("2 findings against")
    assert any("h.0.mlp.up_proj.weight" in line and "ten times" in line for line in lines)
    assert any("wpe.weight" in line for line in lines)
    with pytest.raises(InitError, match="not one of"):
        assert_init(gpt(), "no such recipe")


# --- by principle -------------------------------------------------------------------------------


def test_copies_of_one_layer_and_other_copies():
    state = gpt()
    state["h.1.mlp.up_proj.weight"] = state["h.0.mlp.up_proj.weight"].clone()
    finding = only(audit(state), "identical")
    assert finding.tensors == ("h.0.mlp.up_proj.weight", "h.1.mlp.up_proj.weight")
    assert "layers start equal" in finding.cause

    state = gpt()
    state["h.2.attn.out_proj.weight"] = -state["h.0.attn.out_proj.weight"]
    assert codes(audit(state), "error") == ["flipped"]

    state = gpt()
    state["h.2.mlp.up_proj.weight"] = 3 * state["h.0.mlp.up_proj.weight"]
    assert only(audit(state), "same_draw").tensors == (
        "h.0.mlp.up_proj.weight",
        "h.2.mlp.up_proj.weight",
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_one_seed_for_tensors_of_several_shapes_and_scales(dtype):
    state = {
        name: torch.empty(shape, dtype=torch.float64).normal_(0, std, generator=generator(7))
        for name, shape, std in (("a", (40, 50), 0.02), ("b", (60, 50), 0.5))
    }
    state["c"] = torch.empty(40, 50).normal_(0, 0.1, generator=generator(8))
    result = audit({name: tensor.to(dtype) for name, tensor in state.items()})
    assert only(result, "same_draw").tensors == ("a", "b")


def test_a_last_bit_makes_two_tensors_different():
    a = torch.randn(500, 500, generator=generator())
    b = a.clone()
    b[-1, -1] = torch.nextafter(b[-1, -1], torch.tensor(9.0))
    result = audit({"x.a.weight": a, "x.b.weight": b, "x.c.weight": a.clone()})
    assert only(result, "identical").tensors == ("x.a.weight", "x.c.weight")
    assert "x.b.weight" in only(result, "same_draw").tensors


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_compared(bad):
    weight = torch.randn(32, 32, generator=generator())
    weight[0, 3] = bad
    assert codes(audit({"fc1.weight": weight, "fc2.weight": 2 * weight})) == ["garbage"]


def test_tied_tensors_are_no_fault(tmp_path):
    state = gpt()
    state["lm_head.weight"] = state["wte.weight"]
    result = audit(state)
    assert codes(result) == ["tied"]
    assert result.parameters == audit(gpt()).parameters
    row = result.tensors[-1]
    assert (row.study.tied, row.study.measurement) == (
        "wte.weight",
        result.tensors[0].study.measurement,
    )
    save_file({name: t.clone() for name, t in state.items()}, tmp_path / "saved_twice.safetensors")
    assert codes(audit(tmp_path / "saved_twice.safetensors")) == ["tied"]


def test_a_target_network_is_a_copy_on_purpose():
    state = gpt()
    state |= {f"ema.{name}": tensor.clone() for name, tensor in state.items()}
    assert codes(audit(state)) == ["copies"]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("copies", [2, 4])
def test_shards_of_one_seed(axis, copies):
    shard = torch.randn(64, 96, generator=generator())
    finding = only(audit({"layers.0.proj.weight": torch.cat([shard] * copies, axis)}), "rows")
    lag = shard.shape[axis]
    assert f"blocks of {lag}" in finding.cause
    assert "seed" in finding.cause
    assert f"{copies} copies" in finding.evidence


def test_padding_and_copied_rows_are_no_shards():
    table = torch.randn(200, 32, generator=generator())
    table[:5] = 0
    assert "rows" not in codes(audit({"embed.weight": table}))
    table[7], table[9] = table[6], table[6]
    result = audit({"embed.weight": table})
    assert codes(result, "error") == []
    assert "2 of 200 rows equal an earlier one" in only(result, "rows_few").evidence


@pytest.mark.parametrize("role", ["embed_tokens", "lm_head"])
def test_appended_rows_of_another_scale(role):
    table = torch.randn(500, 64, generator=generator()) * 0.02
    assert codes(audit({f"{role}.weight": table})) == []
    table[470:] *= 50
    finding = only(audit({f"{role}.weight": table}), "appended")
    assert "rows 470 to 499: std 0.99" in finding.evidence
    [scale] = [f for f in audit({f"{role}.weight": table}, "gpt2").findings if f.code == "scale"]
    assert "rows 470 to 499" in scale.evidence


def test_rows_that_training_moved_more_than_others_were_not_added():
    signs = torch.randn(10, generator=generator(1)).sign()
    head = 0.02 * torch.outer(signs, torch.randn(32, generator=generator(3)))
    head += 0.02 * torch.randn(10, 32, generator=generator(2))
    head[8:] *= 3
    study = audit({"head.weight": head}).tensors[0].study
    assert len(study.segments) == 2
    assert "appended" not in codes(audit({"head.weight": head}))


def test_the_first_row_is_no_run_by_itself():
    table = torch.randn(500, 256, generator=generator()) * 0.02
    table[0] *= 0.1  # a padding that its tie to the head has moved
    assert "appended" not in codes(audit({"embed_tokens.weight": table}))
    table[470:] *= 50
    evidence = only(audit({"embed_tokens.weight": table}), "appended").evidence
    assert evidence.startswith("rows 0 to 469: ")


@pytest.mark.parametrize("tied", [False, True])
def test_a_row_of_padding_gets_a_gradient_from_a_head_that_shares_it(tied):
    model = nn.Module()
    model.embed_tokens = nn.Embedding(500, 64, padding_idx=3)
    model.lm_head = nn.Linear(64, 500, bias=False)
    for table in (model.embed_tokens, model.lm_head):
        nn.init.normal_(table.weight, std=0.02)
    if tied:
        model.lm_head.weight = model.embed_tokens.weight
    assert ("padding" in codes(audit(model))) is not tied


def test_zeros_that_are_meant_are_left_alone():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        module = nn.ModuleDict(
            {
                "conv": nn.Conv2d(3, 16, 3),
                "bn1": nn.BatchNorm2d(16),
                "head": nn.Linear(16, 10),
                "lora_A": nn.Linear(32, 4, bias=False),
                "lora_B": nn.Linear(4, 32, bias=False),
            }
        )
        nn.init.zeros_(module["bn1"].weight)
        nn.init.zeros_(module["head"].weight)
        nn.init.zeros_(module["lora_B"].weight)
    assert codes(audit(module)) == []


@pytest.mark.parametrize("pair", [("up_proj", "down_proj")])
def test_zeros_that_no_gradient_reaches(pair):
    one = audit(gpt(**{pair[0]: 0.0}))
    assert "dead" not in codes(one)
    both = audit(gpt(**dict.fromkeys(pair, 0.0)))
    assert len(only(both, "dead").tensors) == 2 * L
    lora = {"fc.lora_A.weight": torch.zeros(4, 32), "fc.lora_B.weight": torch.zeros(32, 4)}
    assert codes(audit(lora), "error") == ["dead"]


def test_a_weight_of_one_value():
    state = gpt()
    state["h.0.mlp.up_proj.weight"].fill_(0.1)
    assert codes(audit(state), "error") == ["constant"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])
def test_garbage(bad):
    state = gpt()
    state["h.0.mlp.up_proj.weight"][3, 5] = bad
    assert only(audit(state), "garbage").tensors == ("h.0.mlp.up_proj.weight",)
    huge = {"fc.weight": torch.full((9, 9), 1e200, dtype=torch.float64)}
    huge["fc.weight"][0, 0] = 1
    assert codes(audit(huge), "error") == ["garbage"]


@pytest.mark.parametrize(
    "held",
    [torch.Tensor.float, torch.Tensor.bfloat16, lambda values: values.bfloat16().float()],
    ids=["float32", "bfloat16", "bfloat16 in float32"],
)
def test_a_truncation_that_clamps_leaves_spikes(held):
    values = torch.empty(200, 300).normal_(0, 0.02, generator=generator())
    uniform = torch.empty(512, 512).uniform_(-0.0357, 0.0357, generator=generator())
    fresh = {"layers.0.proj.weight": held(values), "layers.0.up.weight": held(uniform)}
    assert "spikes" not in codes(audit(fresh))
    clamped = {"layers.0.proj.weight": held(values.clamp(-0.04, 0.04))}
    assert "clamped" in only(audit(clamped), "spikes").cause
    # Of what is no draw, as running statistics are, that is no fault.
    state = {f"layers.0.norm.{name}": torch.ones(60_000) for name in ("weight", "running_var")}
    state["layers.0.norm.running_mean"] = clamped["layers.0.proj.weight"].flatten()
    assert "spikes" not in codes(audit(state))


def test_a_stray_bound_is_a_finding_and_the_law_is_judged_without_it():
    state = gpt()
    state["h.1.mlp.up_proj.weight"].view(-1)[7] = -2.0
    result = audit(state, "nanogpt")
    assert codes(result, "error") == []
    found = only(result, "strays")
    assert found.tensors == ("h.1.mlp.up_proj.weight",)
    assert "at −2" in found.evidence
    assert result.trained == 0


def test_a_buffer_that_was_computed_is_not_trained():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 64)
            self.register_buffer("mask", torch.arange(64.0).outer(torch.arange(64.0)))

    result = audit(Masked())
    assert result.trained == 0
    assert {row.name: row.state for row in result.tensors}["mask"] == "unknown"


def test_what_is_computed_and_reaches_its_ends_often_is_not_clamped():
    angles = torch.arange(256.0)[:, None] * torch.logspace(0, -4, 128)
    sines = torch.cat([angles.sin(), angles.cos()], 1)
    rotary = nn.Module()
    rotary.register_buffer("table", sines)
    assert _spikes(measure(sines)) != (0, 0)
    for source in (rotary, {"embed_positions.weight": sines}):
        assert codes(audit(source)) == []
    # An encoder and a decoder have the same.
    twice = {f"{one}.embed_positions.weight": sines.clone() for one in ("encoder", "decoder")}
    assert codes(audit(twice)) == []


POSITIONS = """
[[rule]]
role = "positions"
law = "normal"
std = "0.02"
"""


def test_sinusoidal_positions_are_at_init_and_never_late():
    angles = torch.arange(256.0)[:, None] * torch.logspace(0, -4, 16)
    state = gpt() | {"embed_positions.weight": torch.cat([angles.sin(), angles.cos()], 1)}
    result = audit(state)
    assert codes(result) == codes(audit(gpt()))
    assert {row.name: row.state for row in result.tensors}["embed_positions.weight"] == "at init"
    trained = {name: t + 0.1 * t.roll(1, 0).abs() for name, t in gpt().items()}
    [fresh] = [f.tensors for f in audit(state | trained).findings if f.code == "fresh"] or [()]
    assert "embed_positions.weight" not in fresh
    law = only(audit(state, parse_recipe(POSITIONS, "own.toml")), "law")
    assert law.tensors == ("embed_positions.weight",)
    assert law.cause == "the values are sinusoidal, not N(0, 0.02²)"
    assert law.severity == "warning"
    angles = torch.arange(32.0)[:, None] * torch.logspace(0, -4, D // 2)
    computed = gpt() | {"wpe.weight": torch.cat([angles.sin(), angles.cos()], 1)}
    assert codes(audit(computed, "nanogpt"), "warning") == ["law"]
    guessed = audit(computed, "auto")
    assert guessed.recipe.slug == "nanogpt"
    assert codes(guessed, "error") == codes(guessed, "warning") == []


def test_a_buffer_or_a_single_number_may_be_infinite():
    class Masked(nn.BatchNorm1d):
        def __init__(self):
            super().__init__(64)
            self.register_buffer("mask", torch.full((8, 8), -math.inf).triu(1))
            self.register_buffer("limit", torch.tensor(1e10))

    module = Masked()
    assert codes(audit(module)) == []
    assert "not to be told" not in audit(module).sentence
    assert codes(audit({"clip.input_max": torch.tensor(math.inf)})) == []
    assert codes(audit({"logit_scale": torch.tensor(math.nan)}), "error") == ["garbage"]
    module.running_var[3] = math.nan
    assert only(audit(module), "garbage").tensors == ("running_var",)


def test_zero_branches_beside_each_other_are_not_dead():
    state = {"attn.offsets.weight": torch.zeros(96, 64), "attn.weights.weight": torch.zeros(48, 64)}
    assert codes(audit(state), "error") == []
    state["attn.weights.weight"] = torch.zeros(48, 96)  # it reads what the offsets give
    assert codes(audit(state), "error") == ["dead"]
    vectors = {name: torch.zeros(1, 1, 64) for name in ("image.separator", "image.separator_2")}
    assert codes(audit(vectors), "error") == []


def test_equal_values_that_return_are_no_draw():
    grid = torch.arange(1.0, 13.0).repeat(8)  # of offsets, in every layer
    ramp = torch.linspace(0.0, 1.0, 96)  # as RWKV mixes a token with the one before
    for values in (grid, ramp):
        state = {f"layers.{i}.attn.offsets.bias": values.clone() for i in range(2)}
        assert codes(audit(state), "error") == []
    drawn = torch.empty(256).normal_(generator=generator())
    assert codes(audit({k: drawn.clone() for k in state}), "error") == ["identical"]


def test_biases_that_are_added_to_one_sum_stay_equal_in_training():
    torch.manual_seed(0)
    one, two, head = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)
    for layer in (one, two):
        nn.init.zeros_(layer.bias)
    module = nn.ModuleDict({"conv": one, "downsample": two, "head": head})
    stepper = torch.optim.SGD(module.parameters(), lr=0.1)
    x, y = torch.randn(64, 16), torch.randint(4, (64,))
    for _ in range(20):
        stepper.zero_grad()
        nn.functional.cross_entropy(head((one(x) + two(x)).relu()), y).backward()
        stepper.step()
    assert torch.equal(one.bias, two.bias)
    assert len(one.bias.unique()) > 16
    assert codes(audit(module)) == []
    two.weight.data.copy_(one.weight.data)
    assert codes(audit(module), "error") == ["identical"]


def test_learned_tokens_are_no_matrix_but_equal_ones_stay_equal():
    drawn = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    assert codes(audit({"resampler.latents_2d": drawn})) == []
    assert codes(audit({"resampler.latents": torch.ones(64, 256)}), "error") == ["constant"]
    assert codes(audit({"cls_token": torch.ones(1, 1, 256)})) == []


@pytest.mark.parametrize("name", ["alpha", "scale", "blocks.0.gamma_2", "a.randlora_gamma.default"])
def test_what_multiplies_a_branch_may_be_constant(name):
    assert codes(audit({name: torch.full((4, 64), 1e-4)}), "error") == []
    for matrix in ("proj.weight", "alpha.weight"):
        assert codes(audit({matrix: torch.full((4, 64), 1e-4)}), "error") == ["constant"]


def test_reflections_that_cancel_begin_as_equal_pairs():
    half = torch.empty(64, 4).uniform_(-0.1, 0.1, generator=generator())
    pairs = half.repeat_interleave(2, dim=1)
    assert codes(audit({"layer.hra_u.default": pairs})) == []
    assert codes(audit({"layer.weight": pairs}), "error") == ["rows"]


def test_equal_rows_of_values_in_order_are_set_on_purpose():
    steps = torch.arange(1.0, 17.0).log()
    assert codes(audit({"mixer.A_log": steps.repeat(64, 1)}), "error") == []
    shuffled = steps[torch.randperm(16, generator=generator())]
    assert codes(audit({"mixer.weight": shuffled.repeat(64, 1)}), "error") == ["rows"]


def test_packed_projections_of_torch():
    finding = only(audit(nn.MultiheadAttention(64, 4)), "packed")
    assert finding.severity == "warning"
    assert "1/1.414" in finding.evidence


@pytest.mark.parametrize("groups", [4, 32])
def test_fans_that_count_all_groups(groups):
    conv = nn.Conv2d(32, 64, 3, groups=groups)
    fan = 64 * 9  # fan_out as torch counts it
    nn.init.normal_(conv.weight, 0, math.sqrt(2 / fan), generator=generator())
    finding = only(audit(conv), "fans")
    assert "counts all groups" in finding.cause
    assert "He's fan_out" in finding.evidence
    assert f"1/√{groups}" in finding.evidence
    nn.init.normal_(conv.weight, 0, math.sqrt(2 / fan * groups), generator=generator())
    assert codes(audit(conv)) == []


# What people write, and what it should have been: the finding, and a part of its cause.
SLIPS = {
    "normal_(w, 0.02)": (lambda w: w.normal_(0.02), "large", "sets the mean"),
    "randn": (lambda w: w.normal_(), "large", "randn"),
    "a uniform of ±3": (lambda w: w.uniform_(-3, 3), "large", "knows no fan"),
    "rand": (lambda w: w.uniform_(), "offset", "rand"),
    "uniform_(w, 0.1)": (lambda w: w.uniform_(0.1), "offset", "low end"),
    "a mean": (lambda w: w.normal_(0.1, 0.1), "offset", "not centred"),
}


@pytest.mark.parametrize(("slip", "code", "cause"), SLIPS.values(), ids=SLIPS)
def test_scales_and_means_that_no_scheme_explains(slip, code, cause):
    model = nn.Sequential(nn.Linear(96, 128), nn.ReLU(), nn.Conv1d(128, 96, 3))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            slip(layer.weight)
    result = audit(model)
    assert codes(result) == [code]
    assert only(result, code).severity == "warning"
    assert only(result, code).tensors == ("0.weight", "2.weight")
    assert cause in only(result, code).cause
    with torch.no_grad():
        for layer in (model[0], model[2]):
            nn.init.kaiming_normal_(layer.weight)
    assert not audit(model).findings


def test_the_inputs_decide_what_is_too_large():
    wide, narrow = nn.Linear(900, 100, bias=False), nn.Linear(100, 900, bias=False)
    for layer in (wide, narrow):
        nn.init.normal_(layer.weight, std=0.3)
    assert audit(wide).findings[0].code == "large"
    factor = number(float(wide.weight.detach().std()) * math.sqrt(900))
    assert factor in audit(wide).findings[0].evidence
    assert not audit(narrow).findings
    groups = nn.Conv1d(900, 900, 1, groups=9, bias=False)  # of 100 inputs each
    nn.init.normal_(groups.weight, std=0.3)
    assert "large" not in codes(audit(groups))
    reducing = nn.Linear(4000, 100, bias=False)  # by √80, but whoever wrote this knows a fan
    nn.init.kaiming_normal_(reducing.weight, mode="fan_out")
    assert not audit(reducing).findings


def test_the_mean_is_weighed_against_what_chance_leaves():
    layer = nn.Linear(100, 400, bias=False)
    largest = 0.05 * (10 + 20)  # of what is drawn about the mean, by Marchenko and Pastur
    for factor, told in ((1.5, False), (2.5, True)):
        nn.init.normal_(layer.weight, factor * largest / (10 * 20), 0.05)
        top, second = torch.linalg.svdvals(layer.weight.detach())[:2].tolist()
        assert (top > 2 * second) is told
        assert ("offset" in codes(audit(layer))) is told


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        (lambda w: w.normal_(0, 0.02), True),
        (lambda w: w.uniform_(-0.1, 0.1), True),
        (lambda w: w.normal_(1, 0.02), False),  # as in DCGAN
        (lambda w: w.fill_(1), False),
        (lambda w: w.zero_(), False),
    ],
    ids=["normal", "uniform", "about one", "ones", "zeros"],
)
def test_a_norm_is_not_drawn_about_zero(fill, told):
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.Conv2d(64, 64, 3))
    with torch.no_grad():
        fill(model[1].weight)
    assert codes(audit(model)) == (["norm"] if told else [])


@pytest.mark.parametrize("recipe", ["auto", *(record.slug for record in RECIPES)])
def test_every_recipe_can_be_held_against_a_head_with_a_vector_of_its_own(recipe):
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(64, 50)
            self.logit_scale = nn.Parameter(torch.full((50,), 0.02))

    audit(nn.ModuleDict({"wte": nn.Embedding(50, 64), "lm_head": Scaled()}), recipe)


def test_a_norm_that_training_moves_from_zero_was_not_drawn():
    model = nn.Sequential(nn.Linear(8, 64), nn.LayerNorm(64))
    steps = torch.randint(-6, 7, (64,), generator=generator()) * 1e-3  # as AdamW takes them
    with torch.no_grad():
        model[1].weight.copy_(steps)  # 1 + weight is the scale, as in Gemma
    assert "norm" not in codes(audit(model))


def test_the_norms_of_a_trained_model_may_lie_anywhere():
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 64))
    with torch.no_grad():
        model[1].weight.normal_(0, 0.02)
        for layer in (model[0], model[2]):
            layer.weight += layer.weight[:1].sign() * layer.weight.std()
    assert "norm" not in codes(audit(model))


def test_a_default_that_was_never_replaced():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(*(nn.Linear(40, 40, bias=False) for _ in range(5)))
    assert codes(audit(module)) == []
    for layer in list(module)[:4]:
        nn.init.normal_(layer.weight, 0, 0.02, generator=generator(id(layer) % 1000))
    result = audit(module)
    assert only(result, "default").tensors == ("4.weight",)


def test_a_parameter_of_ones_own_has_no_default_to_replace():
    default, *others = (torch.empty(40, 40) for _ in range(5))
    nn.init.kaiming_uniform_(default, math.sqrt(5), generator=generator())
    state = {
        f"{i}.weight": t.normal_(0, 0.02, generator=generator(i)) for i, t in enumerate(others)
    }
    assert only(audit(state | {"4.weight": default}), "default").tensors == ("4.weight",)
    assert "default" not in codes(audit(state | {"q_proj.hada_w1_a": default}))


PARAMETRISATIONS = {
    "spectral": torch.nn.utils.parametrizations.spectral_norm,
    "orthogonal": torch.nn.utils.parametrizations.orthogonal,
    "lengths": torch.nn.utils.parametrizations.weight_norm,
}


@pytest.mark.parametrize("slug", PARAMETRISATIONS)
def test_what_a_parametrisation_keeps_is_no_weight(slug):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = (nn.Conv2d(16, 32, 3), nn.Linear(128, 64))
        module = nn.Sequential(*map(PARAMETRISATIONS[slug], layers))
    for source in (module, module.state_dict()):
        result = audit(source)
        assert codes(result) == []
        assert "elsewhere" not in result.sentence  # singular vectors are computed, not drawn


def test_the_old_spectral_norm_keeps_vectors_that_are_no_norm():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.utils.spectral_norm(nn.Conv2d(16, 32, 3))
    assert codes(audit(layer.state_dict())) == []


def test_rows_may_repeat_in_what_is_no_weight():
    rows = torch.randn(4, 1, 8, 8, generator=generator()).expand(4, 8, 8, 8)
    assert codes(audit({"table": rows.transpose(0, 1)})) == []
    assert codes(audit({"conv.weight": rows.transpose(0, 1)})) == ["rows"]


def test_one_block_that_differs_from_its_like():
    state = gpt()
    state["h.2.mlp.up_proj.weight"] *= 1.5
    finding = only(audit(state), "odd")
    assert finding.tensors == ("h.2.mlp.up_proj.weight",)


def test_fresh_weights_among_trained_ones():
    state = gpt()
    for i in range(L):
        for part in ("attn.qkv_proj", "attn.out_proj", "mlp.up_proj"):
            weight = state[f"h.{i}.{part}.weight"]
            weight += 0.05 * torch.outer(
                torch.randn(len(weight), generator=generator(i)),
                torch.randn(weight.shape[1], generator=generator(i + 9)),
            )
    finding = only(audit(state), "fresh")
    assert "h.0.mlp.down_proj.weight" in finding.tensors
    assert "h.0.mlp.up_proj.weight" not in finding.tensors


def moved(state, by=1.3e-3):
    """After a few steps of training: every value has moved, none far."""
    rng = np.random.default_rng(0)
    return {
        name: t
        + by * (t.std() if t.std() > 0 else 1) * torch.tensor(rng.normal(size=t.shape)).float()
        for name, t in state.items()
    }


def test_a_model_that_has_trained_a_little_is_trained_and_not_drawn_wrongly():
    state = {
        name: t
        for i in range(4)
        for name, t in {
            f"h.{i}.mlp.up_proj.weight": torch.randn(256, 64, generator=generator(i)) * 0.02,
            f"h.{i}.mlp.up_proj.bias": torch.zeros(256),
            f"h.{i}.norm.weight": torch.ones(64),
            f"h.{i}.norm.bias": torch.zeros(64),
        }.items()
    }
    assert codes(audit(state, "gpt2")) == []
    result = audit(moved(state), "gpt2")
    assert codes(result, "error") == codes(result, "warning") == []
    assert "4 of 4 norms have moved" in only(result, "trained").evidence
    with pytest.raises(AssertionError, match="trained"):
        assert_init(moved(state), "gpt2")
    # A part that training never used stays as it was.
    unused = {name: t for name, t in state.items() if name.startswith("h.0.")}
    result = audit(moved(state) | unused, "gpt2")
    assert codes(result, "error") == codes(result, "warning") == []
    assert "3 of 4 norms have moved" in only(result, "trained").evidence
    biases = {name: t for name, t in state.items() if "norm" not in name}
    evidence = only(audit(moved(biases), "gpt2"), "trained").evidence
    assert "4 of 4 tensors that begin constant no longer are" in evidence
    # Constants that were set, or drawn by a scheme, or beside weights that no step has touched, are
    # faults, and not training.
    constants = {name: t for name, t in moved(state).items() if not name.endswith("proj.weight")}
    assert codes(audit(state | constants, "gpt2"), "error") == ["value"]
    wrong = {k: torch.full_like(t, 0.1) if k.endswith("bias") else t for k, t in state.items()}
    assert codes(audit(wrong, "gpt2"), "error") == ["value"]
    g = generator(7)
    drawn = {
        k: torch.empty_like(t).uniform_(-0.125, 0.125, generator=g) if k.endswith("bias") else t
        for k, t in state.items()
    }
    assert codes(audit(drawn, "gpt2"), "error") == ["value"]


def test_large_weights_that_moved_a_little_are_not_called_fresh_among_trained_ones():
    big = torch.randn(1024, 512, generator=generator(1)) * 0.02
    column = torch.randn(512, 1, generator=generator(2))
    trained = {f"h.{i}.fc.weight": column @ column.T / 100 for i in range(2)}
    assert codes(audit(trained | {"h.2.fc.weight": big}), "warning") == ["fresh"]
    little = moved({"h.2.fc.weight": big})
    result = audit(trained | little)
    assert codes(result, "warning") == []
    assert {row.name: row.state for row in result.tensors}["h.2.fc.weight"] == "unknown"


def test_a_norms_scale_that_stood_still_among_others_is_no_stray():
    scales = 0.9 + 0.001 * torch.randn(384, generator=generator(1))
    scales[7] = 1.0
    assert codes(audit({"norm1.weight": scales})) == []
    weight = torch.randn(64, 64, generator=generator(2)) * 0.02
    weight[3, 3] = 2.0
    assert codes(audit({"fc.weight": weight})) == ["strays"]


def test_what_of_a_checkpoint_is_left_tells_a_change_from_a_new_draw():
    theirs = {"fc.weight": torch.randn(64, 64, generator=generator(1)) * 0.02}
    elsewhere = torch.tensor(np.random.default_rng(2).normal(0, 0.02, (64, 64))).float()
    changed, new = moved(theirs, by=0.1), {"fc.weight": elsewhere}
    assert only(audit(changed, against=theirs), "changed")
    assert only(audit(new, against=theirs), "not_loaded")
    halves = ({name: t.bfloat16() for name, t in state.items()} for state in (changed, new))
    assert [codes(audit(half, against=theirs))[0] for half in halves] == ["changed", "not_loaded"]


def test_a_bias_of_a_law_of_its_own_among_trained_weights_is_not_called_fresh():
    drawn = torch.randn(96, generator=generator(3))
    state = {"fc.bias": 0.05 + 0.08 * drawn, "out.bias": torch.zeros(96)}
    assert [row.state for row in audit(state).tensors] == ["at init", "at init"]
    trained = torch.outer(drawn, drawn) + 0.1 * torch.randn(96, 96, generator=generator(4))
    states = {row.name: row.state for row in audit(state | {"out.weight": trained}).tensors}
    assert states == {"fc.bias": "unknown", "out.bias": "at init", "out.weight": "trained"}
    # Few values follow some law by chance, and its name says little; many, some law of no name.
    scaled = torch.tensor(np.random.default_rng(6).normal(0, 0.023, (96, 96))).bfloat16()
    assert audit({"fc.weight": scaled, "out.weight": trained}).tensors[0].state == "unknown"
    few = {"small.weight": torch.tensor(np.random.default_rng(5).normal(0, 0.02, (12, 20))).float()}
    assert [row.state for row in audit(few).tensors] == ["at init"]
    row = audit(few | {"out.weight": trained}).tensors[0]
    assert (row.study.identification.named, row.state) == (True, "unknown")


def test_the_scales_of_what_has_moved_may_differ():
    weights = 0.02 * torch.randn(4, 64, 64, generator=generator(1))
    state = {f"h.{i}.fc.weight": weight.clone() for i, weight in enumerate(weights)}
    state["h.2.fc.weight"] *= 1.3
    assert codes(audit(state)) == ["odd"]
    drawn = torch.randn(96, generator=generator(3))
    trained = torch.outer(drawn, drawn) + 0.1 * torch.randn(96, 96, generator=generator(4))
    assert "odd" in codes(audit(state | {"out.weight": trained}))  # fresh blocks beside it
    assert "odd" not in codes(audit(moved(state) | {"out.weight": trained}))


def test_the_sentence_says_where_bits_tell_more_than_the_law():
    doubt = "drawn elsewhere than by torch on a CPU, or trained a little since"
    state = gpt()
    assert doubt not in audit(state).sentence
    name = "h.0.mlp.up_proj.weight"
    moved = state | {name: state[name] * (1 + 1e-3 * torch.randn(state[name].shape))}
    assert f"(1 of them {doubt})" in audit(moved).sentence
    assert f"1 at initialisation ({doubt})" in audit({name: moved[name]}).sentence


def test_a_head_with_an_embeddings_scale():
    state = gpt() | {"lm_head.weight": torch.randn(VOCAB, D, generator=generator(5))}
    assert "√d too large" in only(audit(state), "head").cause
    tied = gpt(wte=1.0)
    assert "head" not in codes(audit(tied))
    tied["lm_head.weight"] = tied["wte.weight"]
    assert only(audit(tied), "head").tensors == ("wte.weight",)


def test_depth_scaling_by_block_is_read_off():
    state = gpt()
    for i in range(L):
        state[f"h.{i}.attn.out_proj.weight"] *= math.sqrt(L / (i + 1))
    finding = only(audit(state), "depth")
    assert "(ℓ + 1)^−½" in finding.cause


def test_what_is_not_measured_is_said():
    state = {"w": torch.ones(2, 2).to(torch.float8_e4m3fn), "v": torch.randn(5, 5)}
    result = audit(state)
    assert "float8_e4m3fn is not measured" in only(result, "unmeasured").cause
    assert result.tensors[0].state == "not measured"


# --- against a checkpoint -----------------------------------------------------------------------


def test_against_a_checkpoint(tmp_path):
    trained = {name: t + 0.1 * t.roll(1, 0).abs() for name, t in gpt().items()}
    save_file({f"module.{n}": t for n, t in trained.items()}, tmp_path / "trained.safetensors")
    model = {name: tensor.clone() for name, tensor in trained.items()}
    model["h.0.mlp.up_proj.weight"] = gpt(3)["h.0.mlp.up_proj.weight"]
    model["h.1.mlp.up_proj.weight"] = trained["h.1.mlp.up_proj.weight"] * 1.01
    model["h.2.mlp.up_proj.weight"] = torch.randn(3, 3, generator=generator())
    del model["wpe.weight"]
    model["extra.weight"] = torch.randn(5, 5, generator=generator())
    result = audit(model, against=tmp_path / "trained.safetensors")
    assert only(result, "not_loaded").tensors == ("h.0.mlp.up_proj.weight",)
    assert only(result, "changed").tensors == ("h.1.mlp.up_proj.weight",)
    assert only(result, "shape").tensors == ("h.2.mlp.up_proj.weight",)
    assert only(result, "missing").tensors == ("extra.weight",)
    assert only(result, "unexpected").tensors == ("module.wpe.weight",)
    assert len(only(result, "loaded").tensors) == len(trained) - 4
    half = {name: tensor.half() for name, tensor in trained.items()}
    assert codes(audit(half, against=trained), "error") == []


# --- one answer on any executor -----------------------------------------------------------------


class InTurn(Executor):
    """Carries out each call when it is submitted."""

    def submit(self, call, *arguments):
        future = Future()
        future.set_result(call(*arguments))
        return future


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr("initcore.checkpoint.PIECE", 5000)
    monkeypatch.setattr(survey_module, "PIECE", 5000)
    monkeypatch.setattr(survey_module, "_LARGE", 5000)
    monkeypatch.setattr(survey_module, "_HEAD", 1000)


def test_threads_and_turns_give_one_answer(tmp_path):
    state = gpt() | {"big.weight": torch.randn(300, 400, generator=generator()).bfloat16()}
    save_file(state, tmp_path / "model.safetensors")
    expected = json.dumps(audit(tmp_path / "model.safetensors", "auto").as_dict())
    for executor in (InTurn(), ThreadPoolExecutor(3)):
        with executor:
            result = audit(tmp_path / "model.safetensors", "auto", executor=executor)
        assert json.dumps(result.as_dict()) == expected
    in_memory = audit(state, "auto").as_dict()
    by_name = {row["name"]: row for row in json.loads(expected)["tensors"]}
    assert {row["name"]: row for row in in_memory["tensors"]} == by_name


class ByMail(Executor):
    """Sends the work and the results as bytes, as to other processes."""

    def submit(self, call, *arguments):
        call, arguments = pickle.loads(pickle.dumps((call, arguments)))
        future = Future()
        future.set_result(pickle.loads(pickle.dumps(call(*arguments))))
        return future


def test_work_and_results_travel(tmp_path):
    state = gpt()
    save_file(state, tmp_path / "model.safetensors")
    for source in (state, tmp_path / "model.safetensors"):
        assert audit(source, executor=ByMail()).as_dict() == audit(source).as_dict()


def test_a_piece_travels_with_its_own_values_only():
    state = {"w": torch.randn(1000, 1000, generator=generator())}
    [entry] = entries(state)
    assert len(pickle.dumps(entry.values.part(500, 1500))) < 5000


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("grows", [True, False], ids=["on edges that grow", "on its own edges"])
def test_pieces_of_large_tensors_add_up_to_the_whole(grows):
    g = generator()
    state = {
        "a.weight": torch.randn(300, 70, generator=g) * 0.02,
        "b.weight": torch.randn(40, 600, generator=g),
        "c.weight": torch.empty(90, 90).uniform_(-1, 1, generator=g).bfloat16(),
        "d.weight": torch.randn(7, 6000, generator=g),
        "e.weight": torch.randn(30_000, generator=g),
        "attn.in_proj_weight": torch.randn(3 * 64, 64, generator=g),
        "layers.0.experts.down_proj": torch.randn(3, 80, 64, generator=g),
        "zeros.weight": torch.zeros(100, 100),
        "tall.weight": nn.init.orthogonal_(torch.empty(400, 30), generator=g),
        "wide.weight": nn.init.orthogonal_(torch.empty(30, 400), generator=g),
    }
    state["attn.in_proj_weight"][64:128] *= 3
    state["layers.0.experts.down_proj"][1] *= 2
    state["rows.weight"] = torch.cat([state["b.weight"][:20]] * 2)
    state["embed.weight"] = torch.cat([torch.randn(500, 64, generator=g), torch.zeros(1, 64)])
    pieces = {study.name: study for study in survey(state)}
    survey_module.PIECE = 2**24  # undone by the fixture
    if not grows:
        survey_module._LARGE = 2**20
    whole = {study.name: study for study in survey(state)}
    for name, one in pieces.items():
        other = whole[name]
        a, b = one.measurement, other.measurement
        for key in ("count", "zeros", "min", "max", "nonfinite", "dtype"):
            assert getattr(a, key) == getattr(b, key), (name, key)
        assert a.std == pytest.approx(b.std, rel=1e-6)
        assert a.mean == pytest.approx(b.mean, rel=1e-5, abs=1e-8)
        if grows:
            assert a.grid == b.grid, name
            assert (a.counts == b.counts).all(), name
        assert one.identification.family == other.identification.family, name
        assert [c.label for c in one.identification.schemes] == [
            c.label for c in other.identification.schemes
        ]
        assert one.repeats == other.repeats, name
        assert [block.name for block in one.blocks] == [block.name for block in other.blocks]
        for left, right in zip(one.blocks, other.blocks, strict=True):
            assert left.measurement.std == pytest.approx(right.measurement.std, rel=1e-6)
            assert (left.identification is None) == (right.identification is None)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("at", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("value", [1e300, -1e300, 1e-300])
def test_a_large_tensor_may_hold_what_cannot_be_measured(at, value):
    weight = torch.zeros(200, 100, dtype=torch.float64)
    weight.view(-1)[at] = value
    result = audit({"fc.weight": weight})
    assert result.tensors[0].study.absurd
    assert codes(result, "error") == ["garbage"]


def test_progress_rises_in_the_callers_thread_and_can_cancel():
    told = []
    audit(gpt(), progress=lambda share, now="": told.append((share, now)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert {now for _, now in told} == set(gpt())

    def stop(share, now=""):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(gpt(), progress=stop)


class Broken(Executor):
    def submit(self, call, *arguments):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_an_executor_that_gives_up():
    with pytest.raises(InitError, match="executor gave up"):
        audit(gpt(), executor=Broken())


# --- the result as data -------------------------------------------------------------------------


def test_as_dict_is_json_with_the_agreed_keys():
    state = gpt()
    state["h.0.mlp.up_proj.weight"][0, 0] = math.nan
    result = audit(state, "gpt2").as_dict()
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text) == result
    assert result.keys() >= {
        "source",
        "torch_version",
        "recipe",
        "tensors",
        "findings",
        "summary",
    }
    assert result["recipe"] == "gpt2"
    assert result["summary"].keys() == {
        "tensors",
        "parameters",
        "errors",
        "warnings",
        "at_init",
        "trained",
    }
    assert result["summary"]["tensors"] == len(state)
    assert result["summary"]["parameters"] == sum(t.numel() for t in state.values())
    row = result["tensors"][0]
    assert row.keys() >= {
        "name",
        "shape",
        "dtype",
        "role",
        "measured",
        "identified",
        "expected",
        "findings",
    }
    assert row["identified"].keys() >= {"family", "schemes", "params", "confidence"}
    assert row["measured"]["std"] == pytest.approx(float(state["wte.weight"].std()))
    for finding in result["findings"]:
        assert finding.keys() == {"code", "severity", "tensors", "cause", "evidence", "fix"}


def test_a_session_shows_the_sentence_and_the_findings():
    result = audit(gpt(up_proj=1.0), "nanogpt")
    shown = repr(result)
    assert shown.startswith(result.sentence)
    for finding in result.findings:
        assert all(text in shown for text in (finding.cause, finding.evidence, finding.fix))
    assert len(shown.splitlines()) <= 1 + 5 * len(result.findings)


def test_a_frame_of_the_tensors():
    frame = audit(gpt(), "nanogpt").frame()
    assert list(frame["name"]) == list(gpt())
    assert frame["agrees"].all()
    assert frame["std"].iloc[0] == pytest.approx(float(gpt()["wte.weight"].std()))


def test_codes_are_documented_and_used():
    assert len({code.code for code in CODES}) == len(CODES)
    assert {code.severity for code in CODES} <= set(SEVERITIES)
    assert len(CHECKS) == len(set(CHECKS))
    result = audit(gpt(up_proj=1.0), "nanogpt")
    assert result.findings[0].severity == "error"
    assert {f.code for f in result.findings} <= {code.code for code in CODES}


@given(tensors(), st.sampled_from([None, "auto", "gpt2"]))
@settings(max_examples=30)
def test_any_tensors_get_an_audit(tensor, recipe):
    block = "layers.{}.mlp.up_proj.weight"
    state = {"foo.weight": tensor, "layers.0.norm.weight": tensor.flatten()[:8].clone()}
    state |= {block.format(layer): tensor.contiguous() for layer in range(2)}
    made = audit(state, recipe)
    assert [row.name for row in made.tensors] == list(state)
    assert str(made)
