"""``python -m benchmarks``: one table of all rows; ``--quick`` for fewer rounds, smaller sizes."""

import argparse
import os
import sys

import torch

from benchmarks import (
    auditing,
    exactness,
    measuring,
    pages,
    propagation,
    spectrum,
    streaming,
    visitors,
)
from benchmarks.table import HEADINGS, cells, show, show_missed

ROWS = (
    *measuring.ROWS,
    *streaming.ROWS,
    *auditing.ROWS,
    *exactness.ROWS,
    *propagation.ROWS,
    *spectrum.ROWS,
    *pages.ROWS,
    *visitors.ROWS,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes")
    quick = parser.parse_args().quick
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"torch {torch.__version__}, {cores} cores, load {load:.1f} before the start\n")
    rows = []
    for make in ROWS:
        print(f"{make.__name__} …", file=sys.stderr)
        rows.append(make(quick))
    show([HEADINGS, *(cells(row) for row in rows)])
    show_missed(rows)


if __name__ == "__main__":
    main()
