"""Compare: up to six schemes on one layer and one seed."""

import streamlit as st

from initcore import Init, InitError, Layer, Report, Spec, schemes
from initcore.figures.weights import (
    densities,
    density_top,
    heat_range,
    heatmap,
    histogram,
    value_range,
)
from initcore.report import outside_share
from initcore.schemes import xavier_bound
from ui import controls, show
from ui.entry import through_app
from ui.link import open_in_layer
from ui.reports import refuse, report

through_app()

MOST = 6
# All scale with the layer: beside a std of 1, whatever the size, the others' colours would be pale.
FIRST = [
    "default",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
]

with st.sidebar:
    sizes = controls.layer()
    chosen = controls.several("Schemes", list(schemes()), FIRST, "schemes", MOST)
    number_type, seed = controls.dtype(), controls.seed()
    with st.expander("Parameters"):
        choices = [controls.parameters(slug, "weight") for slug in chosen]
        if not any(values for _, values in choices):
            st.caption("The chosen schemes take none.")

controls.show_problems()
try:
    layer = Layer(*sizes)
except InitError as error:
    st.title("Compare", anchor=False)
    refuse(error)
st.title(f"Schemes on `{layer.code}`", anchor=False)

reports: list[Report] = []
for slug, values in choices:
    try:
        spec = Spec(layer, Init(slug, values), seed=seed, dtype=number_type)
    except InitError as error:
        st.warning(f"{error}.", title=f"{slug} is left out", icon=":material/block:")
    else:
        reports.append(report(spec))
if not reports:
    st.info("Choose up to six schemes in the sidebar.", icon=":material/arrow_back:")
    st.stop()

names = [made.spec.weight.slug for made in reports]
palette = show.palette()
magnitude = heat_range(reports)
parts = [made.weight for made in reports]
span = value_range(parts, xavier_bound(layer))
top = density_top(parts)

st.caption(
    f"All panels share seed {seed}, the colours' range (±{show.cell(magnitude)}) and their axes "
    f"({show.cell(span[0])} to {show.cell(span[1])}). Bars: measured; line: law; dashes: Xavier "
    "bounds. A peak far above the others is cut at the top."
)
with st.grid(3, min_column_width=280, gap="medium") as grid:
    for made, name in zip(reports, names, strict=True):
        with grid.cell(), st.container(border=True):
            st.subheader(f"`{name}`", anchor=False)
            heat = heatmap(made, palette, magnitude=magnitude, compact=True)
            show.chart(heat, f"heat-{name}")
            bars = histogram(made, palette, span=span, top=top, compact=True)
            show.chart(bars, f"bars-{name}")
            st.caption(made.weight.law.notation)
            open_in_layer(made.spec)

st.subheader("Their laws over each other", anchor=False)
show.chart(densities(reports, names, palette), "densities")

st.subheader("In numbers", anchor=False)
rows = [
    {
        "scheme": name,
        "law's std": made.weight.law.std,
        "measured std": made.weight.measurement.std,
        "ratio": made.weight.fit.std_ratio,
        "sampling error": made.weight.fit.std_error,
        "min": made.weight.measurement.min,
        "max": made.weight.measurement.max,
        "outside Xavier (%)": outside_share(made),
        "KS distance": made.weight.fit.ks_low,
        "fits its law": "yes" if made.weight.fit.agrees else "no",
    }
    for made, name in zip(reports, names, strict=True)
]
show.table(rows, "The chosen schemes: law, measurement and fit of each")
controls.full_link("compare")
