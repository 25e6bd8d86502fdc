"""Auditing a checkpoint of 2 GB, made on the spot, on all cores as a user would."""

import atexit
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import lovely_tensors
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.table import Row, ms, side_by_side
from initcore.audit import audit


@cache
def _checkpoint(quick: bool) -> str:
    """A language model at its initialisation, in float32: 2 GB, or 0.2."""
    generator = torch.Generator().manual_seed(0)
    width, vocab, layers = (768, 16_000, 5) if quick else (2048, 48_000, 8)
    shapes = {"model.embed_tokens": (vocab, width)}
    for layer in range(layers):
        block = f"model.layers.{layer}"
        shapes |= {f"{block}.self_attn.{name}_proj": (width, width) for name in "qkvo"}
        shapes[f"{block}.mlp.up_proj"] = (4 * width, width)
        shapes[f"{block}.mlp.down_proj"] = (width, 4 * width)
        shapes[f"{block}.input_layernorm"] = (width,)
    state = {
        f"{name}.weight": torch.empty(shape).normal_(0, 0.02, generator=generator)
        if len(shape) > 1
        else torch.ones(shape)
        for name, shape in shapes.items()
    }
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = str(Path(folder.name) / "model.safetensors")
    save_file(state, path)
    return path


def _name(path: str, what: str) -> str:
    return f"{what}, {Path(path).stat().st_size / 1e9:.1f} GB"


def audit_to_numpy(quick: bool) -> Row:
    path = _checkpoint(quick)

    def peer() -> None:
        with safe_open(path, "np") as file:
            for name in file.keys():  # noqa: SIM118, a safe_open is no dict
                values = file.get_tensor(name)
                values.min(), values.max(), values.mean(), values.std()
                np.histogram(values, bins=100)

    mine, theirs, ratio = side_by_side(lambda: audit(path), peer, 3 if quick else 15)
    name = _name(path, "audit ÷ numpy min, max, mean, std, histogram")
    return Row(name, ms(mine), ms(theirs), ratio, must=0.40, aim=0.25)


def lovely_to_audit(quick: bool) -> Row:
    path = _checkpoint(quick)

    def peer() -> None:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118, a safe_open is no dict
                str(lovely_tensors.lovely(file.get_tensor(name)))

    theirs, mine, ratio = side_by_side(peer, lambda: audit(path), 1 if quick else 15)
    name = _name(path, "lovely-tensors' str of every tensor ÷ audit")
    return Row(name, ms(mine), ms(theirs), ratio, must=6, aim=10, more_is_better=True)


# In a process of its own: what an audit adds to the peak of a process that has audited before.
_AUDIT = """
import re, sys
from pathlib import Path
from torch import nn
from initcore.audit import audit

def memory(name):
    status = Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s+(\\d+) kB", status)[1]) * 1024

audit(nn.Linear(256, 256))
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = memory("VmRSS")
audit(sys.argv[1])
print((memory("VmHWM") - before) / 1e6)
"""


def audit_memory(quick: bool) -> Row:
    path = _checkpoint(quick)
    command = [sys.executable, "-c", _AUDIT, path]
    result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    extra = float(result.stdout)
    held = f"{Path(path).stat().st_size / 1e6:,.0f} MB on disk"
    name = _name(path, "peak extra memory of an audit")
    return Row(name, f"{extra:.0f} MB", held, extra, must=500, unit="MB")


ROWS = (audit_to_numpy, lovely_to_audit, audit_memory)
