"""Built-in models: named as their families, drawn by their recipes, the same for a seed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from initcore.errors import InitError
from initcore.fit import fit
from initcore.measure import grid_for, measure
from initcore.models import MAX_PARAMETERS, MODELS, build_model, get_model
from initcore.recipes import get_recipe
from initcore.roles import infer_dims, places

# Small, and as wide as by default.
SIZES = {
    "mlp": [{"inputs": 20, "width": 30, "depth": 2}, {"depth": 6}],
    "cnn": [{"width": 8, "blocks": 1}, {"groups": 4}],
    "lstm": [{"vocab": 50, "width": 16, "hidden": 24, "layers": 1}, {}],
    "encoder": [{"vocab": 50, "width": 32, "ff": 48, "blocks": 2}, {"heads": 8, "blocks": 1}],
    "gpt": [{"vocab": 50, "width": 32, "blocks": 3}, {"blocks": 2}],
    "vit": [{"image": 16, "width": 32, "blocks": 3}, {"patch": 8, "blocks": 2}],
}
CASES = [(slug, sizes) for slug in SIZES for sizes in SIZES[slug]]
TOKENS = torch.arange(20).reshape(2, 10)
IMAGES = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)


@pytest.mark.parametrize(("slug", "sizes"), CASES)
def test_the_recipe_holds_for_every_tensor_by_types_and_by_names(slug, sizes):
    module = build_model(slug, seed=5, **sizes)
    recipe = get_recipe(get_model(slug).recipe)
    state = module.state_dict()
    found, named = places(module), places({k: (t.shape, t.dtype) for k, t in state.items()})
    dims, again = infer_dims(found), infer_dims(named)
    for place, other in zip(found, named, strict=True):
        if place.role == "buffer":
            continue
        expectation = recipe.expected(place, dims)
        usual = [part.options[0] for part in expectation.parts]
        assert usual == [part.options[0] for part in recipe.expected(other, again).parts]
        for part in expectation.parts:
            values, law = state[place.name][part.index].contiguous(), part.options[0].law
            result = fit(measure(values, grid_for(law, values.numel(), "float32")), law)
            by_chance = (result.p_value or 0) > 1e-6
            by_chance = by_chance and abs(result.std_ratio - 1) < 6 * result.std_error
            assert result.agrees or by_chance, (place.name, result.verdict)


@pytest.mark.parametrize("slug", SIZES)
def test_the_same_seed_gives_the_same_model_in_any_thread(slug):
    sizes = SIZES[slug][0]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda seed: build_model(slug, seed=seed, **sizes), [1, 2, 1, 1]))
    one, two, *others = (model.state_dict() for model in models)
    assert all(one[name].equal(other[name]) for other in others for name in one)
    assert any(not one[name].equal(two[name]) for name in one)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize(
    ("slug", "inputs", "shape"),
    [
        ("mlp", torch.ones(2, 20), (2, 10)),
        ("cnn", IMAGES, (2, 10)),
        ("lstm", TOKENS, (2, 10, 50)),
        ("encoder", TOKENS, (2, 10, 32)),
        ("gpt", TOKENS, (2, 10, 50)),
        ("vit", IMAGES, (2, 10)),
    ],
)
def test_every_model_runs_and_every_parameter_matters(slug, inputs, shape):
    module = build_model(slug, **SIZES[slug][0])
    outputs = module(inputs)
    assert outputs.shape == shape
    # Weighted, since a normalised output sums to the same whatever came before.
    (outputs * torch.linspace(-1, 1, outputs.numel()).reshape(shape)).sum().backward()
    silent = {n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()}
    assert not {name for name in silent if not name.endswith("bias")}


def test_gpt_sees_no_later_token():
    module = build_model("gpt", **SIZES["gpt"][0])
    changed = TOKENS.clone()
    changed[:, 5:] = 40
    with torch.no_grad():
        assert torch.allclose(module(TOKENS)[:, :5], module(changed)[:, :5], atol=1e-6)
        assert not torch.allclose(module(TOKENS)[:, 5:], module(changed)[:, 5:], atol=1e-3)


def test_what_the_models_are_known_for():
    gpt, encoder = build_model("gpt"), build_model("encoder")
    tied = [place.name for place in places(gpt) if place.tied]
    assert tied == ["lm_head.weight"]
    first, second = (layer.state_dict() for layer in list(encoder.encoder.layers)[:2])
    assert all(first[name].equal(second[name]) for name in first)
    grouped = build_model("cnn", groups=4)
    assert grouped.layer2[0].conv2.groups == 4


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.slug)
def test_records_name_their_sizes(model):
    assert get_model(model.slug) is model
    assert get_recipe(model.recipe).slug == model.recipe
    for size in model.sizes:
        assert size.low <= size.default <= size.high
        assert size.help


@pytest.mark.parametrize(
    ("slug", "sizes", "message"),
    [
        ("resnet", {}, "model 'resnet' is not one of: mlp, cnn, lstm, encoder, gpt, vit"),
        ("gpt", {"layers": 3}, "gpt has no size 'layers': it has vocab, context, width, heads"),
        ("gpt", {"width": 0}, "width = 0: must be at least 1 and at most 4,096"),
        ("gpt", {"width": 10**40}, "width = that many: must be at least 1"),
        ("gpt", {"width": 64.0}, "width = 64.0: must be a whole number"),
        ("gpt", {"blocks": True}, "blocks = True: must be a whole number"),
        ("gpt", {"width": 30}, "heads = 4: must divide width = 30"),
        ("vit", {"patch": 5}, "patch = 5: must divide image = 32"),
        ("cnn", {"groups": 3}, "groups = 3: must divide width = 16"),
    ],
)
def test_bad_sizes_are_refused(slug, sizes, message):
    with pytest.raises(InitError, match=message):
        build_model(slug, **sizes)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.slug)
def test_the_largest_sizes_are_refused_before_anything_is_allocated(model):
    largest = {size.name: size.high for size in model.sizes} | {"patch": 64}
    largest = {name: value for name, value in largest.items() if name in SIZE_NAMES[model.slug]}
    with pytest.raises(InitError, match=f"parameters, at most {MAX_PARAMETERS:,}: choose smaller"):
        build_model(model.slug, **largest)


SIZE_NAMES = {model.slug: {size.name for size in model.sizes} for model in MODELS}
