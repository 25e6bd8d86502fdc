"""Figures: initcore's results as Plotly figures, each with a sentence that states its finding.

Pure functions: data in, ``Chart`` out; pages and notebooks share them. One colour each stands for
what was measured, for the law and for the Xavier bounds, everywhere. ``style`` holds what they
share, the other files a subject each.
"""
