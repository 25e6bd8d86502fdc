"""Shapes and fans against the real modules of torch.nn."""

import pytest
import torch
from torch import nn

from initcore.errors import InitError
from initcore.layers import DEFAULT_KERNEL, LAYERS, Layer, layer_kind

CONVOLUTIONS = [kind.slug for kind in LAYERS if kind.spatial]
MODULES = [
    (Layer("linear", (5, 7)), nn.Linear(5, 7)),
    (Layer("bilinear", (6, 4, 5)), nn.Bilinear(6, 4, 5)),
    (Layer("embedding", (20, 16)), nn.Embedding(20, 16)),
    (Layer("conv1d", (4, 6, 5)), nn.Conv1d(4, 6, 5)),
    (Layer("conv1d", (4, 6, 3), groups=2), nn.Conv1d(4, 6, 3, groups=2)),
    (Layer("conv2d", (4, 6, 1, 3)), nn.Conv2d(4, 6, (1, 3))),
    (Layer("conv2d", (6, 6, 3), groups=6), nn.Conv2d(6, 6, 3, groups=6)),
    (Layer("conv3d", (2, 4, 1, 2, 3), groups=2), nn.Conv3d(2, 4, (1, 2, 3), groups=2)),
    (Layer("conv_transpose1d", (4, 6, 5)), nn.ConvTranspose1d(4, 6, 5)),
    (Layer("conv_transpose1d", (4, 4, 3)), nn.ConvTranspose1d(4, 4, 3)),
    (Layer("conv_transpose1d", (4, 6, 3), groups=2), nn.ConvTranspose1d(4, 6, 3, groups=2)),
    (Layer("conv_transpose2d", (6, 4, 1, 3)), nn.ConvTranspose2d(6, 4, (1, 3))),
    (Layer("conv_transpose2d", (6, 3, 3), groups=3), nn.ConvTranspose2d(6, 3, 3, groups=3)),
    (Layer("conv_transpose3d", (2, 4, 1, 2, 3)), nn.ConvTranspose3d(2, 4, (1, 2, 3))),
]
every_module = pytest.mark.parametrize(
    ("layer", "module"), MODULES, ids=[layer.code for layer, _ in MODULES]
)


def test_every_kind_of_layer_is_checked():
    assert {layer.slug for layer, _ in MODULES} == {kind.slug for kind in LAYERS}


@every_module
def test_shapes_are_those_of_the_module(layer, module):
    assert layer.weight_shape == tuple(module.weight.shape)
    bias = getattr(module, "bias", None)
    assert layer.bias_shape == (None if bias is None else tuple(bias.shape))
    assert layer.count == module.weight.numel()
    assert layer.matrix_shape == tuple(module.weight.flatten(1).shape)


@every_module
def test_code_builds_the_same_module(layer, module):
    assert repr(eval(layer.code, {"nn": nn})) == repr(module)


@every_module
def test_fans_are_torchs(layer, module):
    torchs = nn.init._calculate_fan_in_and_fan_out(module.weight)
    assert (layer.fan_in, layer.fan_out) == torchs


