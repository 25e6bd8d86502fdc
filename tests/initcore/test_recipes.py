"""Recipes: against models initialised by the families' own formulas, mutated, and as files."""

import math
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import nn

from initcore.draw import torch_seeded
from initcore.errors import InitError
from initcore.fit import fit
from initcore.laws import Normal, Uniform, constant
from initcore.measure import grid_for, measure
from initcore.recipes import RECIPES, Recipe, apply_recipe, get_recipe, parse_recipe
from initcore.roles import Dims, infer_dims, places
from tests.initcore.families import FAMILIES, SIZES

LARGE = SIZES[-1]
RECIPE_SLUGS = [recipe.slug for recipe in RECIPES if recipe.slug != "torch"]
CASES = [
    pytest.param(name, size, seed, id=f"{name}-{size.d}-{seed}")
    for name in FAMILIES
    for size in SIZES
    for seed in range(2 if size is SIZES[0] else 1)
]


def build(name, size=LARGE, seed=0):
    with torch_seeded(seed):
        return FAMILIES[name][0](size)


def judged(module, recipe):
    """Every part of every tensor with its fits: one for each law that would be right."""
    found = places(module)
    dims = infer_dims(found)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for place in found:
        if place.tied or place.role == "buffer":
            continue
        expectation = get_recipe(recipe).expected(place, dims)
        assert expectation is not None, place
        for part in expectation.parts:
            values = tensors[place.name].detach()[part.index].contiguous()
            dtype = str(values.dtype).removeprefix("torch.")
            yield (
                place,
                part,
                [
                    fit(measure(values, grid_for(option.law, values.numel(), dtype)), option.law)
                    for option in part.options
                ],
            )


def holds(result):
    """No sign against the law that many hundred tensors would not give by chance alone."""
    by_chance = result.p_value is not None and result.p_value > 1e-6
    return result.agrees or (by_chance and abs(result.std_ratio - 1) < 9 * result.std_error)


# --- the families -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "size", "seed"), CASES)
def test_what_a_family_does_is_expected_of_every_tensor(name, size, seed):
    module = build(name, size, seed)
    for place, part, results in judged(module, FAMILIES[name][1]):
        assert any(map(holds, results)), (place.name, part.name, [r.verdict for r in results])


@pytest.mark.parametrize("name", FAMILIES)
def test_names_and_shapes_are_enough(name):
    module, recipe = build(name), get_recipe(FAMILIES[name][1])
    state = {key: (tensor.shape, tensor.dtype) for key, tensor in module.state_dict().items()}
    typed, inferred = places(module), places(state)
    for one, other in zip(typed, inferred, strict=True):
        expected = recipe.expected(one, infer_dims(typed))
        again = recipe.expected(other, infer_dims(inferred))
        assert expected == again, one.name


