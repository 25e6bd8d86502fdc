"""A deep network forwards and backwards, on one thread."""

import torch
from torch import nn

from benchmarks.table import Row, ms, side_by_side, threads
from initcore.network import Network
from initcore.propagation import Statistics, Weights, run


def propagation_to_autograd(quick: bool) -> Row:
    """Every statistic of every layer, against the two passes of the same network and no more."""
    depth, rounds = (20, 5) if quick else (50, 31)
    network = Network(depth=depth, width=512, batch=256, activation="tanh")
    weights = Weights(network, 0, keep=True)
    modules = []
    for layer in range(1, depth + 1):
        linear = nn.Linear(512, 512)
        with torch.no_grad():
            linear.weight.copy_(weights[layer][0])
            linear.bias.copy_(weights[layer][1])
        modules += [linear, nn.Tanh()]
    module = nn.Sequential(*modules)
    inputs, gradient = torch.randn(2, 256, 512).unbind()

    def ours() -> None:
        run(network, weights, inputs, gradient, Statistics(network))

    def peer() -> None:
        module.zero_grad()
        module(inputs).backward(gradient)

    with threads(1):
        mine, theirs, ratio = side_by_side(ours, peer, rounds)
    name = f"MLP of {depth} × 512 with statistics ÷ autograd forwards and backwards"
    return Row(name, ms(mine), ms(theirs), ratio, must=0.95, aim=0.80)


ROWS = (propagation_to_autograd,)