def connections(layer, module):
    """(inputs that reach one output unit, outputs that one input unit reaches), by trying."""
    module = module.double().requires_grad_(False)
    module.weight.fill_(1.0)
    module.bias.zero_()
    # Wide enough for a unit in the middle to be clear of the edges.
    shape = (1, layer.size[0], *(4 * k + 1 for k in layer.kernel))
    zeros = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    output = module(zeros)
    centre = (0, 0, *(n // 2 for n in output.shape[2:]))
    output[centre].backward()
    one_hot = torch.zeros_like(zeros, requires_grad=False)
    one_hot[(0, 0, *(n // 2 for n in shape[2:]))] = 1.0
    return int(zeros.grad.count_nonzero()), int(module(one_hot).count_nonzero())


@pytest.mark.parametrize(
    ("layer", "module"),
    [pair for pair in MODULES if pair[0].slug not in {"bilinear", "embedding"}],
    ids=lambda value: getattr(value, "code", ""),
)
def test_effective_fans_count_the_connections(layer, module):
    assert connections(layer, module) == (layer.effective_fan_in, layer.effective_fan_out)


def test_effective_fans_of_an_embedding():
    layer, module = Layer("embedding", (20, 16)), nn.Embedding(20, 16)
    row = module(torch.tensor([3]))
    row[0, 0].backward(retain_graph=True)
    assert layer.effective_fan_in == int(module.weight.grad.count_nonzero())
    assert layer.effective_fan_out == row.numel()


def test_effective_fans_of_a_bilinear_count_its_products():
    layer, module = Layer("bilinear", (6, 4, 5)), nn.Bilinear(6, 4, 5)
    module(torch.ones(6), torch.ones(4))[0].backward()
    assert layer.effective_fan_in == int(module.weight.grad.count_nonzero())
    assert layer.effective_fan_out == module.weight[:, 0].numel()


@every_module
def test_a_note_explains_fans_exactly_where_they_differ(layer, module):
    agree = (layer.fan_in, layer.fan_out) == (layer.effective_fan_in, layer.effective_fan_out)
    assert (layer.fans_note == "") == agree
    assert ("groups in" in layer.fans_note) == (layer.groups > 1)
    assert ("transposed" in layer.fans_note) == (layer.kind.transposed and not agree)


@pytest.mark.parametrize("slug", CONVOLUTIONS)
def test_one_kernel_size_serves_all_axes(slug):
    axes = layer_kind(slug).spatial
    assert Layer(slug, (2, 4)).kernel == (DEFAULT_KERNEL,) * axes
    assert Layer(slug, (2, 4, 5)) == Layer(slug, (2, 4, *[5] * axes))


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.slug)
def test_sizes_carry_the_constructors_names(kind):
    sizes = {name: 2 * place for place, name in enumerate(kind.sizes, start=1)}
    kernel = {"kernel_size": DEFAULT_KERNEL} if kind.spatial else {}
    module = getattr(nn, kind.module)(**sizes, **kernel)
    assert Layer(kind.slug, tuple(sizes.values())).weight_shape == tuple(module.weight.shape)


def test_layers_are_values():
    assert Layer("linear", [3, 7]) == Layer("linear", (3, 7))
    assert len({Layer("conv1d", (2, 4)), Layer("conv1d", (2, 4, 3))}) == 1


@pytest.mark.parametrize(
    ("slug", "size", "groups", "parts"),
    [
        ("lstm", (5, 5), 1, ["'lstm'", "linear", "conv2d"]),
        ("linear", (5,), 1, ["[5]", "in_features", "out_features"]),
        ("linear", (5, 5, 5), 1, ["takes 2", "got 3"]),
        ("linear", (0, 5), 1, ["in_features = 0", "at least 1"]),
        ("linear", (5, -3), 1, ["out_features = -3", "at least 1"]),
        ("linear", (2.5, 5), 1, ["in_features = 2.5", "whole number"]),
        ("linear", ("5", 5), 1, ["in_features = 5", "whole number"]),
        ("linear", (True, 5), 1, ["in_features = True", "whole number"]),
        ("linear", (5, 5), 5, ["groups = 5", "only convolutions"]),
        ("linear", (10**400, 5), 1, ["in_features", "at most"]),
        ("bilinear", (5, 5), 1, ["takes 3"]),
        ("conv1d", (8,), 1, ["takes 3", "kernel"]),
        ("conv2d", (8, 16, 0), 1, ["kernel = 0", "at least 1"]),
        ("conv3d", (8, 16, 3, 3), 1, ["takes 3", "got 4"]),
        ("conv2d", (8, 16, 3), 3, ["groups = 3", "in_channels = 8", "out_channels = 16"]),
        ("conv2d", (8, 12, 3), 8, ["groups = 8", "out_channels = 12"]),
        ("conv2d", (12, 8, 3), 12, ["groups = 12", "out_channels = 8"]),
        ("conv2d", (8, 16, 3), 0, ["groups = 0"]),
        ("conv2d", (8, 16, 3), -2, ["groups = -2"]),
        ("conv2d", (8, 16, 3), 2.0, ["groups = 2.0", "whole number"]),
        ("conv2d", (8, 16, 3), "2", ["groups = 2", "whole number"]),
    ],
)
def test_impossible_sizes_name_the_value_and_what_is_allowed(slug, size, groups, parts):
    with pytest.raises(InitError) as caught:
        Layer(slug, size, groups=groups)
    for part in parts:
        assert part in str(caught.value)
