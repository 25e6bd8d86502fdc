"""Export: drawn tensors as files, in full precision, each with the torch version that made it.

>>> from initcore.draw import draw
>>> from initcore.layers import Layer
>>> print(csv(draw(Layer("linear", (2, 1)), "constant", val=0.5)).splitlines()[-1])
0.5,0.5
"""

from __future__ import annotations

import json

import torch
from safetensors.torch import save

from initcore.draw import Draw, Spec
from initcore.errors import InitError

# A spreadsheet opens no more, and the text would take ten times the tensor's memory.
MAX_CSV = 1_000_000


def _made_by(spec: Spec) -> str:
    params = ", ".join(f"{name}={value}" for name, value in spec.weight.params.items())
    return (
        f"{spec.layer.code}.weight, {spec.weight.slug}({params}), seed {spec.seed}, "
        f"{spec.dtype}, torch {torch.__version__}"
    )


def csv(drawn: Draw) -> str:
    """The weight as a matrix, a line a row, below a comment line that says what it is.

    Read it with ``pandas.read_csv(path, comment="#", header=None)``. Raises InitError above
    ``MAX_CSV`` entries.
    """
    entries = drawn.weight.numel()
    if entries > MAX_CSV:
        raise InitError(
            f"{entries:,} weights are too many for a CSV, which takes at most {MAX_CSV:,}: "
            "take the safetensors file"
        )
    # The shortest text that reads back as the same number, in the tensor's own precision.
    matrix = drawn.weight.reshape(drawn.weight.shape[0], -1)
    rows = matrix.double() if matrix.dtype.itemsize == 8 else matrix.float()
    lines = [",".join(map(str, row)) for row in rows.numpy()]
    return "\n".join([f"# {_made_by(drawn.spec)}", *lines, ""])


def safetensors(drawn: Draw) -> bytes:
    """Weight and bias under the module's own names; the metadata holds how they were made."""
    tensors = {"weight": drawn.weight}
    if drawn.bias is not None:
        tensors["bias"] = drawn.bias
    made_by = {"made_by": _made_by(drawn.spec), "torch_version": torch.__version__}
    settings = {"seed": drawn.spec.seed, "scheme": drawn.spec.weight.slug}
    return save(tensors, metadata=made_by | {"settings": json.dumps(settings)})
