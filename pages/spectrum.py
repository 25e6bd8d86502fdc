"""Spectrum: singular values of a weight, of a product of layers, of a network's Jacobian."""

import json
import math

import streamlit as st

from initcore import Init, InitError, schemes
from initcore.activations import ACTIVATIONS
from initcore.figures.spectrum import conditions, histogram, span, with_depth
from initcore.layers import MAX_SIZE
from initcore.spectrum import (
    KINDS,
    FussCatalan,
    MarchenkoPastur,
    SpectrumSpec,
    as_dict,
    csv,
    expected_jacobian,
    lyapunov_gap,
    snippet,
    verdict,
)
from ui import controls, show
from ui.entry import through_app
from ui.link import follow, spectrum_of, spectrum_query
from ui.reports import refuse
from ui.spectra import spectra

through_app()

follow(lambda values: spectrum_query(*spectrum_of(values)))
with st.sidebar:
    slugs = [slug for slug, scheme in schemes().items() if 2 in scheme.ranks]
    slug = controls.choice(
        "Weight scheme", slugs, "xavier_normal", "scheme", "How every layer's weight is filled."
    )
    params = controls.parameters(slug, "weight")[1]
    left, right = st.columns(2)
    with left:
        inputs = controls.whole("Inputs", 256, "inputs", 1, MAX_SIZE, "Columns of the first layer.")
    with right:
        width = controls.whole("Width", 256, "width", 1, MAX_SIZE, "Outputs of every layer.")
    depth = controls.whole("Layers", 10, "depth", 1, MAX_SIZE, "Of the product and the Jacobian.")
    activation = controls.choice(
        "Activation",
        [a.slug for a in ACTIVATIONS],
        "tanh",
        "activation",
        "After each layer; for the Jacobian.",
    )
    kind = controls.choice(
        "Matrix",
        list(KINDS),
        "product",
        "matrix",
        "weight: of the first layer. product: of all weights. jacobian: of the last layer's "
        "activations with respect to the input.",
    )
    seed = controls.seed()

controls.show_problems()
try:
    spec = SpectrumSpec(Init(slug, params), inputs, width, depth, activation, seed)
except InitError as error:
    st.title("Spectrum", anchor=False)
    refuse(error)

WHAT = {
    "weight": f"the weight, {width} × {inputs}",
    "product": f"a product of {depth} layers",
    "jacobian": f"the Jacobian of {depth} {activation} layers",
}
st.title(f"Spectrum of {WHAT[kind]}", anchor=False)
made = spectra(spec)
other_init = spec.counterpart
other = (
    spectra(SpectrumSpec(other_init, inputs, width, depth, activation, seed))
    if other_init
    else None
)
several = [made, other] if other else [made]
names = [one.spec.weight.slug for one in several]
palette = show.palette()
matrix = next(one for one in KINDS if one == kind)

with st.container(border=True):
    st.markdown(verdict(made, matrix))
    if other:
        st.markdown(f"With `{names[1]}` of the same mean square: {verdict(other, matrix)}")

axis = span([one.of(matrix) for one in several])
for column, one, name in zip(st.columns(len(several), gap="medium"), several, names, strict=True):
    with column:
        st.subheader(f"`{name}`", anchor=False)
        show.chart(histogram(one.of(matrix), palette, axis=axis), f"histogram-{name}")
st.caption(
    "Bars: measured singular values. Line: their law for large sizes, where one is known in closed "
    "form. Values that float64 cannot resolve beside the largest are left out."
)

if depth > 1 and matrix != "weight":
    growing, spreading = st.columns(2, gap="medium")
    with growing:
        st.subheader("With depth", anchor=False)
        show.chart(with_depth(several, names, matrix, palette), "depth")
    with spreading:
        st.subheader("Condition number", anchor=False)
        gaussian = isinstance(made.product.law, FussCatalan) and (
            matrix == "product" or activation == "linear"
        )
        slope = lyapunov_gap(width) if gaussian else None
        show.chart(conditions(several, names, matrix, palette, slope), "condition")
        if slope:
            st.caption(
                "Theory: where many layers lead, each multiplies it by "
                f"{show.cell(math.exp(slope))} (Lyapunov exponents, Newman 1986, width {width})."
            )

