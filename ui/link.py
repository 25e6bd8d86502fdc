"""The link: which query parameter each control is bound to, and the link of a spec.

A link made here states every value, also the defaults, so that it opens the same matrix whatever
the defaults become.
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from initcore import Init, Spec
from initcore.layers import LayerKind
from initcore.schemes import Value

PAGE = "pages/layer.py"


def size_keys(kind: LayerKind) -> tuple[str, ...]:
    """The keys of the module's sizes: shared by all layers, so that sizes survive a change."""
    return ("in", "in2", "out") if len(kind.sizes) == 3 else ("in", "out")


def param_key(role: str, scheme: str, param: str) -> str:
    """The key of a scheme's parameter: ``normal.std``, for a bias ``bias.normal.std``."""
    return f"{'bias.' if role == 'bias' else ''}{scheme}.{param}"


def _params(role: str, init: Init) -> dict[str, Value]:
    return {param_key(role, init.slug, name): value for name, value in init.params.items()}


def query(spec: Spec) -> dict[str, Value]:
    """Every control's value for this spec, by its key."""
    layer = spec.layer
    values: dict[str, Value] = {"layer": layer.slug}
    values |= dict(zip(size_keys(layer.kind), layer.size, strict=False))
    if layer.kind.spatial:
        values |= {"kernel": layer.kernel[0], "groups": layer.groups}
    values |= {"scheme": spec.weight.slug} | _params("weight", spec.weight)
    if spec.bias is not None:
        values |= {"bias": spec.bias.slug} | _params("bias", spec.bias)
    return values | {"dtype": spec.dtype, "seed": spec.seed}


def link(spec: Spec) -> str:
    """The full link that opens the Layer page on this spec."""
    here = urlsplit(st.context.url or "")
    root = here.path.rsplit("/", 1)[0]
    return urlunsplit((here.scheme, here.netloc, f"{root}/layer", urlencode(query(spec)), ""))


def open_in_layer(spec: Spec) -> None:
    """Set every control to the spec and go to the Layer page: the callback of "Open in Layer"."""
    values = query(spec)
    for key, value in values.items():
        st.session_state[key] = value
    st.switch_page(PAGE, query_params={key: str(value) for key, value in values.items()})
