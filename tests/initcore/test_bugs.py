"""The corpus of real bugs, others like them, and correct models that must not be called faults."""

import math
import re
from itertools import pairwise

import pytest
import torch
from torch import nn

from initcore.audit import audit
from initcore.bugs import BUGS, INTENDED, Bug, get_bug
from initcore.draw import torch_seeded
from initcore.errors import InitError
from initcore.findings import CODES
from initcore.models import MODELS, build_model
from initcore.recipes import parse_recipe


def alarms(checked, severities=("error", "warning")):
    return [f for f in checked.findings if f.severity in severities]


def audited(bug, model, seed=0):
    return audit(model, bug.recipe, against=bug.against(seed) if bug.against else None)


def assert_found(bug, seed=0, model=None):
    checked = audited(bug, bug.build(seed) if model is None else model, seed)
    found = [f for f in checked.findings if f.code == bug.code and bug.cause in f.cause]
    assert found, (bug.slug, alarms(checked))
    assert {f.severity for f in found} <= {"error", "warning"}
    named = {name for finding in found for name in finding.tensors}
    meant = {row.name for row in checked.tensors if re.fullmatch(bug.tensors, row.name)}
    assert named == meant, (bug.slug, named ^ meant)


def assert_silent(bug, seed=0, model=None):
    checked = audited(bug, bug.mend(seed) if model is None else model, seed)
    assert not alarms(checked), bug.slug


# --- the corpus ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.slug)
def test_an_audit_names_the_cause_and_the_tensors_of_each_bug(bug):
    assert_found(bug)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.slug)
def test_the_mended_twin_is_silent(bug):
    assert_silent(bug)


def test_tensors_that_nothing_explains_stand_in_the_models_order():
    bug = get_bug("tiny_experts")
    checked = audited(bug, bug.build(0))
    order = [row.name for row in checked.tensors]
    for finding in checked.findings:
        assert list(finding.tensors) == sorted(finding.tensors, key=order.index)


def rounded(model):
    if isinstance(model, nn.Module):
        return model.bfloat16()
    return {name: values.bfloat16() for name, values in model.items()}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.slug)
def test_a_bug_is_found_in_bfloat16_too(bug):
    checked = audited(bug, rounded(bug.build(0)))
    assert [f for f in checked.findings if f.code == bug.code and bug.cause in f.cause]
    assert_silent(bug, model=rounded(bug.mend(0)))


def test_the_values_that_were_clamped_are_counted_after_a_cast_too():
    bug = get_bug("clamped_truncation")
    model = bug.build(0)
    for held in (model, {name: values.float() for name, values in model.items()}):
        rows = [row for row in audited(bug, held).tensors if any(row.study.spikes)]
        assert len(rows) == 6
        for row in rows:
            values, (low, high) = held[row.name], row.study.spikes
            assert low == int((values == -2).sum()), row.name
            # Beside -2 a histogram of float32 is too coarse for the other end.
            assert high in (0, int((values == values.max()).sum())), row.name


CHEAP = (
    "packed_qkv",
    "depthwise_fan_out",
    "grouped_fan_in",
    "forget_bias_twice",
    "cut_uncorrected",
    "init_after_weight_norm",
)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("slug", CHEAP)
def test_no_seed_hides_a_bug_or_makes_one(slug, seed):
    assert_found(get_bug(slug), seed)
    assert_silent(get_bug(slug), seed)


@pytest.mark.parametrize(
    "slug", ["packed_qkv", "copied_layers", "depthwise_fan_out", "forget_bias_twice", "root_of_two"]
)
def test_names_and_shapes_in_a_file_are_enough(slug, tmp_path):
    from safetensors.torch import save_file

    bug = get_bug(slug)
    for kind, build in (("bug", bug.build), ("twin", bug.mend)):
        state = {name: tensor.clone() for name, tensor in build(0).state_dict().items()}
        save_file(state, tmp_path / f"{kind}.safetensors")
    assert_found(bug, model=tmp_path / "bug.safetensors")
    assert_silent(bug, model=tmp_path / "twin.safetensors")


@pytest.mark.parametrize("example", INTENDED, ids=lambda example: example.slug)
def test_intended_zeros_are_no_fault(example):
    model = example.build(0)
    assert not alarms(audit(model, example.recipe))
    # Without a recipe, too, nothing is said of the zeros.
    codes = {f.code for f in audit(model).findings if f.severity != "info"}
    assert not codes & {"dead", "constant", "identical", "value", "scale"}