theory, code = st.columns(2, gap="medium")
with theory:
    st.subheader("Theory", anchor=False)
    law = made.of(matrix).law
    if isinstance(law, MarchenkoPastur):
        st.latex(
            r"\begin{gathered} p(s) = \frac{\sqrt{(s_+^2 - s^2)(s^2 - s_-^2)}}{\pi \sigma^2 m\, s}"
            r" \\ s_\pm = \sigma\,(\sqrt{M} \pm \sqrt{m}) \end{gathered}"
        )
        st.caption(
            "Marchenko & Pastur 1967, for entries of std σ and sides m ≤ M; for a square matrix "
            "the quarter circle."
        )
    elif isinstance(law, FussCatalan):
        st.latex(
            r"\begin{gathered} \mathbb{E}\,s^{2k} = \frac{(\sigma\sqrt{n})^{2kL}}{Lk+1}"
            r"\binom{(L+1)k}{k} \\ s_+ = (\sigma\sqrt{n})^L \sqrt{\frac{(L+1)^{L+1}}{L^L}}"
            r" \end{gathered}"
        )
        st.caption("Fuss–Catalan: Penson & Życzkowski 2011, for L square factors of side n.")
    elif law is not None and law.is_discrete:
        st.markdown(f"Its singular values are known exactly: {law.notation}.")
    else:
        st.markdown("No law of this spectrum is known in closed form, but two of its moments are.")
    expected = expected_jacobian(spec, made.jacobian.depth)
    if matrix == "jacobian" and expected:
        rows = [("mean of s²", made.jacobian.mean_square, expected.mean_square)]
        if expected.dispersion is not None:
            rows.append(("relative variance of s²", made.jacobian.dispersion, expected.dispersion))
        head = ("of the Jacobian", "measured", "theory")
        show.table(
            [dict(zip(head, row, strict=True)) for row in rows],
            "Moments of the Jacobian's squared singular values",
        )
        st.caption(
            "Theory: Pennington et al. 2017, for large widths. The mean is the factor by which a "
            "gradient's square grows; isometry wants it near 1, and the variance near 0."
        )
with code:
    st.subheader("Code", anchor=False)
    st.code(snippet(spec, matrix), language="python", wrap_lines=True)

st.subheader("In numbers", anchor=False)
lines = [
    {
        "matrix": WHAT[one].split(",")[0],
        "scheme": name,
        "largest": spectrum.largest,
        "smallest": spectrum.smallest,
        "condition number": spectrum.condition,
        "mean of s²": spectrum.mean_square,
        "growth a layer": run.growth(one) if one != "weight" else math.nan,
        "distance to law": spectrum.distance,
    }
    for one in KINDS
    for run, name in zip(several, names, strict=True)
    for spectrum in [run.of(one)]
]
show.table(lines, "Singular values of weight, product and Jacobian")
st.caption(
    "Measured. Growth: of the condition number, fitted over the depths at which float64 resolves "
    "it. Distance: Kolmogorov–Smirnov, or from a law of one value the largest relative deviation. "
    "Singular values repel each other: n of them lie within about 1/n of their law, so that the "
    "usual significance test does not apply."
)

st.subheader("Keep it", anchor=False)
with st.container(horizontal=True):
    st.download_button(
        "Singular values (CSV)",
        lambda: csv(made),
        f"spectrum-{slug}.csv",
        "text/csv",
        icon=":material/table:",
        on_click="ignore",
    )
    st.download_button(
        "Spectra (JSON)",
        lambda: json.dumps(as_dict(made), indent=2, ensure_ascii=False),
        f"spectrum-{slug}.json",
        "application/json",
        icon=":material/data_object:",
        on_click="ignore",
    )
controls.full_link("spectrum")
