"""The link: which query parameter each control is bound to, and the links of all kinds of specs.

A link made here states every value, also the defaults, so that it opens the same matrix whatever
the defaults become.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import streamlit as st

from initcore import Init, InitError, Layer, Spec
from initcore.activations import get_activation
from initcore.layers import LayerKind, Role, layer_kind
from initcore.network import Network
from initcore.papers import PhasePoint, Preset
from initcore.schemes import Value
from initcore.spectrum import KINDS, Kind, SpectrumSpec
from initcore.training import Entrant, RaceSpec

_OPEN = "open"
Values = dict[str, Value | list[str]]


def size_keys(kind: LayerKind) -> tuple[str, ...]:
    """The keys of the module's sizes: shared by all layers, so that sizes survive a change."""
    return ("in", "in2", "out") if len(kind.sizes) == 3 else ("in", "out")


def param_key(role: Role, scheme: str, param: str) -> str:
    """The key of a scheme's parameter: ``normal.std``, for a bias ``bias.normal.std``."""
    return f"{'bias.' if role == 'bias' else ''}{scheme}.{param}"


def _params(role: Role, init: Init) -> Values:
    return {param_key(role, init.slug, name): value for name, value in init.params.items()}


def _init(role: Role, init: Init) -> Values:
    """The values of a scheme's controls."""
    return {"scheme" if role == "weight" else "bias": init.slug, **_params(role, init)}


def query(spec: Spec) -> Values:
    """Every control's value for this spec, by its key."""
    layer = spec.layer
    values: Values = {"layer": layer.slug}
    values.update(zip(size_keys(layer.kind), layer.size, strict=False))
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


def spectrum_query(spec: SpectrumSpec, kind: Kind) -> Values:
    """Every control's value for this spectrum, by its key."""
    return {
        **_init("weight", spec.weight),
        "inputs": spec.inputs,
        "width": spec.width,
        "depth": spec.depth,
        "activation": spec.activation,
        "matrix": kind,
        "seed": spec.seed,
    }


def race_query(spec: RaceSpec) -> Values:
    """Every control's value for this race, by its key.

    The page has one width for all hidden layers, and one bias and each scheme once for all
    entrants; it evaluates as often as it likes.
    """
    values: Values = {
        "problem": spec.problem,
        "schemes": [entrant.weight.slug for entrant in spec.entrants],
        "width": spec.widths[0],
        "depth": len(spec.widths),
        "activation": spec.activation,
        **_init("bias", spec.entrants[0].bias),
        "rates": "each",
        "steps": spec.steps,
        "batch": spec.batch,
        "momentum": spec.momentum,
        "seeds": spec.seeds,
        "view": "race",
        "seed": spec.seed,
    }
    for entrant in spec.entrants:
        values |= _params("weight", entrant.weight)
        values[f"{entrant.weight.slug}.rate"] = entrant.rate
    if len({entrant.rate for entrant in spec.entrants}) == 1:
        values |= {"rates": "one", "rate": spec.entrants[0].rate}
    return values


def point_query(point: PhasePoint) -> Values:
    """The values of the point's controls, by their keys."""
    return {
        "activation": point.activation,
        "sigma_w": point.weight_std,
        "sigma_b": point.bias_std,
    }


def link(page: str, values: Mapping[str, Value | list[str]]) -> str:
    """The full address of a page in the state that these values of its controls make."""
    here = urlsplit(st.context.url or "")
    root = here.path.rsplit("/", 1)[0]
    return urlunsplit(
        (here.scheme, here.netloc, f"{root}/{page}", urlencode(values, doseq=True), "")
    )


def open_in_layer(spec: Spec) -> None:
    """A link to the Layer page that opens this spec."""
    _open_in("layer", "Open in Layer", query(spec))


def open_in_propagation(network: Network, label: str) -> None:
    """A link to the Propagation page that opens this network."""
    _open_in("propagation", label, network_query(network))


def open_preset(preset: Preset) -> None:
    """A link to the page that shows this preset of a paper."""
    match preset:
        case Network():
            open_in_propagation(preset, "Open in Propagation")
        case RaceSpec():
            _open_in("race", "Open in Race", race_query(preset))
        case SpectrumSpec():
            _open_in("spectrum", "Open in Spectrum", spectrum_query(preset, "jacobian"))
        case PhasePoint():
            _open_in("phase", "Open in Phase", point_query(preset))


def _open_in(page: str, label: str, state: Values) -> None:
    values = urlencode(state, doseq=True)
    st.page_link(
        f"pages/{page}.py",
        label=label,
        icon=":material/open_in_new:",
        query_params=[*parse_qsl(values), (_OPEN, values)],
    )


def follow(read: Callable[[Mapping[str, str]], Values]) -> None:
    """Called by a page before its controls: do what a link of ``open_in_…`` says.

    ``read`` makes the controls' values of the link's, in which a choice of several stands with
    commas, or raises KeyError or ValueError.

    Between pages Streamlit drops a parameter that a control of the page before is bound to, and
    lets what the session chose before win over the rest. The link therefore holds all values once
    more, as one parameter of its own.
    """
    if _OPEN not in st.query_params:
        return
    try:
        given = parse_qs(st.query_params[_OPEN], keep_blank_values=True)
        values = read({key: ",".join(several) for key, several in given.items()})
    except (KeyError, ValueError):  # not a link of ours
        del st.query_params[_OPEN]
        return
    for key, value in values.items():
        st.session_state[key] = value
    st.query_params.from_dict(
        {key: value if isinstance(value, list) else str(value) for key, value in values.items()}
    )


def _init_of(role: Role, values: Mapping[str, str]) -> Init:
    return _scheme_of(role, values["scheme" if role == "weight" else "bias"], values)


def _scheme_of(role: Role, slug: str, values: Mapping[str, str]) -> Init:
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


def spectrum_of(values: Mapping[str, str]) -> tuple[SpectrumSpec, Kind]:
    """The inverse of ``spectrum_query``; raises KeyError or ValueError (InitError) else."""
    spec = SpectrumSpec(
        _init_of("weight", values),
        int(values["inputs"]),
        int(values["width"]),
        int(values["depth"]),
        values["activation"],
        int(values["seed"]),
    )
    return spec, next(kind for kind in KINDS if kind == values["matrix"])


def race_of(values: Mapping[str, str]) -> RaceSpec:
    """The inverse of ``race_query``; raises KeyError or ValueError (InitError) else."""
    bias = _init_of("bias", values)
    entrants = tuple(
        Entrant(_rated(slug, values), float(values[f"{slug}.rate"]), bias)
        for slug in values["schemes"].split(",")
    )
    return RaceSpec(
        entrants,
        problem=values["problem"],
        widths=(int(values["width"]),) * int(values["depth"]),
        activation=values["activation"],
        steps=int(values["steps"]),
        batch=int(values["batch"]),
        momentum=float(values["momentum"]),
        seeds=int(values["seeds"]),
        seed=int(values["seed"]),
    )


def _rated(slug: str, values: Mapping[str, str]) -> Init:
    """A scheme whose learning rate stands beside its parameters."""
    rate = param_key("weight", slug, "rate")
    return _scheme_of("weight", slug, {k: v for k, v in values.items() if k != rate})


def point_of(values: Mapping[str, str]) -> PhasePoint:
    """The inverse of ``point_query``; raises KeyError or ValueError else."""
    slug = get_activation(values["activation"]).slug
    return PhasePoint(slug, float(values["sigma_w"]), float(values["sigma_b"]))
