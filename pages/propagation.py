"""Propagation: what a deep network, as initialised, does to a signal and to a gradient."""

import json
import math

import streamlit as st

from initcore import InitError
from initcore.activations import ACTIVATIONS
from initcore.figures.propagation import NAMES, by_layer, histograms, shares
from initcore.network import network_code
from initcore.propagation import as_dict, csv, variances
from ui import controls, show
from ui.entry import through_app
from ui.link import follow, network_of, network_query
from ui.networks import propagation
from ui.reports import refuse

through_app()

follow(lambda values: network_query(network_of(values)))
with st.sidebar:
    network = controls.network()
controls.show_problems()
if isinstance(network, InitError):
    st.title("Propagation", anchor=False)
    refuse(network)

activation, init = network.function, network.weight
many = "layer" if network.depth == 1 else "layers"
st.title(f"`{init.slug}` through {network.depth} {many} of {activation.title}", anchor=False)
made = propagation(network)
palette = show.palette()
ICONS = {
    "stable": ":green[:material/check_circle:]",
    "vanishing": ":orange[:material/south_east:]",
    "exploding": ":red[:material/north_east:]",
}

with st.container(border=True):
    verdict = made.verdict
    st.markdown(f"{ICONS[verdict.state]} {verdict.sentence}")
    if made.theory_note:
        st.caption(f"No theory is drawn. {made.theory_note}")

with st.grid(3, min_column_width=260, gap="medium") as grid:
    for name, title in NAMES.items():
        with grid.cell():
            st.subheader(title, anchor=False)
            show.chart(by_layer(made, name, palette), name)
    with grid.cell():
        st.subheader("Saturated and dead", anchor=False)
        show.chart(shares(made, palette), "shares")
    with grid.cell():
        st.subheader("How to read this", anchor=False)
        weight_var, bias_var = variances(network, network.depth)
        where = f"σ_w {show.cell(math.sqrt(weight_var))}, σ_b {show.cell(math.sqrt(bias_var))}" + (
            f", χ {show.cell(made.chi)}" if not made.theory_note else ""
        )
        st.caption(
            f"Line: mean over {network.seeds} networks; band: from the smallest to the largest; "
            "dashes: mean field, derived from the schemes' laws with nothing fitted. A narrow or "
            f"deep network wanders off it by chance. In the last layer: {where}."
        )
        st.caption(
            f"Std: about the mean, over the units and {network.batch} inputs. Gradient: with "
            "respect to the pre-activations, of a loss whose gradient at the last layer's is "
            "N(0, 1)."
        )
        st.caption(
            f"Saturated: {activation.saturation}. Dead: a unit that is saturated for every input."
        )

if made.activations:
    st.subheader("Histograms, on shared axes", anchor=False)
    left, right = st.columns(2, gap="medium")
    with left:
        show.chart(histograms(made.activations, "activation", palette), "activations")
    with right:
        if made.gradients:
            show.chart(histograms(made.gradients, "gradient", palette), "gradients")
        else:
            st.info("No gradient comes back from an output that overflows.")
    st.caption(
        "All seeds together. The axes hold all layers but for the outermost thousandth; a peak far "
        "above the others' is cut at the top."
    )

st.subheader("Gains", anchor=False)
gains = [
    {
        "activation": record.title,
        "exact gain": record.gain,
        "torch's gain": math.nan if record.torch_gain is None else record.torch_gain,
        "E f'(z)²": record.slope_moment,
        "why they differ": record.gain_note,
    }
    for record in ACTIVATIONS
]
show.table(gains, "The exact gain of every activation beside torch's")
st.caption(
    "Exact: 1/√E f(z)² for z ~ N(0, 1), by quadrature: weights of std gain/√fan_in keep "
    "pre-activations at variance 1. torch's: calculate_gain; a dash where it raises."
)

st.subheader("Code", anchor=False)
st.code(network_code(network), language="python", wrap_lines=True)
st.caption("The first of these networks, bit for bit, on the same torch version (CPU).")

st.subheader("Keep it", anchor=False)
file = f"propagation-{activation.slug}-{init.slug}-depth{network.depth}-seed{network.seed}"
with st.container(horizontal=True):
    st.download_button(
        "Layers (CSV)",
        lambda: csv(made),
        f"{file}.csv",
        "text/csv",
        icon=":material/table:",
        on_click="ignore",
    )
    st.download_button(
        "All of it (JSON)",
        lambda: json.dumps(as_dict(made), indent=2, ensure_ascii=False, allow_nan=False),
        f"{file}.json",
        "application/json",
        icon=":material/data_object:",
        on_click="ignore",
    )
controls.full_link("propagation")
