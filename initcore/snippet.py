"""Snippet: runnable PyTorch code that gives the same tensors, bit for bit.

>>> from initcore.layers import Layer
>>> from initcore.schemes import Init
>>> print(snippet(Spec(Layer("linear", (5, 5)), Init("default"), seed=3)))
import torch
from torch import nn
<BLANKLINE>
torch.manual_seed(3)
layer = nn.Linear(5, 5)
"""

from __future__ import annotations

import torch

from initcore.draw import Spec
from initcore.layers import ROLES


def snippet(spec: Spec) -> str:
    """The code, without a final newline; it defines ``layer`` and needs torch alone."""
    module = spec.layer.code
    if spec.dtype != "float32":
        module = f"{module[:-1]}, dtype=torch.{spec.dtype})"
    lines = ["import torch", "from torch import nn", ""]
    if spec.is_pure_default:
        return "\n".join([*lines, f"torch.manual_seed({spec.seed})", f"layer = {module}"])
    calls = [
        init.call(spec.slot(role)).code(f"layer.{role}")
        for role in ROLES
        if (init := spec.init(role)) is not None
    ]
    if spec.weight.slug == "orthogonal":
        threads = torch.get_num_threads()
        lines.append(f"torch.set_num_threads({threads})  # another number rounds otherwise")
    lines.append(f"layer = {module}")
    if any("generator=g" in call for call in calls):
        lines.append(f"g = torch.Generator().manual_seed({spec.seed})")
    if spec.weight.slug == "sparse":
        lines.append(f"torch.manual_seed({spec.seed})  # sparse_ draws its zeros without g")
    return "\n".join([*lines, *calls])


def script(spec: Spec) -> str:
    """The snippet as a file, headed by what it reproduces and on which torch."""
    head = f"# Made by Init Explorer. Same values, bit for bit, on torch {torch.__version__} (CPU)."
    return f"{head}\n{snippet(spec)}\n"
