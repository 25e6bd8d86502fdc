"""Drawing and measuring a weight that is never held, on torch's default threads."""

import subprocess
import sys

from benchmarks.table import Row, ms, side_by_side
from initcore.draw import Spec, Stream
from initcore.layers import Layer
from initcore.measure import Heat, grid_for, measure_stream
from initcore.report import HEAT_SIDE
from initcore.schemes import Init, xavier_bound


def _stream_to_sampling(side: int, rounds: int) -> Row:
    spec = Spec(Layer("linear", (side, side)), Init("xavier_uniform"))
    law, bound = spec.weight.law(spec.slot("weight")), xavier_bound(spec.layer)

    def ours() -> None:
        heat = Heat.empty((side, side), HEAT_SIDE)
        grid = grid_for(law, spec.layer.count, spec.dtype, bound)
        measure_stream(Stream(spec), grid, heat=heat)

    def peer() -> None:
        for _ in Stream(spec):
            pass

    mine, theirs, ratio = side_by_side(ours, peer, rounds)
    name = f"sampled and measured, streamed ÷ sampled, {side}²"
    return Row(name, ms(mine), ms(theirs), ratio, must=1.25, aim=1.10)


def streamed_to_sampled(quick: bool) -> Row:
    return _stream_to_sampling(2048, 5) if quick else _stream_to_sampling(4096, 21)


def streamed_to_sampled_larger(quick: bool) -> Row:
    return _stream_to_sampling(4096, 3) if quick else _stream_to_sampling(8192, 15)


# In a process of its own: what streaming adds to the peak of a process that has drawn before.
_DESCRIBE = """
import re, sys
from pathlib import Path
from initcore import Init, Layer, Limits, Spec, describe

def memory(name):
    status = Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s+(\\d+) kB", status)[1]) * 1024

def streamed(side):
    spec = Spec(Layer("linear", (side, side)), Init("xavier_uniform"))
    assert describe(spec, Limits(hold_mb=0.1)).streamed

streamed(256)
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = memory("VmRSS")
streamed(int(sys.argv[1]))
print((memory("VmHWM") - before) / 1e6)
"""


def streamed_memory(quick: bool) -> Row:
    side = 4096 if quick else 16384
    command = [sys.executable, "-c", _DESCRIBE, str(side)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    extra = float(result.stdout)
    name = f"peak extra memory of a streamed {side}² describe"
    whole = f"{4 * side**2 / 1e6:,.0f} MB held"
    return Row(name, f"{extra:.1f} MB", whole, extra, must=48, aim=24, unit="MB")


ROWS = (streamed_to_sampled, streamed_to_sampled_larger, streamed_memory)
