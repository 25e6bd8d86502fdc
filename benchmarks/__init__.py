"""Side-by-side measurements against peers: ``python -m benchmarks`` prints one table.

Speed is measured here only, never in the tests. Every figure but the payload's and the memory's is
a ratio to a peer that runs beside it, so that it means the same on any machine.
"""
