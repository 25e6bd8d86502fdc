"""Lesson: from nn.Linear(5, 5) to Xavier, with a guess before each answer."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
import torch
from torch import nn

from initcore import Init, Layer, Spec, draw_spec, fit
from initcore.figures.weights import density_top, heatmap, histogram, value_range
from initcore.laws import Uniform, number
from initcore.report import outside_sentence
from initcore.schemes import xavier_bound
from ui import show
from ui.entry import through_app
from ui.link import open_in_layer
from ui.reports import report

through_app()

SMALL, LARGE = Layer("linear", (5, 5)), Layer("linear", (256, 256))


@dataclass(frozen=True)
class Step:
    """One step: a text, the code it is about, a guess to make, the answer shown live."""

    title: str
    text: str
    code: str
    question: str
    options: tuple[str, ...]
    answer: int
    reveal: Callable[[], None]
    spec: Spec


def spec(scheme: str, bias: str = "zeros", layer: Layer = SMALL, **params: float) -> Spec:
    return Spec(layer, Init(scheme, params), Init(bias))


def picture(shown: Spec, key: str) -> None:
    """The matrix and its histogram."""
    made = report(shown)
    left, right = st.columns(2, gap="medium")
    with left:
        show.chart(heatmap(made, show.palette()), f"{key}-matrix")
    with right:
        show.chart(histogram(made, show.palette()), f"{key}-histogram")


def pair(first: Spec, second: Spec, key: str) -> None:
    """Two histograms on the same axis."""
    both = [report(first), report(second)]
    parts = [made.weight for made in both]
    span, top = value_range(parts, xavier_bound(first.layer)), density_top(parts)
    for column, made in zip(st.columns(2, gap="medium"), both, strict=True):
        with column:
            law, measured = made.weight.law, made.weight.measurement
            st.markdown(f"**{law.notation}**, measured std {number(measured.std)}")
            chart = histogram(made, show.palette(), span=span, top=top)
            show.chart(chart, f"{key}-{law.notation}")


def define_a_layer() -> None:
    made = report(spec("default", "default"))
    st.markdown(
        f"`layer.weight` has shape {list(SMALL.weight_shape)}, a row for each output and a column "
        f"for each input: {made.weight.measurement.count} weights. `layer.bias` adds "
        f"{made.bias.measurement.count if made.bias else 0}, one for each output."
    )
    picture(made.spec, "define")


def what_the_default_is() -> None:
    made = report(spec("default", "default", LARGE))
    xavier = Uniform(-xavier_bound(LARGE), xavier_bound(LARGE))
    st.markdown(
        "Five by five weights are too few to tell laws apart, so here are "
        f"{made.weight.measurement.count:,}, of `{LARGE.code}`.\n\n"
        f"- The default's own law: {made.weight.fit.verdict}\n"
        f"- Xavier uniform: {fit(made.weight.measurement, xavier).verdict}\n\n"
        "The weights stop well inside the Xavier bounds. The default is "
        "`kaiming_uniform_(a=√5)`, which comes to U(±1/√fan_in)."
    )
    show.chart(histogram(made, show.palette()), "default")


def in_place() -> None:
    weight = nn.Parameter(draw_spec(spec("default")).weight)
    address = weight.data_ptr()
    returned = nn.init.uniform_(weight, generator=torch.Generator().manual_seed(0))
    st.markdown(
        "Run just now:\n\n"
        f"- the call returned the very same object: **{returned is weight}**\n"
        f"- at the same place in memory: **{weight.data_ptr() == address}**\n"
        f"- it still asks for a gradient: **{weight.requires_grad}**\n"
        f"- and it now holds values from {number(weight.min().item())} to "
        f"{number(weight.max().item())}\n\n"
        "The underscore is torch's sign for *in place*. `nn.init` runs under `torch.no_grad()`, so "
        "`layer.weight` serves as well as `layer.weight.data`, which is the same memory without "
        "the gradient's bookkeeping."
    )


def uniform_0_3() -> None:
    made = report(spec("uniform", a=0.0, b=3.0))
    st.markdown(
        f"The law's mean is {number(made.weight.law.mean)}; these 25 weights have "
        f"{number(made.weight.measurement.mean)}. Every weight is positive, so every unit adds up "
        "its inputs with the same sign, and the outputs grow with the number of inputs."
    )
    picture(made.spec, "uniform")


def two_stds() -> None:
    st.markdown(
        "95 % of a normal lies within two standard deviations: ±2 for std 1, ±0.4 for std 0.2. "
        "The two draws share a seed: the second is the first, shrunk to a fifth."
    )
    pair(spec("normal", std=1.0), spec("normal", std=0.2), "stds")


def constants() -> None:
    drawn = draw_spec(spec("constant", val=8.0))
    inputs = torch.arange(1.0, 6.0)
    outputs = nn.functional.linear(inputs, drawn.weight, drawn.bias)
    by_zeros, by_constant = nn.init.zeros_(torch.empty(5)), nn.init.constant_(torch.empty(5), 0)
    st.markdown(
        f"For the input {inputs.tolist()} the outputs are {outputs.tolist()}: "
        f"**{len(set(outputs.tolist()))}** value. All units compute the same and receive the same "
        "gradient, so training can never part them. For a bias that is harmless, and zero is "
        "usual. `zeros_(layer.bias)` and `constant_(layer.bias, 0)` give equal tensors: "
        f"**{torch.equal(by_zeros, by_constant)}**."
    )
    picture(drawn.spec, "constants")


def xavier_uniform() -> None:
    made = report(spec("xavier_uniform"))
    st.markdown(
        f"√(6/(fan_in + fan_out)) = √(6/10) = {number(xavier_bound(SMALL))}. "
        f"{outside_sentence(made)}\n\nThe variance, a²/3 = 2/(fan_in + fan_out), is a compromise: "
        "1/fan_in would keep the signal's size on the way forward, 1/fan_out the gradient's on the "
        "way back."
    )
    picture(made.spec, "xavier-uniform")


def xavier_normal() -> None:
    st.markdown(
        "The bounds lie √3 standard deviations out, and 8.3 % of a normal lies beyond. Of the 25 "
        f"weights here: {outside_sentence(report(spec('xavier_normal')))} Of many: "
        f"{outside_sentence(report(spec('xavier_normal', layer=LARGE)))}"
    )
    pair(spec("xavier_uniform", layer=LARGE), spec("xavier_normal", layer=LARGE), "xavier")


STEPS = (
    Step(
        "Define a layer",
        "A linear layer multiplies its input by a matrix of weights and adds a bias.",
        "layer = nn.Linear(5, 5)",
        "How many numbers does it hold, weights and bias together?",
        ("10", "25", "30"),
        2,
        define_a_layer,
        spec("default", "default"),
    ),
    Step(
        "What the default really is",
        "torch has filled the layer already. Many a tutorial says: with Xavier initialisation.",
        "layer = nn.Linear(5, 5)\nlayer.weight",
        "Which law do the weights of a fresh nn.Linear(5, 5) follow?",
        ("Xavier uniform, U(±0.7746)", "U(±1/√5) = U(±0.4472)", "A normal of std 1"),
        1,
        what_the_default_is,
        spec("default", "default", LARGE),
    ),
    Step(
        ".data, and the underscore",
        "`layer.weight` is a Parameter, which asks for a gradient; `layer.weight.data` is the bare "
        "tensor behind it. The initialisers of `nn.init` all end in an underscore.",
        "nn.init.uniform_(layer.weight)",
        "What does layer.weight hold after this call?",
        (
            "The old values: the call returns a new tensor",
            "The new values: the call overwrites it",
            "Nothing: a Parameter must not be changed, it raises",
        ),
        1,
        in_place,
        spec("uniform"),
    ),
    Step(
        "Uniform from 0 to 3",
        "Every value between a and b is equally likely.",
        "nn.init.uniform_(layer.weight, a=0, b=3)",
        "Around which value will the weights average?",
        ("0", "1.5", "3"),
        1,
        uniform_0_3,
        spec("uniform", a=0.0, b=3.0),
    ),
    Step(
        "A normal, wide and narrow",
        "The mean says where the bell stands, the standard deviation how wide it is.",
        "nn.init.normal_(layer.weight, mean=0.0, std=1.0)\n"
        "nn.init.normal_(layer.weight, mean=0.0, std=0.2)",
        "With std 0.2, between which values do about 95 % of the weights lie?",
        ("±0.2", "±0.4", "±1"),
        1,
        two_stds,
        spec("normal", std=0.2),
    ),
    Step(
        "Constants, and two ways to zero a bias",
        "A constant is useful for a bias. What if the weights, too, are all the same?",
        "nn.init.constant_(layer.weight, 8)\n"
        "nn.init.constant_(layer.bias, 0)\n"
        "nn.init.zeros_(layer.bias)  # the same",
        "All weights are 8. How many different outputs do the five units give?",
        ("1", "5", "25"),
        0,
        constants,
        spec("constant", val=8.0),
    ),
    Step(
        "Xavier uniform",
        "Glorot and Bengio chose the width of the uniform from the layer's own sizes.",
        "nn.init.xavier_uniform_(layer.weight)",
        "Where do its bounds lie for a layer with 5 inputs and 5 outputs?",
        ("±1/√5 = ±0.4472", "±√(6/(5+5)) = ±0.7746", "±1"),
        1,
        xavier_uniform,
        spec("xavier_uniform"),
    ),
    Step(
        "Xavier normal",
        "The same variance in the shape of a bell, whose tails know no bound.",
        "nn.init.xavier_normal_(layer.weight)",
        "Which share of its weights lies outside the bounds of Xavier uniform?",
        ("None", "About 8 %", "About half"),
        1,
        xavier_normal,
        spec("xavier_normal"),
    ),
)


def go(to: int) -> None:
    st.session_state["step"] = str(to)


def reveal(number: int) -> None:
    st.session_state.setdefault("revealed", set()).add(number)


st.title("From a layer to Xavier", anchor=False)
numbers = [str(n) for n in range(1, len(STEPS) + 1)]
chosen = st.segmented_control(
    "Step", numbers, default="1", required=True, key="step", bind="query-params"
)
at = int(chosen or 1)
step = STEPS[at - 1]
revealed: set[int] = st.session_state.setdefault("revealed", set())
st.progress(len(revealed) / len(STEPS), f"{len(revealed)} of {len(STEPS)} answered")

st.header(f"{at}. {step.title}", anchor=False)
st.markdown(step.text)
st.code(step.code, language="python")
with st.container(border=True):
    guess = st.radio(
        step.question,
        step.options,
        index=None,
        key=f"guess{at}",
        persist_state="session",
        disabled=at in revealed,
    )
    if at not in revealed:
        st.button(
            "Reveal",
            type="primary",
            icon=":material/visibility:",
            disabled=guess is None,
            on_click=reveal,
            args=(at,),
            help="Make a guess first." if guess is None else None,
        )
    elif guess == step.options[step.answer]:
        st.success(f"Right: {step.options[step.answer]}.", icon=":material/check:")
    else:
        st.warning(
            f"You guessed {guess}. It is: {step.options[step.answer]}.", icon=":material/lightbulb:"
        )
if at in revealed:
    step.reveal()
    open_in_layer(step.spec)

with st.container(horizontal=True, horizontal_alignment="distribute"):
    st.button(
        "Back",
        icon=":material/arrow_back:",
        shortcut="B",
        disabled=at == 1,
        on_click=go,
        args=(at - 1,),
    )
    st.button(
        "Next",
        icon=":material/arrow_forward:",
        icon_position="right",
        shortcut="N",
        type="primary" if at in revealed else "secondary",
        disabled=at == len(STEPS),
        on_click=go,
        args=(at + 1,),
    )
if len(revealed) == len(STEPS):
    st.success("That was the lesson. Now move the sliders yourself, on the Layer page.")
