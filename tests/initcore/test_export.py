"""Export: files read back as the very tensors, and say what made them."""

import io
import json

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load

from initcore.draw import DTYPES, draw
from initcore.errors import InitError
from initcore.export import MAX_CSV, csv, safetensors
from initcore.layers import Layer

LAYERS = [Layer("linear", (7, 4)), Layer("conv2d", (3, 2, 3)), Layer("embedding", (6, 5))]
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.slug)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@every_layer
@every_dtype
def test_a_csv_reads_back_bit_for_bit(layer, dtype):
    drawn = draw(layer, "normal", std=0.02, seed=1, dtype=dtype)
    lines = csv(drawn).splitlines()
    # 16-bit values are written as the float32 they are exactly.
    width = torch.float64 if dtype == "float64" else torch.float32
    read = torch.tensor([[float(x) for x in line.split(",")] for line in lines[1:]], dtype=width)
    assert torch.equal(read, drawn.weight.reshape(layer.matrix_shape).to(width))
    assert torch.equal(read.to(DTYPES[dtype]).reshape(layer.weight_shape), drawn.weight)


def test_a_csv_reads_in_pandas_below_its_comment():
    drawn = draw(LAYERS[0], "normal", seed=1)
    frame = pd.read_csv(io.StringIO(csv(drawn)), comment="#", header=None, dtype="float32")
    assert torch.equal(torch.from_numpy(frame.to_numpy().copy()), drawn.weight)


def test_a_csv_says_what_made_it():
    first = csv(draw(LAYERS[0], "normal", std=0.02, seed=7)).splitlines()[0]
    assert first.startswith("#")
    for fact in ("nn.Linear(7, 4)", "normal", "0.02", "7", "float32", torch.__version__):
        assert fact in first


def test_a_csv_too_large_is_refused_with_the_way_out():
    fits, too_large = Layer("linear", (1000, 1000)), Layer("linear", (1000, 1001))
    assert fits.count == MAX_CSV
    assert csv(draw(fits, "zeros")).count("\n") == 1001
    with pytest.raises(InitError, match=r"1,001,000.*safetensors"):
        csv(draw(too_large, "zeros"))


@every_layer
@every_dtype
def test_safetensors_read_back_bit_for_bit(layer, dtype):
    drawn = draw(layer, "normal", seed=2, dtype=dtype)
    read = load(safetensors(drawn))
    assert torch.equal(read.pop("weight"), drawn.weight)
    if drawn.bias is not None:
        assert torch.equal(read.pop("bias"), drawn.bias)
    assert not read


def test_safetensors_load_into_the_module():
    drawn = draw(LAYERS[0], "orthogonal", seed=2)
    module = torch.nn.Linear(7, 4)
    module.load_state_dict(load(safetensors(drawn)), strict=True)
    assert torch.equal(module.weight, drawn.weight)


def test_safetensors_say_what_made_them(tmp_path):
    path = tmp_path / "drawn.safetensors"
    path.write_bytes(safetensors(draw(LAYERS[0], "normal", std=0.02, seed=7)))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["torch_version"] == torch.__version__
    assert json.loads(metadata["settings"]) == {"seed": 7, "scheme": "normal"}
    assert "nn.Linear(7, 4)" in metadata["made_by"]
    assert "0.02" in metadata["made_by"]
