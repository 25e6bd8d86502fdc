"""Figures as plain data: what the browser is sent is what Plotly itself would send."""

import numpy as np
import pytest

from initcore import Init, Layer, Spec, describe
from initcore.figures.style import LIGHT, Chart
from initcore.figures.weights import densities, heatmap, histogram, law_shape

REPORTS = [
    describe(Spec(layer, Init(slug)))
    for layer, slug in (
        (Layer("linear", (300, 200)), "xavier_uniform"),
        (Layer("linear", (5, 5)), "sparse"),
        (Layer("conv1d", (4, 4, 3)), "dirac"),
    )
]
CHARTS = [
    make(report)
    for report in REPORTS
    for make in (
        lambda report: heatmap(report, LIGHT),
        lambda report: histogram(report, LIGHT),
        lambda report: densities([report], ["scheme"], LIGHT),
        lambda report: law_shape(report.weight.law, LIGHT),
    )
]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.alt[:30])
def test_the_browser_is_sent_what_plotly_would_send(chart):
    sent, plotlys = chart.for_browser()["data"], chart.figure.to_dict()["data"]
    for trace, reference in zip(sent, plotlys, strict=True):
        empty = {key: [] for key, value in reference.items() if np.size(value) == 0}
        assert trace == reference | empty


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_arrays_of_any_shape_keep_their_values(dtype):
    values = np.arange(6).reshape(2, 3).astype(dtype)[:, ::-1]
    chart = Chart({"data": [{"type": "heatmap", "z": values}], "layout": {}}, "")
    assert chart.for_browser()["data"] == list(chart.figure.to_dict()["data"])
