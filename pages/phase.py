"""Phase: where a deep network forgets its input, where it scrambles it, and the line between."""

import math

import streamlit as st

from initcore import Init, InitError
from initcore.activations import get_activation
from initcore.figures.phase import Point, phase_diagram, scales
from initcore.layers import MAX_SIZE
from initcore.meanfield import (
    DepthScales,
    PhasePlane,
    critical_weight_var,
    depth_scales,
    fixed_point,
    phase_plane,
    phase_sentence,
)
from initcore.network import Network
from initcore.propagation import no_theory, variances
from ui import controls, show
from ui.entry import through_app
from ui.link import follow, open_in_propagation, point_of, point_query
from ui.reports import refuse

through_app()

CHART = "phase"

follow(lambda values: point_query(point_of(values)))
with st.sidebar:
    slug = controls.activation()
    weight_choice, bias_choice = controls.weight(), controls.bias("zeros")
    width = controls.whole("Width", 256, "width", 1, MAX_SIZE, "Units of every layer.")
    controls.reset()
controls.show_problems()
activation = get_activation(slug)
st.title(f"Phases of {activation.title}", anchor=False)
try:
    network = Network(
        width=width,
        depth=30,
        activation=slug,
        weight=Init(*weight_choice),
        bias=Init(*bias_choice),
        batch=128,
        seeds=3,
    )
except InitError as error:
    refuse(error)


@st.cache_data(max_entries=16, show_spinner="Computing the plane by quadrature …")
def plane_of(slug: str) -> PhasePlane:
    """Cached on the activation's name: a few thousand numbers each."""
    return phase_plane(get_activation(slug))


@st.cache_data(max_entries=64, show_spinner="Computing depth scales …")
def scales_of(slug: str, bias_std: float) -> DepthScales:
    """Cached on two small values."""
    return depth_scales(get_activation(slug), bias_std)


plane = plane_of(slug)
highest, top = float(plane.weight_std[-1]), float(plane.bias_std[-1])


def follow_click() -> None:
    """Set the point's controls to what was clicked."""
    points = show.clicked(CHART)
    if points:
        st.session_state["sigma_w"], st.session_state["sigma_b"] = points[0]


verdict = st.container(border=True)
left, right = st.columns(2)
with left:
    weight_std = controls.number("σ_w of the point", 1.5, "sigma_w", 0.0, 100.0, 0.1)
with right:
    bias_std = controls.number("σ_b of the point", 0.2, "sigma_b", 0.0, 2.0, 0.05)
st.caption("Or click in the plane.")

chosen = Point("point", weight_std, bias_std)
places = [chosen]
note = no_theory(network)
if not note:
    scheme_weight, scheme_bias = (math.sqrt(part) for part in variances(network, 2))
    places.append(Point(f"{network.weight.slug} at width {width:,}", scheme_weight, scheme_bias))

critical = math.sqrt(float(critical_weight_var(activation, bias_std**2)))
rows = []
for place in places:
    found = fixed_point(activation, place.weight_std**2, place.bias_std**2)
    rows.append(
        {
            "": place.name,
            "σ_w": place.weight_std,
            "σ_b": place.bias_std,
            "χ": float(found.chi),
            "√q*, settled std": math.sqrt(float(found.length)),
            "c*, settled correlation": float(found.correlation),
            "ξ_q (layers)": float(found.xi_q),
            "ξ_c (layers)": float(found.xi_c),
        }
    )
with verdict:
    st.markdown(phase_sentence(activation, weight_std, bias_std))

diagram, curves = st.columns([3, 2], gap="medium")
palette = show.palette()
with diagram:
    st.subheader("Ordered and chaotic", anchor=False)
    show.chart(phase_diagram(activation, plane, places, palette), CHART, on_click=follow_click)
with curves:
    st.subheader(f"Depth scales at σ_b {show.cell(bias_std)}", anchor=False)
    show.chart(scales(scales_of(slug, bias_std), chosen, critical, palette), "scales")
show.table(rows, "χ, fixed points and depth scales of the points in the plane")
st.caption(
    "Everything here is derived by quadrature, nothing measured. χ: factor of a gradient's second "
    "moment per layer. Ordered (χ < 1): inputs become alike, gradients vanish. Chaotic (χ > 1): "
    "inputs part, gradients explode. ξ: layers in which what is left of a difference falls by a "
    "factor e; signals survive to about 6 ξ_c (Schoenholz et al. 2017)."
)
if note:
    st.info(f"{network.weight.slug} has no place in the plane. {note}", icon=":material/info:")

st.subheader("Propagate", anchor=False)
with st.container(horizontal=True):
    open_in_propagation(
        Network(
            width=width,
            depth=30,
            activation=slug,
            weight=Init("normal", {"std": weight_std / math.sqrt(width)}),
            bias=Init("normal", {"std": bias_std}),
            batch=128,
            seeds=3,
        ),
        "Propagate the point",
    )
    open_in_propagation(network, f"Propagate {network.weight.slug}")
controls.full_link("phase")
