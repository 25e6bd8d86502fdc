"""Snippets are executed: what they build must be the draw, bit for bit."""

import subprocess
import sys

import pytest
import torch

from initcore.draw import DTYPES, Spec, draw_spec
from initcore.errors import InitError
from initcore.layers import Layer
from initcore.schemes import Init, schemes
from initcore.snippet import script, snippet

LAYERS = [
    Layer("linear", (7, 9)),
    Layer("bilinear", (3, 4, 5)),
    Layer("conv1d", (4, 6, 3), groups=2),
    Layer("conv_transpose2d", (4, 6, 1, 3)),
    Layer("embedding", (11, 6)),
]
BIASES = ["default", "zeros", "normal", "uniform"]
PARAMS = {
    "xavier_uniform": {"gain": 5 / 3},
    "kaiming_normal": {"a": 0.2, "mode": "fan_out"},
    "trunc_normal": {"std": 0.02, "a": -0.04, "b": 0.04},
    "normal": {"mean": -0.1, "std": 1e-5},
    "sparse": {"sparsity": 0.3},
}


def allowed(*parts):
    try:
        return [Spec(*parts)]
    except InitError:
        return []


SPECS = [
    spec
    for layer in LAYERS
    for slug in schemes()
    for bias in (BIASES if layer.bias_shape else ["default"])
    for dtype in DTYPES
    for spec in allowed(layer, Init(slug, PARAMS.get(slug, {})), Init(bias), 2**40 + 5, dtype)
]


def assert_builds_the_draw(code, spec):
    space = {}
    with torch.random.fork_rng():
        exec(code, space)
    layer, drawn = space["layer"], draw_spec(spec)
    assert layer.weight.dtype == DTYPES[spec.dtype]
    assert torch.equal(layer.weight, drawn.weight)
    assert (drawn.bias is None) == (getattr(layer, "bias", None) is None)
    assert drawn.bias is None or torch.equal(layer.bias, drawn.bias)


def test_every_scheme_is_executed():
    assert {spec.weight.slug for spec in SPECS} == set(schemes())


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.slug)
@pytest.mark.parametrize("slug", schemes())
def test_snippets_build_the_draw(slug, layer):
    for spec in SPECS:
        if (spec.layer, spec.weight.slug) == (layer, slug):
            assert_builds_the_draw(snippet(spec), spec)


def test_the_default_needs_no_initialiser():
    code = snippet(Spec(LAYERS[0], Init("default"), seed=3))
    assert "init" not in code
    assert code.endswith("torch.manual_seed(3)\nlayer = nn.Linear(7, 9)")


def test_a_snippet_says_no_more_than_it_must():
    code = snippet(Spec(LAYERS[0], Init("zeros"), Init("ones"), seed=3))
    assert "Generator" not in code
    assert "manual_seed" not in code
    assert snippet(Spec(LAYERS[0], Init("normal"))).count("manual_seed") == 1


def test_a_decomposition_is_made_on_as_many_threads_as_the_draw(threads):
    # From about 64 × 64 on, torch.linalg.qr rounds otherwise on two threads.
    spec = Spec(Layer("linear", (100, 100)), Init("orthogonal"))
    threads(1)
    code, drawn = snippet(spec), draw_spec(spec)
    threads(2)
    space = {}
    exec(code, space)
    assert torch.equal(space["layer"].weight, drawn.weight)


def test_the_file_names_its_torch_and_runs_alone(tmp_path):
    spec = Spec(LAYERS[0], Init("sparse"), Init("normal"), seed=4)
    path = tmp_path / "layer.py"
    path.write_text(f"{script(spec)}torch.save(layer.state_dict(), 'layer.pt')\n")
    assert torch.__version__ in path.read_text().splitlines()[0]
    subprocess.run([sys.executable, path.name], cwd=tmp_path, check=True, timeout=120)
    state, drawn = torch.load(tmp_path / "layer.pt"), draw_spec(spec)
    assert torch.equal(state["weight"], drawn.weight)
    assert torch.equal(state["bias"], drawn.bias)
