"""Layer: pick a layer and a scheme, see what it does to the weights."""

from functools import partial

import streamlit as st

from initcore import InitError, draw_spec, snippet
from initcore.export import MAX_CSV, csv, safetensors
from initcore.figures.weights import Show, extremes_sentence, heatmap, histogram
from initcore.report import comparison, outside_sentence
from initcore.schemes import Slot
from initcore.snippet import script
from ui import controls, show
from ui.entry import through_app
from ui.link import follow, query, spec_of
from ui.reports import refuse, report

through_app()

follow(lambda values: query(spec_of(values)))
with st.sidebar:
    spec = controls.spec()
controls.show_problems()
if isinstance(spec, InitError):
    st.title("Layer", anchor=False)
    refuse(spec)

layer, init = spec.layer, spec.weight
st.title(f"`{init.slug}` on `{layer.code}`", anchor=False)
st.caption(f"{init.scheme.title}. {init.scheme.when}")
made = report(spec)
part, bias = made.weight, made.bias
palette = show.palette()

with st.container(border=True):
    icon = ":green[:material/check_circle:]" if part.fit.agrees else ":red[:material/error:]"
    st.markdown(f"{icon} {part.fit.verdict} {outside_sentence(made)}")
    if made.streamed:
        st.caption("Too large to hold: drawn block by block, for its statistics alone.")

matrix, distribution = st.columns(2, gap="medium")
with matrix:
    st.subheader("Weight matrix", anchor=False)
    cells: Show = "extreme"
    if not part.heat.is_exact:
        rows, columns = part.heat.cell
        chosen = st.segmented_control(
            f"Each cell stands for {rows} × {columns} weights and shows",
            ["extreme", "mean"],
            default="extreme",
            required=True,
            key="cells",
            bind="query-params",
            help="extreme: the weight farthest from zero, so that no outlier is lost.",
        )
        cells = "mean" if chosen == "mean" else "extreme"
    show.chart(heatmap(made, palette, show=cells), "heatmap")
    st.caption(extremes_sentence(part.heat, layer.weight_shape))
with distribution:
    st.subheader("Distribution", anchor=False)
    show.chart(histogram(made, palette), "histogram")
    st.caption(f"Law: {part.law.notation}. Bars are measured, the line is derived from the law.")

st.subheader("Compared with Xavier", anchor=False)
lines = [
    {
        "law": row.name,
        "bound": row.bound,
        "std": row.std,
        "mean": row.mean,
        "min": row.min,
        "max": row.max,
        "measured ÷ this std": row.ratio,
        "sampling error": row.error,
    }
    for row in comparison(made)
]
show.table(lines, "The law of this scheme, both Xavier laws and the measurement")
st.caption(
    f"Laws: derived; min and max are the medians over draws of {layer.count:,}. Measured: this "
    "draw. The sampling error is one standard error of the ratio by chance alone."
)

theory, code = st.columns(2, gap="medium")
with theory:
    st.subheader("Theory", anchor=False)
    slot = Slot(layer, "weight")
    law = part.law
    st.markdown(
        f"$$\n{init.formula(slot)}\n$$\n\n$$\n{init.formula(slot, substituted=True)}\n$$\n\n"
        f"So a weight's law is {law.notation}, of mean {show.cell(law.mean)} and std "
        f"{show.cell(law.std)}.\n\n"
        f"fan_in **{layer.fan_in:,}**, fan_out **{layer.fan_out:,}** as torch counts them."
    )
    st.caption(f"Source: {init.scheme.reference}")
    if layer.fans_note:
        st.info(
            f"Effective fan_in {layer.effective_fan_in:,}, fan_out {layer.effective_fan_out:,} at "
            f"stride 1: {layer.fans_note}.",
            icon=":material/hub:",
        )
with code:
    st.subheader("Code", anchor=False)
    st.code(snippet(spec), language="python", wrap_lines=True)
    st.caption("Gives these very tensors, bit for bit, on the same torch version (CPU).")

if bias is not None and spec.bias is not None:
    st.subheader("Bias", anchor=False)
    chart, words = st.columns(2, gap="medium", vertical_alignment="center")
    with chart:
        show.chart(histogram(made, palette, role="bias", compact=True), "bias")
    with words:
        icon = ":green[:material/check_circle:]" if bias.fit.agrees else ":red[:material/error:]"
        st.markdown(f"{icon} {bias.fit.verdict}")
        st.latex(spec.bias.formula(Slot(layer, "bias"), substituted=True))

st.subheader("Keep it", anchor=False)
name = f"{layer.slug}-{init.slug}-seed{spec.seed}"
with st.container(horizontal=True):
    st.download_button(
        "Weights (CSV)",
        lambda: csv(draw_spec(made.spec)),
        f"{name}.csv",
        "text/csv",
        icon=":material/table:",
        disabled=made.streamed or layer.count > MAX_CSV,
        help=f"The matrix, a line a row; up to {MAX_CSV:,} weights.",
        on_click="ignore",
    )
    st.download_button(
        "Tensors (safetensors)",
        lambda: safetensors(draw_spec(made.spec)),
        f"{name}.safetensors",
        icon=":material/deployed_code:",
        disabled=made.streamed,
        help="Weight and bias; a tensor too large to hold is left to the script.",
        on_click="ignore",
    )
    st.download_button(
        "Script (.py)",
        partial(script, spec),
        f"{name}.py",
        "text/x-python",
        icon=":material/code:",
        on_click="ignore",
    )
controls.full_link("layer")
