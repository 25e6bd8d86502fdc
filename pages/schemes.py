"""Schemes: the catalogue, from the records themselves."""

import streamlit as st

from initcore import Init, Layer, Scheme, Slot, Spec, schemes
from initcore.figures.weights import law_shape
from initcore.schemes import formula
from ui import show
from ui.entry import through_app
from ui.link import open_in_layer

through_app()

# The first of these that a scheme can fill shows its law.
EXAMPLES = (Layer("linear", (5, 5)), Layer("conv2d", (5, 5, 3)))


def example(scheme: Scheme) -> Spec:
    layer = next(layer for layer in EXAMPLES if not scheme.why_not(Slot(layer, "weight")))
    return Spec(layer, Init(scheme.slug))


records = schemes()
st.title("Schemes", anchor=False)
st.markdown(
    f"{len(records)} ways to fill a tensor. Each curve is the law of one weight of the layer named "
    "beside it, with the scheme's default parameters; a stem is a value with a probability of its "
    "own."
)
palette = show.palette()
with st.grid(2, min_column_width=340, gap="medium") as grid:
    for slug, scheme in records.items():
        spec = example(scheme)
        law = spec.weight.law(spec.slot("weight"))
        with grid.cell(), st.container(border=True, height="stretch"):
            st.subheader(scheme.title, anchor=slug)
            st.caption(f"`{slug}` · rank {', '.join(map(str, scheme.ranks))}")
            st.latex(formula(scheme))
            st.markdown(scheme.when)
            show.chart(law_shape(law, palette), f"law-{slug}")
            st.caption(f"On `{spec.layer.code}`: {law.notation}")
            st.caption(f"Source: {scheme.reference}")
            if scheme.params:
                with st.expander(f"Parameters: {', '.join(param.name for param in scheme.params)}"):
                    st.markdown(
                        "\n".join(
                            f"- `{param.name}` = {show.cell(param.default)}: {param.help} "
                            f"Allowed: {param.allowed}."
                            for param in scheme.params
                        )
                    )
            st.space("stretch")
            open_in_layer(spec)
