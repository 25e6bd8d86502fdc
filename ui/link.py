"""The link: which query parameter each control is bound to, and the link of a spec.

A link made here states every value, also the defaults, so that it opens the same matrix whatever
the defaults become.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import streamlit as st

from initcore import Init, Layer, Spec
from initcore.layers import LayerKind, Role, layer_kind
from initcore.schemes import Value

PAGE = "pages/layer.py"
_OPEN = "open"


def size_keys(kind: LayerKind) -> tuple[str, ...]:
    """The keys of the module's sizes: shared by all layers, so that sizes survive a change."""
    return ("in", "in2", "out") if len(kind.sizes) == 3 else ("in", "out")


def param_key(role: Role, scheme: str, param: str) -> str:
    """The key of a scheme's parameter: ``normal.std``, for a bias ``bias.normal.std``."""
    return f"{'bias.' if role == 'bias' else ''}{scheme}.{param}"


def _params(role: Role, init: Init) -> dict[str, Value]:
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
    """A link to the Layer page that opens this spec."""
    values = urlencode(query(spec))
    st.page_link(
        PAGE,
        label="Open in Layer",
        icon=":material/open_in_new:",
        query_params=[*parse_qsl(values), (_OPEN, values)],
    )


def follow() -> None:
    """Called by the Layer page before its controls: do what a link of ``open_in_layer`` says.

    Between pages Streamlit drops a parameter that a control of the page before is bound to, and
    lets what the session chose before win over the rest. The link therefore holds all values once
    more, as one parameter of its own.
    """
    if _OPEN not in st.query_params:
        return
    try:
        values = query(spec_of(dict(parse_qsl(st.query_params[_OPEN]))))
    except (KeyError, ValueError):  # not a link of ours
        del st.query_params[_OPEN]
        return
    for key, value in values.items():
        st.session_state[key] = value
    st.query_params.from_dict({key: str(value) for key, value in values.items()})


def spec_of(values: Mapping[str, str]) -> Spec:
    """The inverse of ``query``; raises KeyError or ValueError (InitError) for anything else."""
    kind = layer_kind(values["layer"])
    keys = [*size_keys(kind), *(["kernel"] if kind.spatial else [])]
    layer = Layer(kind.slug, tuple(int(values[key]) for key in keys), int(values.get("groups", 1)))

    def init(role: Role, slug: str) -> Init:
        prefix = param_key(role, slug, "")
        params = {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
        return Init(slug, params)

    bias = init("bias", values["bias"]) if kind.has_bias else None
    weight = init("weight", values["scheme"])
    return Spec(layer, weight, bias, int(values["seed"]), values["dtype"])