def test_records_are_well_formed():
    slugs = [example.slug for example in (*BUGS, *INTENDED)]
    assert len(set(slugs)) == len(slugs)
    known = {code.code for code in CODES}
    for bug in BUGS:
        assert bug.code in known
        assert all(re.fullmatch(r"[\w./-]+ #\d+", thread) for thread in bug.threads), bug.threads
    with pytest.raises(InitError, match="'nothing' is not one of: packed_qkv, "):
        get_bug("nothing")


def test_a_build_is_the_same_for_a_seed_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    for bug in (get_bug("packed_qkv"), get_bug("init_after_weight_norm"), get_bug("tied_head")):
        first, second = (dict(bug.build(3).named_parameters()) for _ in range(2))
        other = dict(bug.build(4).named_parameters())
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(before, torch.random.get_rng_state())


# --- others like them ---------------------------------------------------------------------------


def recipe(rules):
    return parse_recipe(f'title = "House"\n{rules}', "house.toml")


HE = recipe(
    '[[rule]]\nrole = "linear|head"\nlaw = "kaiming_normal"\nnonlinearity = "relu"\n'
    '[[rule]]\nrole = "bias"\nlaw = "zeros"\n'
)


def mlp(draw):
    """An MLP of uneven widths; ``draw`` gets its layers one by one, and a generator."""

    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        with torch_seeded(seed):
            module = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise((192, 512, 128, 256))))
        with torch.no_grad():
            for layer in module:
                draw(layer, generator)
        return module

    return build


def he(layer, generator):
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    layer.bias.zero_()


def slope_kept(layer, generator):
    """The slope √5 copied from nn.Linear: a sixth of the variance that ReLU needs."""
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    layer.bias.zero_()


def bias_of_fan_out(layer, generator):
    bound = layer.out_features**-0.5
    layer.bias.uniform_(-bound, bound, generator=generator)


def transposed_fans(channels):
    """A transposed convolution by its own fans, or by those of the convolution of its shape."""

    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        with torch_seeded(seed):
            module = nn.Sequential(*(nn.ConvTranspose2d(a, b, 4) for a, b in pairwise(channels)))
        with torch.no_grad():
            for layer in module:
                fan = layer.in_channels * 16
                bound = fan**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
        return module

    return build


def transposed_default(channels):
    def build(seed):
        with torch_seeded(seed):
            return nn.Sequential(*(nn.ConvTranspose2d(a, b, 4) for a, b in pairwise(channels)))

    return build


def padded(zero):
    def build(seed):
        with torch_seeded(seed):
            module = nn.Sequential(nn.Embedding(300, 64, padding_idx=0), nn.Linear(64, 64))
        if not zero:  # as an initialisation over all of the weight leaves it
            nn.init.normal_(module[0].weight, generator=torch.Generator().manual_seed(seed))
        return module

    return build


def policy(gain):
    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        module = nn.Sequential(*(nn.Linear(64, 64) for _ in range(3)))
        for layer in module:
            nn.init.orthogonal_(layer.weight, gain, generator=generator)
            nn.init.zeros_(layer.bias)
        return module

    return build


