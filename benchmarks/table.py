"""The table: rows, how two calls are timed side by side, and how it is all printed."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One comparison. ``figure`` is what has to meet ``must``, and should meet ``aim``."""

    name: str
    ours: str
    peer: str
    figure: float
    must: float
    aim: float | None = None
    unit: str = "×"
    more_is_better: bool = False

    def meets(self, target: float | None) -> bool:
        if target is None:
            return True
        return self.figure >= target if self.more_is_better else self.figure <= target

    def target(self, value: float | None) -> str:
        if value is None:
            return "–"
        return f"{'≥' if self.more_is_better else '≤'} {value:g}"


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(ours: Call, peer: Call, rounds: int) -> tuple[float, float, float]:
    """Median seconds of both and the median of ours ÷ peer, a round being one of each."""
    ours(), peer()  # warm-up
    times = [(_seconds(ours), _seconds(peer)) for _ in range(rounds)]
    first, second = zip(*times, strict=True)
    ratio = statistics.median(a / b for a, b in times)
    return statistics.median(first), statistics.median(second), ratio


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ms(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"


HEADINGS = ("", "ours", "peer", "figure", "must", "aim", "")


def cells(row: Row) -> tuple[str, ...]:
    figure = f"{row.figure:.3g} {row.unit}"
    status = "ok" if row.meets(row.must) else "MISSED"
    return (row.name, row.ours, row.peer, figure, row.target(row.must), row.target(row.aim), status)


def show(lines: list[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    for line in lines:
        first, *rest = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print(first, *rest, sep="  ")


def show_missed(rows: list[Row]) -> None:
    for word in ("must", "aim"):
        missed = [row for row in rows if not row.meets(getattr(row, word))]
        print(f"\nMissed targets ({word}): {len(missed)} of {len(rows)}")
        for row in missed:
            target = row.target(getattr(row, word))
            print(f"  {row.name}: {row.figure:.3g} {row.unit}, {word} {target}")
