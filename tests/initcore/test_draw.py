"""Draws against torch itself, bit for bit: whole, in threads and block by block."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from initcore.draw import BLOCK, DTYPES, MAX_SEED, Limits, Spec, Stream, can_stream, draw, draw_spec
from initcore.errors import InitError
from initcore.layers import LAYERS, Layer
from initcore.schemes import Init, schemes

DETERMINISTIC = {"constant", "zeros", "ones", "eye", "dirac"}
TORCH_LAYERS = [
    Layer("linear", (30, 20)),
    Layer("conv2d", (4, 6, 3), groups=2),
    Layer("embedding", (12, 9)),
]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def allowed(layer, slug, dtype):
    try:
        return Spec(layer, Init(slug), dtype=dtype)
    except InitError:
        return None


SPECS = [
    spec
    for dtype in DTYPES
    for layer in TORCH_LAYERS
    for slug in schemes()
    if (spec := allowed(layer, slug, dtype))
]


def same(first, second):
    return torch.equal(first.weight, second.weight) and (
        second.bias is None if first.bias is None else torch.equal(first.bias, second.bias)
    )


def fill_by_torch(tensor, init, layer, generator, seed):
    """The torch call a reader would write for this scheme."""
    slug, params = init.slug, dict(init.params)
    if slug == "default" and tensor.dim() == 1:
        bound = 1 / math.sqrt(layer.fan_in)
        nn.init.uniform_(tensor, -bound, bound, generator=generator)
    elif slug == "default" and layer.slug == "embedding":
        nn.init.normal_(tensor, generator=generator)
    elif slug == "default":
        nn.init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=generator)
    elif slug.startswith("lecun"):
        function = getattr(nn.init, slug.replace("lecun", "kaiming") + "_")
        function(tensor, nonlinearity="linear", generator=generator)
    elif slug == "dirac":
        nn.init.dirac_(tensor, layer.groups)
    elif slug == "sparse":
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            nn.init.sparse_(tensor, **params, generator=generator)
    elif slug in DETERMINISTIC:
        getattr(nn.init, f"{slug}_")(tensor, **params)
    else:
        getattr(nn.init, f"{slug}_")(tensor, **params, generator=generator)


def test_every_scheme_and_dtype_is_drawn():
    assert {spec.weight.slug for spec in SPECS} == set(schemes())
    for slug in schemes():
        dtypes = {spec.dtype for spec in SPECS if spec.weight.slug == slug}
        assert dtypes == ({"float32", "float64"} if slug == "orthogonal" else set(DTYPES))


@pytest.mark.parametrize("bias", ["default", "normal", "ones"])
@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: f"{spec.layer.slug} {spec.weight.slug} {spec.dtype}"
)
def test_weight_then_bias_share_one_generator(spec, bias):
    layer, dtype, seed = spec.layer, DTYPES[spec.dtype], 11
    generator = torch.Generator().manual_seed(seed)
    weight = torch.empty(layer.weight_shape, dtype=dtype)
    fill_by_torch(weight, spec.weight, layer, generator, seed)
    has_bias = layer.bias_shape is not None
    drawn = draw(layer, spec.weight, bias if has_bias else "default", seed=seed, dtype=spec.dtype)
    assert drawn.weight.dtype == dtype
    assert torch.equal(drawn.weight, weight)
    if has_bias:
        expected = torch.empty(layer.bias_shape, dtype=dtype)
        fill_by_torch(expected, Init(bias), layer, generator, seed)
        assert torch.equal(drawn.bias, expected)
    else:
        assert drawn.bias is None


@every_dtype
@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.slug)
def test_default_is_the_module_as_constructed(kind, dtype):
    size = tuple(6 + 2 * place for place in range(len(kind.sizes)))
    for layer in (Layer(kind.slug, size), *([Layer(kind.slug, size, 2)] if kind.spatial else [])):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            module = eval(f"{layer.code[:-1]}, dtype=torch.{dtype})", {"nn": nn, "torch": torch})
        drawn = draw(layer, seed=5, dtype=dtype)
        assert torch.equal(drawn.weight, module.weight)
        assert (drawn.bias is None) == (getattr(module, "bias", None) is None)
        assert drawn.bias is None or torch.equal(drawn.bias, module.bias)


def test_seeds_give_different_draws_and_the_same_seed_the_same():
    layer = Layer("linear", (30, 20))
    first, again, other = (draw(layer, "xavier_normal", seed=seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


def test_drawing_leaves_torchs_global_generator_alone():
    before = torch.get_rng_state()
    for spec in SPECS:
        draw_spec(spec)
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_draw_the_same_while_others_use_the_global_generator():
    layer = Layer("linear", (60, 50))
    slugs = ("sparse", "orthogonal", "kaiming_uniform", "trunc_normal", "default")
    specs = [Spec(layer, Init(slug), Init("normal"), seed=7) for slug in slugs]
    alone = [draw_spec(spec) for spec in specs]
    done = threading.Event()

    def hammer():
        while not done.is_set():
            torch.manual_seed(torch.randint(100, ()).item())
            torch.randperm(50)

    with torch.random.fork_rng(), ThreadPoolExecutor(42) as pool:
        noise = [pool.submit(hammer) for _ in range(2)]
        try:
            runs = list(pool.map(lambda _: [draw_spec(spec) for spec in specs], range(40)))
        finally:
            done.set()
        for future in noise:
            future.result()
    for run in runs:
        assert all(same(first, second) for first, second in zip(alone, run, strict=True))


def test_params_belong_to_a_slug_or_to_an_init():
    layer = Layer("linear", (3, 2))
    by_name = draw(layer, "uniform", a=0.0, b=3.0)
    assert same(by_name, draw(layer, Init("uniform", {"a": 0.0, "b": 3.0})))
    with pytest.raises(InitError, match="gain"):
        draw(layer, Init("xavier_uniform"), gain=2.0)


@pytest.mark.parametrize(
    ("field", "value", "parts"),
    [
        ("dtype", "int8", ["'int8'", "float32", "bfloat16"]),
        ("seed", -1, ["seed = -1", "at least 0"]),
        ("seed", MAX_SEED + 1, [f"seed = {MAX_SEED + 1}", f"at most {MAX_SEED}"]),
        ("seed", 1.5, ["seed = 1.5", "whole number"]),
        ("seed", True, ["seed = True", "whole number"]),
    ],
)
def test_impossible_specs_name_the_value_and_what_is_allowed(field, value, parts):
    with pytest.raises(InitError) as caught:
        Spec(Layer("linear", (3, 2)), Init("normal"), **{field: value})
    for part in parts:
        assert part in str(caught.value)


def test_specs_are_values():
    layer = Layer("linear", (3, 2))
    assert Spec(layer, Init("normal"), seed=MAX_SEED).seed == MAX_SEED
    assert len({Spec(layer, Init("normal")), Spec(layer, Init("normal", {"std": 1}))}) == 1
    assert Spec(Layer("embedding", (3, 2)), Init("normal")).bias is None


# --- streams ------------------------------------------------------------------------------------

STREAMABLE = list(dict.fromkeys(spec.weight.slug for spec in SPECS if can_stream(spec)))
SHORT = [1, 15, 16, 17, 31, 1000]
LONG = [BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 15, BLOCK + 16, 2 * BLOCK + 7]


def assert_streams_as_drawn(spec):
    stream = Stream(spec)
    weight = torch.full((spec.layer.count,), math.nan, dtype=DTYPES[spec.dtype])
    memory, largest = set(), 0
    for offset, block in stream:
        weight[offset : offset + len(block)] = block
        memory.add(block.data_ptr())
        largest = max(largest, len(block))
    drawn = draw_spec(spec)
    assert torch.equal(weight, drawn.weight.flatten())
    assert torch.equal(stream.bias(), drawn.bias)
    assert len(memory) <= 2
    assert largest < BLOCK + 16


def test_schemes_of_independent_entries_are_streamable():
    whole = {"orthogonal", "trunc_normal", "sparse", "eye", "dirac"}
    assert set(STREAMABLE) == set(schemes()) - whole


@every_dtype
@pytest.mark.parametrize("slug", STREAMABLE)
def test_short_streams_equal_draws(slug, dtype):
    for total in SHORT:
        spec = Spec(Layer("linear", (total, 1)), Init(slug), Init("normal"), 3, dtype)
        assert_streams_as_drawn(spec)


@every_dtype
@pytest.mark.parametrize("slug", ["uniform", "normal", "constant"])
def test_long_streams_equal_draws(slug, dtype):
    for total in LONG:
        spec = Spec(Layer("linear", (total, 1)), Init(slug), Init("normal"), 3, dtype)
        assert_streams_as_drawn(spec)


@pytest.mark.parametrize("slug", STREAMABLE)
def test_streams_of_matrices_equal_draws(slug):
    layer = Layer("linear", (1000, BLOCK // 1000 + 7))
    assert_streams_as_drawn(Spec(layer, Init(slug), Init("uniform"), 3))


def test_a_stream_without_bias():
    assert Stream(Spec(Layer("embedding", (3, 2)), Init("normal"))).bias() is None


@pytest.mark.parametrize(
    "init", [Init("orthogonal"), Init("sparse"), Init("eye"), Init("normal", {"std": 0.0})]
)
def test_what_needs_the_whole_tensor_cannot_stream(init):
    with pytest.raises(InitError, match=f"{init.slug} needs the whole tensor"):
        Stream(Spec(Layer("linear", (9, 5)), init))


# --- limits -------------------------------------------------------------------------------------

HUGE = 10**9


def test_plan_holds_up_to_the_limit_streams_up_to_the_next_and_then_refuses():
    limits = Limits(hold_mb=1.0, stream_mb=2.0)
    # 4 bytes each: 249 · 1000 weights and 1000 biases are one MB exactly.
    assert limits.plan(Spec(Layer("linear", (249, 1000)), Init("normal"))) == "hold"
    assert limits.plan(Spec(Layer("linear", (250, 1000)), Init("normal"))) == "stream"
    assert limits.plan(Spec(Layer("linear", (500, 1000)), Init("normal"))) == "stream"
    with pytest.raises(InitError, match=r"1,000 × 501 .* 2 MB: .*INITCORE_STREAM_MB"):
        limits.plan(Spec(Layer("linear", (501, 1000)), Init("normal")))


def test_plan_counts_bytes_and_working_copies():
    limits = Limits(hold_mb=1.0, stream_mb=2.0)
    halves = Spec(Layer("linear", (499, 1000)), Init("normal"), dtype="bfloat16")
    assert limits.plan(halves) == "hold"
    doubles = Spec(Layer("linear", (249, 1000)), Init("normal"), dtype="float64")
    assert limits.plan(doubles) == "stream"
    copies = schemes()["orthogonal"].working_copies
    assert copies > 1
    fits = Spec(Layer("linear", (249 // copies, 1000)), Init("orthogonal"))
    assert limits.plan(fits) == "hold"
    with pytest.raises(InitError, match=r"orthogonal .* 1 MB: .*INITCORE_HOLD_MB"):
        limits.plan(Spec(Layer("linear", (249, 1000)), Init("orthogonal")))


def test_plan_refuses_a_bias_too_large_to_hold():
    with pytest.raises(InitError, match=r"bias takes .*INITCORE_HOLD_MB"):
        Limits(hold_mb=1.0, stream_mb=1e6).plan(Spec(Layer("linear", (1, 10**6)), Init("normal")))


@pytest.mark.parametrize("slug", ["normal", "orthogonal", "sparse", "zeros", "default"])
def test_what_no_machine_could_hold_is_refused_before_anything_is_allocated(slug):
    spec = Spec(Layer("linear", (HUGE, HUGE)), Init(slug))
    with pytest.raises(InitError, match="1,000,000,000 × 1,000,000,000"):
        Limits().plan(spec)


def test_environment_sets_the_limits(monkeypatch):
    monkeypatch.delenv("INITCORE_HOLD_MB", raising=False)
    monkeypatch.delenv("INITCORE_STREAM_MB", raising=False)
    assert Limits.from_environment() == Limits()
    monkeypatch.setenv("INITCORE_HOLD_MB", "12.5")
    monkeypatch.setenv("INITCORE_STREAM_MB", "1e3")
    assert Limits.from_environment() == Limits(12.5, 1000.0)


@pytest.mark.parametrize("name", ["INITCORE_HOLD_MB", "INITCORE_STREAM_MB"])
@pytest.mark.parametrize("text", ["lots", "", "nan"])
def test_environment_that_is_no_number_is_named(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(InitError, match=f"{name} = {text}: must be a number"):
        Limits.from_environment()