def t5(swapped):
    """T5 of width 128 with 4 heads of 32; q and k may have each other's law."""

    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        state = {"shared.weight": torch.randn(500, 128, generator=generator)}
        for i in range(3):
            at = f"encoder.block.{i}.layer"
            stds = {"q": (128 * 32) ** -0.5, "k": 128**-0.5, "v": 128**-0.5, "o": 128**-0.5}
            if swapped:
                stds["q"], stds["k"] = stds["k"], stds["q"]
            for name, std in stds.items():
                weight = torch.empty(128, 128).normal_(0, std, generator=generator)
                state[f"{at}.0.SelfAttention.{name}.weight"] = weight
            for name, shape in {"wi": (512, 128), "wo": (128, 512)}.items():
                weight = torch.empty(shape).normal_(0, shape[1] ** -0.5, generator=generator)
                state[f"{at}.1.DenseReluDense.{name}.weight"] = weight
        bias = torch.empty(32, 4).normal_(0, 128**-0.5, generator=generator)
        state["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = bias
        return state

    return build


def olmo(shift):
    """The residual projections scaled by 1/√(2(ℓ + shift)), which is meant with a shift of 1."""

    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        state = {}
        for i in range(6):
            for name, scaled in (("wq", False), ("wk", False), ("wv", False), ("wo", True)):
                std = 192**-0.5 / (math.sqrt(2 * max(i + shift, 1)) if scaled else 1)
                weight = torch.empty(192, 192)
                nn.init.trunc_normal_(weight, 0, std, -3 * std, 3 * std, generator=generator)
                state[f"layers.{i}.attention.{name}.weight"] = weight
        return state

    return build


def experts(shared):
    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        state = {}
        for i in range(2):
            up = torch.empty(8, 96, 128).normal_(0, 0.02, generator=generator)
            if shared:
                up[5] = up[2]
            state[f"model.layers.{i}.mlp.experts.gate_up_proj"] = up
            down = torch.empty(8, 64, 96).normal_(0, 0.02, generator=generator)
            state[f"model.layers.{i}.mlp.experts.down_proj"] = down
        return state

    return build


def last_block(left_out):
    """A GPT whose loop over the blocks ends one early."""

    def build(seed):
        module = build_model("gpt", seed=seed, width=96, heads=4, blocks=4)
        if left_out:
            with torch_seeded(seed + 1):
                for part in module.get_submodule("transformer.h.3").modules():
                    if isinstance(part, nn.Linear):
                        part.reset_parameters()
        return module

    return build


def percent(factor):
    return mlp(lambda layer, g: (he(layer, g), layer.weight.mul_(factor)))


UPWARD = (256, 128, 32, 8)
OTHERS = [
    Bug(slug, slug, (), "", build, law, mend, code, cause, tensors)
    for slug, build, mend, law, code, cause, tensors in (
        ("slope", mlp(slope_kept), mlp(he), HE, "scale", "torch's default", r"\d\.weight"),
        (
            "bias",
            mlp(bias_of_fan_out),
            mlp(lambda layer, g: None),
            "torch",
            "scale",
            "fan_out, not fan_in",
            r"\d\.bias",
        ),
        (
            "transposed",
            transposed_fans(UPWARD),
            transposed_default(UPWARD),
            "torch",
            "scale",
            "transposed",
            r"\d\.weight",
        ),
        ("padding", padded(zero=False), padded(zero=True), "torch", "value", "all 0", r"0\.weight"),
        ("padding_alone", padded(False), padded(True), None, "padding", "padding", r"0\.weight"),
        ("gain", policy(1.0), policy(2**0.5), "ppo", "scale", "He's √2", r"\d\.weight"),
        ("swapped", t5(True), t5(False), "t5", "scale", "1/√head_dim", r".*Attention\.[qk]\..*"),
        ("late", olmo(2), olmo(1), "olmo", "scale", "counts from 2", r".*wo\.weight"),
        ("early", olmo(0), olmo(1), "olmo", "scale", "counts from 0", r".*[1-5].*wo\.weight"),
        (
            "experts",
            experts(shared=True),
            experts(shared=False),
            None,
            "identical",
            "experts that start equal",
            r".*gate_up_proj",
        ),
        (
            "last_block",
            last_block(True),
            last_block(False),
            None,
            "default",
            "torch's default",
            r"transformer\.h\.3.*(c_\w+)\.weight",
        ),
        ("digit", percent(10.0), mlp(he), HE, "scale", "ten times too large", r"\d\.weight"),
    )
]


@pytest.mark.parametrize("bug", OTHERS, ids=lambda bug: bug.slug)
def test_faults_outside_the_corpus_are_found_by_the_same_principles(bug):
    assert_found(bug)
    assert_silent(bug)


# --- no false alarms, see also test_alarms.py -----------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.slug)
def test_a_built_in_model_is_no_error_but_for_the_copies_of_torchs_encoder(model):
    for seed in range(2):
        found = alarms(audit(build_model(model.slug, seed=seed), model.recipe), ["error"])
        assert {finding.code for finding in found} == (
            {"identical"} if model.slug == "encoder" else set()
        )


def test_a_weight_normed_layer_is_its_directions_and_no_error():
    with torch_seeded(0):
        model = nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(64, 128)),
            nn.utils.parametrizations.weight_norm(nn.Conv1d(64, 128, 3)),
        )
    for source in (model, model.state_dict()):
        assert not alarms(audit(source, "torch"))