# Faults of real implementations: family, tensors, and how many times too large they are.
FAULTS = {
    "no depth scaling": ("nanogpt", r".*c_proj\.weight", lambda s, i: math.sqrt(2 * s.layers)),
    "embedding at 1": ("nanogpt", r".*wte\.weight", lambda s, i: 50),
    "std corrected for the cut": ("bert", r".*dense\.weight", lambda s, i: 1 / 0.8796),
    "q without d_kv": ("t5", r".*\.q\.weight", lambda s, i: math.sqrt(20)),
    "wo with d for d_ff": ("t5", r".*\.wo\.weight", lambda s, i: math.sqrt(3)),
    "head at the common std": ("llama", r"lm_head\.weight", lambda s, i: 0.02 * math.sqrt(s.d)),
    "no depth, Mitchell": ("olmo", r".*attn_out\.weight", lambda s, i: math.sqrt(i + 1)),
    "head left at the embedding's": ("torchtitan", r"output\.weight", lambda s, i: math.sqrt(s.d)),
    "√L for L": ("litgpt", r".*proj\.weight", lambda s, i: math.sqrt(s.layers)),
    "no depth, w3": ("torchtitan_flat", r".*w3\.weight", lambda s, i: math.sqrt(2 * s.layers)),
    "√3": ("vit_timm", r".*fc1\.weight", lambda s, i: 1 / math.sqrt(3)),
    "gain √2": ("vit_jax", r".*fc1\.weight", lambda s, i: math.sqrt(2)),
    "fan_in of the dense convolution": ("convnext", r".*dwconv.weight", lambda s, i: 0.5),
    "all groups in fan_out": (
        "efficientnet",
        r".*conv_dw\.weight",
        lambda s, i: 1 / math.sqrt(4 * s.d),
    ),
    "fan_in for fan_out": ("resnet", r".*conv3\.weight", lambda s, i: 2),
    "2/√n for √(2/n)": ("resnet", r".*conv2\.weight", lambda s, i: math.sqrt(2)),
    "γ too wide": ("dcgan", r".*main\.1\.weight", lambda s, i: 5),
    "no depth, Fixup": ("fixup", r".*\d\.conv1\.weight", lambda s, i: math.sqrt(2 * s.layers)),
    "no ω": ("siren", r".*net\.[12]\.0\.weight", lambda s, i: 30),
    "policy head at gain 1": ("ppo", r"action_net\.weight", lambda s, i: 100),
    "He for LeCun": ("selu", r"[123]\.weight", lambda s, i: math.sqrt(2)),
    "gain of ReLU": ("delta_orthogonal", r"[012]\.weight", lambda s, i: math.sqrt(2)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_disagrees(fault):
    name, pattern, factor = FAULTS[fault]
    module = build(name)
    wrong = set()
    for place in places(module):
        if not re.fullmatch(pattern, place.name) or place.tied:
            continue
        times = factor(LARGE, place.depth)
        if times != 1:
            parameter = module.get_parameter(place.name).detach()
            mean = parameter.mean() if place.role == "norm" else 0
            parameter.sub_(mean).mul_(times).add_(mean)
            wrong.add(place.name)
    assert wrong
    found = {
        place.name
        for place, _, results in judged(module, FAMILIES[name][1])
        if not any(map(holds, results))
    }
    assert found == wrong


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("gpt2", "nanogpt"),
        ("nanogpt", "gpt2"),
        ("vit_timm", "vit_jax"),
        ("vit_jax", "vit_timm"),
        ("nanogpt", "bert"),
        ("bert", "nanogpt"),
        ("resnet", "efficientnet"),
        ("litgpt", "torch"),
    ],
)
def test_another_familys_recipe_disagrees(name, wrong):
    results = [results for _, _, results in judged(build(name), wrong)]
    assert not all(any(map(holds, each)) for each in results)


def test_a_constant_for_a_draw_and_a_draw_for_a_constant_disagree():
    module = build("dcgan")
    nn.init.ones_(module.main[1].weight)
    nn.init.normal_(module.main[4].bias, std=1e-4)
    found = {p.name for p, _, results in judged(module, "dcgan") if not any(map(holds, results))}
    assert found == {"main.1.weight", "main.4.bias"}


def test_intended_zeros_are_said_to_be_intended():
    notes = {
        "resnet": ("layer1.0.bn3.weight", "may start at zero"),
        "vit_jax": ("head.weight", "meant to start at zero"),
        "fixup": ("fc.weight", "meant to be zero"),
    }
    for name, (tensor, note) in notes.items():
        found = places(build(name))
        place = next(p for p in found if p.name == tensor)
        expectation = get_recipe(name).expected(place, infer_dims(found))
        assert note in expectation.note
        assert any(option.law == constant(0.0) for option in expectation.parts[0].options)
    lora = {
        "q_proj.lora_A.weight": ((4, 32), "float32"),
        "q_proj.lora_B.weight": ((32, 4), "float32"),
    }
    a, b = places(lora)
    for recipe in ("nanogpt", "llama", "bert", "torch"):
        assert get_recipe(recipe).expected(b, Dims()).parts[0].options[0].law == constant(0.0)
        bound = get_recipe(recipe).expected(a, Dims()).parts[0].options[0].law
        assert bound == Uniform(-1 / math.sqrt(32), 1 / math.sqrt(32))


