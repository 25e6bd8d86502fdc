"""The link: which query parameter each control is bound to, and the links of specs and networks.

A link made here states every value, also the defaults, so that it opens the same matrix whatever
the defaults become.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import streamlit as st

from initcore import Init, InitError, Layer, Spec
from initcore.layers import LayerKind, Role, layer_kind
from initcore.network import Network
from initcore.schemes import Value

_OPEN = "open"
Values = dict[str, Value]


def size_keys(kind: LayerKind) -> tuple[str, ...]:
    """The keys of the module's sizes: shared by all layers, so that sizes survive a change."""
    return ("in", "in2", "out") if len(kind.sizes) == 3 else ("in", "out")


def param_key(role: Role, scheme: str, param: str) -> str:
    """The key of a scheme's parameter: ``normal.std``, for a bias ``bias.normal.std``."""
    return f"{'bias.' if role == 'bias' else ''}{scheme}.{param}"


def _init(role: Role, init: Init) -> Values:
    """The values of a scheme's controls."""
    params = {param_key(role, init.slug, name): value for name, value in init.params.items()}
    return {"scheme" if role == "weight" else "bias": init.slug} | params


def query(spec: Spec) -> Values:
    """Every control's value for this spec, by its key."""
    layer = spec.layer
    values: Values = {"layer": layer.slug}
    values |= dict(zip(size_keys(layer.kind), layer.size, strict=False))
    if layer.kind.spatial:
        values |= {"kernel": layer.kernel[0], "groups": layer.groups}
    values |= _init("weight", spec.weight)
    if spec.bias is not None:
        values |= _init("bias", spec.bias)
    return values | {"dtype": spec.dtype, "seed": spec.seed}


def network_query(network: Network) -> Values:
    """Every control's value for this network, by its key."""
    of_each = not isinstance(network.width, int)
    return {
        "depth": network.depth,
        "width": network.widths[0],
        "widths": ", ".join(map(str, network.widths)) if of_each else "",
        "activation": network.activation,
        **_init("weight", network.weight),
        **_init("bias", network.bias),
        "inputs": network.inputs,
        "correlation": network.correlation,
        "batch": network.batch,
        "seeds": network.seeds,
        "norm": "layer_norm" if network.layer_norm else "none",
        "residual": network.residual,
        "whole": network.whole,
        "seed": network.seed,
    }


def link(page: str, values: Mapping[str, Value]) -> str:
    """The full address of a page in the state that ``query`` or ``network_query`` says."""
    here = urlsplit(st.context.url or "")
    root = here.path.rsplit("/", 1)[0]
    return urlunsplit((here.scheme, here.netloc, f"{root}/{page}", urlencode(values), ""))


def open_in_layer(spec: Spec) -> None:
    """A link to the Layer page that opens this spec."""
    _open_in("layer", "Open in Layer", query(spec))


def open_in_propagation(network: Network, label: str) -> None:
    """A link to the Propagation page that opens this network."""
    _open_in("propagation", label, network_query(network))


def _open_in(page: str, label: str, state: Values) -> None:
    values = urlencode(state)
    st.page_link(
        f"pages/{page}.py",
        label=label,
        icon=":material/open_in_new:",
        query_params=[*parse_qsl(values), (_OPEN, values)],
    )


def follow(read: Callable[[Mapping[str, str]], Values]) -> None:
    """Called by a page before its controls: do what a link of ``open_in_…`` says.

    ``read`` makes the controls' values of the link's, or raises KeyError or ValueError.

    Between pages Streamlit drops a parameter that a control of the page before is bound to, and
    lets what the session chose before win over the rest. The link therefore holds all values once
    more, as one parameter of its own.
    """
    if _OPEN not in st.query_params:
        return
    try:
        values = read(dict(parse_qsl(st.query_params[_OPEN], keep_blank_values=True)))
    except (KeyError, ValueError):  # not a link of ours
        del st.query_params[_OPEN]
        return
    for key, value in values.items():
        st.session_state[key] = value
    st.query_params.from_dict({key: str(value) for key, value in values.items()})


def _init_of(role: Role, values: Mapping[str, str]) -> Init:
    slug = values["scheme" if role == "weight" else "bias"]
    prefix = param_key(role, slug, "")
    params = {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
    return Init(slug, params)


def spec_of(values: Mapping[str, str]) -> Spec:
    """The inverse of ``query``; raises KeyError or ValueError (InitError) for anything else."""
    kind = layer_kind(values["layer"])
    keys = [*size_keys(kind), *(["kernel"] if kind.spatial else [])]
    layer = Layer(kind.slug, tuple(int(values[key]) for key in keys), int(values.get("groups", 1)))
    bias = _init_of("bias", values) if kind.has_bias else None
    return Spec(layer, _init_of("weight", values), bias, int(values["seed"]), values["dtype"])


def widths_of(text: str) -> tuple[int, ...]:
    """The widths in a text such as ``784, 512, 256``; raises InitError for anything else."""
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise InitError(f"widths = {text}: write whole numbers, as in 784, 512, 256") from None


def network_of(values: Mapping[str, str]) -> Network:
    """The inverse of ``network_query``; raises KeyError or ValueError (InitError) else."""
    widths = widths_of(values["widths"])
    return Network(
        depth=len(widths) or int(values["depth"]),
        width=widths or int(values["width"]),
        activation=values["activation"],
        weight=_init_of("weight", values),
        bias=_init_of("bias", values),
        inputs=values["inputs"],
        correlation=float(values["correlation"]),
        batch=int(values["batch"]),
        seeds=int(values["seeds"]),
        seed=int(values["seed"]),
        layer_norm=values["norm"] == "layer_norm",
        residual=values["residual"],
        whole=values["whole"],
    )
