"""The sidebar's controls, each bound to a query parameter of the link by its key.

The controls of a scheme's parameters are generated from its record. Streamlit drops a value from
the link that a control does not accept; ``show_problems`` says so instead of passing it over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from initcore import LAYERS, Init, InitError, Layer, Spec, schemes
from initcore.activations import ACTIVATIONS
from initcore.draw import DTYPES, MAX_SEED
from initcore.layers import DEFAULT_KERNEL, MAX_SIZE, Role, layer_kind
from initcore.network import INPUTS, MAX_DEPTH, MAX_SEEDS, RESIDUALS, WHOLES, Network
from initcore.schemes import Param, Value, get_scheme
from ui.entry import CONTROLS
from ui.link import link, param_key, size_keys, widths_of

DEFAULT_SIZE = 5
_DEFAULTS, _PROBLEMS = "_defaults", "_problems"


# --- single controls ----------------------------------------------------------------------------


def _register(key: str, default: Any, accepts: Callable[[str], bool], allowed: str) -> None:
    """Note the default for Reset, and a value of the link that the control will not take."""
    st.session_state.setdefault(_DEFAULTS, {})[key] = default
    st.session_state[CONTROLS].append(key)
    for given in st.query_params.get_all(key):
        if not accepts(given):
            problem = f"The link asks for `{key}={given}`: it must be {allowed}. Using {default}."
            st.session_state.setdefault(_PROBLEMS, []).append(problem)


def show_problems() -> None:
    """Say what was wrong with the link; call it in the main area, after the controls."""
    for problem in st.session_state.pop(_PROBLEMS, []):
        st.warning(problem, icon=":material/link_off:")


def full_link(page: str) -> None:
    """The address that states the value of every control; call it after the last of them."""
    values = {key: st.session_state[key] for key in st.session_state[CONTROLS]}
    stated = {key: value for key, value in values.items() if value is not None}
    st.markdown("Full link, with every value stated:")
    st.code(link(page, stated), language=None, wrap_lines=True)


def choice(label: str, options: Sequence[str], default: str, key: str, help: str = "") -> str:
    _register(key, default, lambda text: text in options, f"one of: {', '.join(options)}")
    chosen = st.selectbox(
        label,
        options,
        index=list(options).index(default),
        key=key,
        help=help or None,
        bind="query-params",
    )
    return str(chosen)


def one_or_none(label: str, options: Sequence[str], key: str, placeholder: str) -> str | None:
    """One of options that come and go, such as the tensors of a model; None until one is chosen."""
    _register(key, None, lambda text: True, "")
    if st.session_state.get(key) not in (None, *options):
        st.session_state[key] = None
    return st.selectbox(
        label, options, index=None, key=key, placeholder=placeholder, bind="query-params"
    )


def text(label: str, key: str, placeholder: str, help: str = "", icon: str | None = None) -> str:
    _register(key, "", lambda text: True, "")
    return st.text_input(
        label,
        key=key,
        placeholder=placeholder,
        help=help or None,
        icon=icon,
        bind="query-params",
    )


def several(
    label: str, options: Sequence[str], default: list[str], key: str, most: int
) -> list[str]:
    """Up to ``most`` of the options, in the order chosen."""
    allowed = f"one of: {', '.join(options)}"
    _register(key, default, lambda text: text in ("", *options), allowed)
    return st.multiselect(
        label, options, default, key=key, max_selections=most, bind="query-params"
    )


def whole(label: str, default: int, key: str, low: int, high: int, help: str = "") -> int:
    allowed = f"a whole number of at least {low} and at most {high:,}"
    _register(key, default, lambda text: _is_whole(text, low, high), allowed)
    value = st.number_input(
        label,
        min_value=low,
        max_value=high,
        value=default,
        step=1,
        key=key,
        help=help or None,
        bind="query-params",
    )
    return int(value)


def number(
    label: str, default: float, key: str, low: float, high: float, step: float, help: str = ""
) -> float:
    allowed = f"a number of at least {low:g} and at most {high:g}"
    _register(key, default, lambda text: _is_number(text) and low <= float(text) <= high, allowed)
    value = st.number_input(
        label,
        min_value=low,
        max_value=high,
        value=default,
        step=step,
        format="%.4g",
        key=key,
        help=help or None,
        bind="query-params",
    )
    return float(value)


def _is_whole(text: str, low: int, high: int) -> bool:
    try:
        return float(text).is_integer() and low <= float(text) <= high
    except ValueError:
        return False


def _is_number(text: str) -> bool:
    """Whether the control takes it; what the scheme then makes of it is said by its own error."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def parameter(param: Param, key: str, *, used: bool) -> Value:
    """The control of one parameter, from its record; greyed out where torch ignores it."""
    if param.choices:
        return choice(param.name, param.choices, str(param.default), key, param.help)
    default = float(param.default)
    _register(key, default, _is_number, param.allowed)
    value = st.number_input(
        param.name,
        value=default,
        step=param.step,
        format="%.6g",
        key=key,
        help=f"{param.help} Allowed: {param.allowed}.",
        disabled=not used,
        bind="query-params",
    )
    return float(value)


def parameters(slug: str, role: Role) -> Choice:
    """The controls of all parameters of a scheme."""
    params = get_scheme(slug).params
    values: dict[str, Value] = {}
    # What another parameter decides on comes after it.
    for param in sorted(params, key=lambda param: param.needs is not None):
        key = param_key(role, slug, param.name)
        values[param.name] = parameter(param, key, used=param.is_used(values))
    return slug, values