# --- torch's defaults ---------------------------------------------------------------------------


def bound(b):
    return Uniform(-b, b)


@pytest.mark.parametrize(
    ("module", "tensor", "law"),
    [
        (nn.Linear(64, 9), "weight", bound(1 / 8)),
        (nn.Linear(64, 9), "bias", bound(1 / 8)),
        (nn.Bilinear(16, 5, 9), "weight", bound(1 / 4)),
        (nn.Conv2d(32, 8, 2, groups=2), "weight", bound(1 / 8)),
        (nn.ConvTranspose2d(6, 32, 2, groups=2), "bias", bound(1 / 8)),
        (nn.Embedding(9, 4), "weight", Normal(0.0, 1.0)),
        (nn.LSTM(5, 64), "weight_ih_l0", bound(1 / 8)),
        (nn.LSTM(5, 64, proj_size=9), "weight_hr_l0", bound(1 / 8)),
        (nn.GRUCell(5, 16), "bias_hh", bound(1 / 4)),
        (nn.MultiheadAttention(24, 4), "in_proj_weight", bound(1 / 4)),
        (nn.MultiheadAttention(16, 4), "out_proj.weight", bound(1 / 4)),
        (nn.MultiheadAttention(16, 4), "out_proj.bias", constant(0.0)),
        (nn.MultiheadAttention(64, 4, kdim=32), "k_proj_weight", bound(1 / 4)),
        (nn.MultiheadAttention(64, 4, add_bias_kv=True), "bias_k", Normal(0.0, 1 / 8)),
        (nn.TransformerEncoderLayer(16, 4, 64), "linear2.weight", bound(1 / 8)),
        (
            nn.Transformer(16, 4, 1, 1, 80, batch_first=True),
            "encoder.layers.0.linear2.weight",
            bound(1 / 4),
        ),
        (nn.BatchNorm1d(4), "bias", constant(0.0)),
        (nn.RMSNorm(4), "weight", constant(1.0)),
        (nn.PReLU(), "weight", constant(0.25)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_torchs_defaults_in_numbers(module, tensor, law):
    found = places(module)
    place = next(place for place in found if place.name == tensor)
    [part] = get_recipe("torch").expected(place, infer_dims(found)).parts
    [option] = part.options
    assert type(option.law) is type(law)
    assert (option.law.mean, option.law.std) == pytest.approx((law.mean, law.std), rel=1e-12)


def test_from_a_checkpoint_a_bias_of_attention_may_be_of_either_kind():
    names = {"self_attn.out_proj.weight": ((16, 16), "float32")}
    names["self_attn.out_proj.bias"] = ((16,), "float32")
    place = places(names)[1]
    laws = [o.law for o in get_recipe("torch").expected(place, Dims()).parts[0].options]
    assert laws == [constant(0.0), Uniform(-0.25, 0.25)]


# --- drawing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((slug, torch.float32) for slug in RECIPE_SLUGS),
        *((name, torch.bfloat16) for name in ("bert", "dcgan", "ppo")),
        ("selu", torch.float16),
    ],
)
def test_apply_recipe_draws_what_it_expects(name, dtype):
    recipe = FAMILIES[name][1]
    module = build(name, SIZES[0]).to(dtype)
    for parameter in module.parameters():
        nn.init.constant_(parameter, 7.0)
    filled = apply_recipe(module, recipe, seed=1)
    found = [p for p in places(module) if not p.tied and p.role != "buffer"]
    assert filled == [place.name for place in found]
    for place, part, results in judged(module, recipe):
        assert any(map(holds, results)), (place.name, part.name, [r.verdict for r in results])


def test_apply_recipe_is_deterministic_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    modules = [build("nanogpt", SIZES[0], seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda m: apply_recipe(m, "nanogpt", 3), modules))
    first, *others = (module.state_dict() for module in modules)
    for other in others:
        assert all(first[name].equal(other[name]) for name in first)
    other = build("nanogpt", SIZES[0])
    apply_recipe(other, "nanogpt", 4)
    assert not first["transformer.wte.weight"].equal(other.transformer.wte.weight)
    assert torch.get_rng_state().equal(state)


def test_orthogonal_matrices_are_orthogonal_in_16_bit_types_too():
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        module = build("ppo").to(dtype)
        apply_recipe(module, "ppo")
        weight = module.mlp_extractor.policy_net.get_submodule("2").weight.detach().float()
        assert torch.allclose(weight @ weight.T, 2 * torch.eye(len(weight)), atol=tolerance)


def test_delta_orthogonal_kernels_keep_the_length_of_their_input():
    conv = nn.Conv2d(8, 12, 3, padding="same", padding_mode="circular")
    apply_recipe(conv, "delta_orthogonal")
    x = torch.randn(1, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        nn.init.zeros_(conv.bias)
        length = conv(x).norm().item()
    assert length == pytest.approx(x.norm().item(), rel=1e-5)
    assert get_recipe("delta_orthogonal").expected(places(nn.Conv2d(12, 8, 3))[0], Dims()) is None


def test_stacked_experts_and_padding_are_drawn_part_by_part():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed_tokens = nn.Embedding(9, 16, padding_idx=0)
            self.experts = nn.Module()
            self.experts.w1 = nn.Parameter(torch.zeros(3, 24, 16))

    module = Experts()
    rules = '[[rule]]\nrole = "mlp_in"\nlaw = "orthogonal"\n'
    apply_recipe(module, parse_recipe(rules))
    for expert in module.experts.w1.detach():
        assert torch.allclose(expert.T @ expert, torch.eye(16), atol=1e-5)
    apply_recipe(module, "bert")
    row = module.embed_tokens.weight.detach().abs().sum(1)
    assert row[0] == 0
    assert (row[1:] > 0).all()


def test_what_a_recipe_does_not_know_stays():
    module = nn.ModuleDict({"foo": nn.Linear(3, 3)})
    before = module["foo"].weight.detach().clone()
    assert apply_recipe(module, "dcgan") == []
    assert module["foo"].weight.equal(before)


@pytest.mark.parametrize("seed", [-1, 2**53, True])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(InitError, match=r"seed = .*: must be"):
        apply_recipe(nn.Linear(2, 2), "torch", seed)


def test_the_meta_device_is_refused():
    with pytest.raises(InitError, match="meta device"):
        apply_recipe(nn.Linear(2, 2, device="meta"), "torch")


# --- records and files --------------------------------------------------------------------------


def test_the_records():
    slugs = [recipe.slug for recipe in RECIPES]
    assert len(set(slugs)) == len(slugs) == 22
    assert {slug for _, slug in FAMILIES.values()} == set(slugs) - {"torch"}
    assert all(recipe.title and recipe.source for recipe in RECIPES)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.slug)
def test_a_record_and_a_file_are_of_one_shape(recipe, tmp_path):
    path = tmp_path / f"{recipe.slug}.toml"
    path.write_text(recipe.as_toml())
    assert set(tomllib.loads(recipe.as_toml())) == {"title", "source", "rule"}
    assert get_recipe(path) == get_recipe(str(path)) == recipe


@pytest.mark.parametrize("text", ["it's", 'a "b"', "\\d", "it's \\d", '"\\', "two\nlines", "ℓ"])
def test_any_text_survives_in_a_file(text):
    recipe = replace(parse_recipe(RULE, "mine.toml"), title=text, source=text)
    assert parse_recipe(recipe.as_toml(), "mine.toml") == recipe


EXAMPLE = """
title = "My GPT"
source = "our design document"
[[rule]]
role = "mlp_out"
law = "normal"
std = "0.02 / sqrt(2 * L)"
[[rule]]
name = '.*c_attn\\.weight'
block = "v"
law = "uniform"
bound = 0.5
[[rule]]
role = "qkv"
law = "kaiming_normal"
mode = "fan_out"
nonlinearity = "relu"
also = [{ law = "zeros" }]
note = "Either."
"""


MODEL = Dims(d=8, L=2)


def expected(recipe, name, shape, dims=MODEL):
    [place] = places({name: (shape, "float32")})
    return recipe.expected(place, dims)


def test_a_file_of_ones_own():
    recipe = parse_recipe(EXAMPLE, "mine.toml")
    assert (recipe.slug, recipe.title, recipe.source) == ("mine", "My GPT", "our design document")
    [part] = expected(recipe, "h.1.mlp.c_proj.weight", (8, 32)).parts
    assert part.options[0].law == Normal(0.0, 0.01)
    packed = expected(recipe, "h.1.attn.c_attn.weight", (24, 8))
    assert [part.name for part in packed.parts] == ["q", "k", "v"]
    q, _, v = packed.parts
    assert q.options[0].law.std == pytest.approx(math.sqrt(2 / 24))
    assert q.options[1].law == constant(0.0)
    assert [option.law for option in v.options] == [Uniform(-0.5, 0.5)]
    assert v.index == (slice(16, 24),)
    assert packed.note == "Either."
    assert "v: U(±0.5)" in packed.form
    assert expected(recipe, "h.1.mlp.c_fc.weight", (32, 8)) is None
    assert expected(recipe, "h.1.mlp.c_proj.weight", (8, 32), Dims()) is None


def test_the_forget_gate_of_one_bias_is_one():
    text = """
    [[rule]]
    name = ".*bias_ih.*"
    block = "f"
    law = "ones"
    [[rule]]
    role = "recurrent_bias"
    law = "zeros"
    """
    module = nn.LSTM(4, 6)
    filled = apply_recipe(module, parse_recipe(text))
    assert filled == ["bias_ih_l0", "bias_hh_l0"]
    i, f, g, o = module.bias_ih_l0.detach().chunk(4)
    assert f.eq(1).all()
    assert not torch.cat([i, g, o, module.bias_hh_l0]).any()


def test_module_types_select():
    text = '[[rule]]\nmodule = "Batch.*"\nlaw = "normal"\nmean = 1\nstd = 0.02'
    recipe = parse_recipe(text)
    module = nn.Sequential(nn.BatchNorm1d(4, affine=True), nn.LayerNorm(4))
    assert apply_recipe(module, recipe) == [
        "0.weight",
        "0.bias",
        "0.running_mean",
        "0.running_var",
    ]


RULE = '[[rule]]\nlaw = "normal"\nstd = "0.02"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[\[rule\]\] in it"),
        ("rule = 3", r"no \[\[rule\]\]"),
        ("rule = [1]", r"no \[\[rule\]\]"),
        ("title = [", "no TOML"),
        ("a = " + "[" * 30_000, "no TOML"),
        ("x" * 70_000, "larger than 65,536 bytes"),
        ("a = " + "9" * 5000, "no TOML"),
        ("speed = 9\n" + RULE, "unknown key 'speed': title, source"),
        ("title = true\n" + RULE, "title = True: must be text"),
        (RULE * 501, "501 rules, at most 500"),
        (RULE + "[[rule]]\n", "rule 2: law is missing"),
        ('[[rule]]\nlaw = "gauss"', "rule 1: law = 'gauss': must be one of: xavier_uniform, "),
        ('[[rule]]\nlaw = "normal"', "rule 1: law 'normal' needs std"),
        ('[[rule]]\nlaw = "uniform"\na = 0', "law 'uniform' needs bound"),
        (RULE + 'cut = "2"', "cut = '2': law 'normal' takes mean, std"),
        (RULE + 'sdt = "2"', "sdt = '2': law 'normal' takes mean, std"),
        ('[[rule]]\nlaw = "zeros"\nval = 1', "val = '1': law 'zeros' takes no parameters"),
        (RULE + 'role = "mlp"', "role = 'mlp': must be of: linear, q, "),
        (RULE + "role = 3", "role = '3': must be of"),
        (RULE + 'name = "("', "name = '\\(': no regular expression"),
        (RULE + 'name = "(a+)+$"', "none after a group"),
        (RULE + 'name = ".*.*.*.*.*"', "at most 4"),
        (RULE + f'name = "{"a" * 300}"', "300 characters, at most 200"),
        (RULE + "also = 3", "also: must be a list"),
        (RULE + 'also = [{ std = "1" }]', "law is missing"),
        (RULE + "note = [1]", "note = \\[1\\]: must be text"),
        ('[[rule]]\nlaw = "normal"\nstd = "0.02 / sqrt(depth)"', "unknown name 'depth'; allowed"),
        ('[[rule]]\nlaw = "normal"\nstd = "__import__(1)"', "rule 1: std = .*is not arithmetic"),
        ('[[rule]]\nlaw = "kaiming_normal"\nmode = "in"', "mode = in: must be one of: fan_in"),
        ('[[rule]]\nlaw = "delta_orthogonal"\nalso = [{ law = "zeros" }]', "one of several"),
    ],
)
def test_bad_files_are_refused_with_the_rule_and_what_is_allowed(text, message, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InitError, match=message) as error:
        get_recipe(path)
    assert str(error.value).startswith("mine.toml: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('law = "normal"\nstd = "10**10**10"', "no finite number"),
        ('law = "normal"\nstd = "1 / (l - 1)"', "no finite number at l = 1"),
        ('law = "normal"\nstd = "-1"', "std = -1: must be at least 0"),
        ('law = "dirac"', "dirac needs a tensor of rank 3, 4, 5"),
        ('law = "trunc_normal"\nstd = "0"\ncut = "2"', "std = 0: must be more than 0"),
    ],
)
def test_laws_that_cannot_hold_name_the_rule_and_the_tensor(rule, message):
    recipe = parse_recipe(f"[[rule]]\n{rule}", "mine.toml")
    with pytest.raises(InitError, match=message) as error:
        expected(recipe, "h.1.mlp.c_proj.weight", (8, 32))
    assert str(error.value).startswith("mine, rule 1: h.1.mlp.c_proj.weight: ")


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(
        InitError, match=r"recipe 'gtp2' is not one of: torch, .*gpt2, .*\.toml file"
    ):
        get_recipe("gtp2")
    with pytest.raises(InitError, match="No such file"):
        get_recipe(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InitError, match="Is a directory"):
        get_recipe(tmp_path / "folder.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(InitError, match="no text in UTF-8"):
        get_recipe(tmp_path / "binary.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(InitError, match="larger than 65,536 bytes"):
        get_recipe(tmp_path / "large.toml")


@pytest.mark.parametrize(
    ("slug", "name", "shape", "form"),
    [
        ("nanogpt", "h.0.attn.c_proj.weight", (8, 8), "N(0, σ²), σ = 0.02/√(2L)"),
        ("nanogpt", "h.0.attn.c_attn.weight", (24, 8), "N(0, 0.02²)"),
        ("bert", "encoder.layer.0.intermediate.dense.weight", (9, 8), "N(0, 0.02²) cut at ±2σ"),
        ("vit_timm", "blocks.0.mlp.fc1.weight", (9, 8), "N(0, 0.02²) cut to [−2, 2]"),
        ("torch", "weight_ih_l0", (32, 8), "U(±1/√hidden)"),
        ("dcgan", "bn.weight", (8,), "N(1, 0.02²)"),
        ("convnext", "blocks.0.gamma", (8,), "all 1e−6"),
        ("ppo", "action_net.weight", (2, 8), "Orthogonal, gain 0.01"),
        ("resnet", "conv1.weight", (8, 3, 3, 3), "mode fan_out, nonlinearity relu"),
        ("resnet", "layer1.0.bn2.weight", (8,), "all 1 or all 0"),
    ],
)
def test_closed_forms_read_as_people_write_them(slug, name, shape, form):
    names = {name: (shape, "float32"), "weight_hh_l0": ((32, 8), "float32")}
    place = places(names)[0]
    assert form in get_recipe(slug).expected(place, Dims(d=8, L=2)).form


def test_a_rule_compares_by_value():
    recipe = get_recipe("gpt2")
    assert recipe == replace(recipe)
    assert isinstance(get_recipe(recipe), Recipe)