# --- groups of controls: they return plain values, so that all are drawn before any is refused ---

Choice = tuple[str, dict[str, Value]]
Sizes = tuple[str, tuple[int, ...], int]


def layer() -> Sizes:
    """Which layer, its sizes and its groups: the arguments of ``Layer``."""
    slugs = [kind.slug for kind in LAYERS]
    slug = choice("Layer", slugs, "linear", "layer", "Which torch.nn module to initialise.")
    kind = layer_kind(slug)
    keys = size_keys(kind)
    columns = st.columns(len(keys))
    size = []
    for column, name, key in zip(columns, kind.sizes, keys, strict=True):
        with column:
            size.append(whole(name, DEFAULT_SIZE, key, 1, MAX_SIZE))
    groups = 1
    if kind.spatial:
        left, right = st.columns(2)
        with left:
            size.append(whole("kernel_size", DEFAULT_KERNEL, "kernel", 1, MAX_SIZE))
        with right:
            groups = whole("groups", 1, "groups", 1, MAX_SIZE, "Must divide both channel counts.")
    return slug, tuple(size), groups


def weight() -> Choice:
    """The weight's scheme and its parameters: the arguments of ``Init``."""
    slug = choice(
        "Weight scheme",
        list(schemes()),
        "xavier_uniform",
        "scheme",
        "The torch.nn.init function that fills the weight; default is what the module does.",
    )
    return parameters(slug, "weight")


def bias(default: str = "default") -> Choice:
    """The bias's scheme, of those that fill a vector, and its parameters."""
    slugs = [slug for slug, scheme in schemes().items() if 1 in scheme.ranks]
    slug = choice("Bias scheme", slugs, default, "bias", "How the bias is filled.")
    return parameters(slug, "bias")


def dtype() -> str:
    return choice("Number type", list(DTYPES), "float32", "dtype", "The dtype torch draws in.")


def seed() -> int:
    """The seed, with "Draw again" and "Reset"."""
    value = whole("Seed", 0, "seed", 0, MAX_SEED, "The same seed gives the same matrix.")
    with st.container(horizontal=True):
        st.button(
            "Draw again",
            on_click=_next_seed,
            width="stretch",
            help="The next seed.",
        )
        reset()
    return value


def reset() -> None:
    """The button "Reset"."""
    st.button(
        "Reset",
        on_click=_reset,
        width="stretch",
        help="Every control back to its default.",
    )


def _next_seed() -> None:
    st.session_state["seed"] = (int(st.session_state["seed"]) + 1) % (MAX_SEED + 1)


def _reset() -> None:
    for key, default in st.session_state.get(_DEFAULTS, {}).items():
        st.session_state[key] = default


def spec() -> Spec | InitError:
    """All controls of the Layer page as a spec, or why there can be none."""
    sizes = layer()
    weight_choice = weight()
    bias_choice = bias() if layer_kind(sizes[0]).has_bias else None
    number_type, chosen_seed = dtype(), seed()
    try:
        bias_init = Init(*bias_choice) if bias_choice else None
        return Spec(Layer(*sizes), Init(*weight_choice), bias_init, chosen_seed, number_type)
    except InitError as error:
        return error


def activation() -> str:
    slugs = [record.slug for record in ACTIVATIONS]
    return choice("Activation", slugs, "tanh", "activation", "What follows every layer.")


def network() -> Network | InitError:
    """All controls of the Propagation page as a network, or why there can be none."""
    left, right = st.columns(2)
    with left:
        depth = whole("Depth", 30, "depth", 1, MAX_DEPTH, "How many layers.")
    with right:
        width = whole("Width", 256, "width", 1, MAX_SIZE, "Units of every layer.")
    function = activation()
    weight_choice, bias_choice = weight(), bias("zeros")
    with st.expander("Network"):
        of_each = text(
            "Widths, layer by layer",
            "widths",
            "784, 512, 256",
            "Widths that differ; they replace depth and width.",
        )
        norm = choice("Norm", ("none", "layer_norm"), "none", "norm", "Before every activation.")
        residual = choice(
            "Residual",
            RESIDUALS,
            "none",
            "residual",
            "Adds a layer's pre-activations to the next one's. scaled: each layer is multiplied by "
            "1/√N, of N branches, as GPT-2's 1/√(2L).",
        )
        whole_scheme = choice(
            "Whole network",
            WHOLES,
            "none",
            "whole",
            "fixup scales residual branches of two layers by 1/√N and ends them with zeros; lsuv "
            "divides each layer by the std of its output.",
        )
    with st.expander("Inputs"):
        inputs = choice("Inputs", INPUTS, "white", "inputs", "Noise, or images of digits.")
        correlation = number(
            "Correlation", 0.5, "correlation", 0.0, 1.0, 0.1, "Of two inputs of correlated noise."
        )
        batch = whole("Batch", 128, "batch", 2, 100_000, "How many inputs.")
        seeds = whole("Seeds", 3, "seeds", 1, MAX_SEEDS, "How many networks; bands span them.")
    first_seed = seed()
    try:
        widths = widths_of(of_each)
        return Network(
            depth=len(widths) or depth,
            width=widths or width,
            activation=function,
            weight=Init(*weight_choice),
            bias=Init(*bias_choice),
            inputs=inputs,
            correlation=correlation,
            batch=batch,
            seeds=seeds,
            seed=first_seed,
            layer_norm=norm == "layer_norm",
            residual=residual,
            whole=whole_scheme,
        )
    except InitError as error:
        return error
