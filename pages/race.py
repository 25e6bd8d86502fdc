"""Race: the same network trained from up to six initialisations, everything else equal."""

import json

import numpy as np
import streamlit as st

from initcore import Init, InitError, schemes
from initcore.activations import ACTIVATIONS
from initcore.figures.race import curves, sweep_map
from initcore.layers import MAX_SIZE
from initcore.problems import PROBLEMS, get_problem
from initcore.training import Entrant, Race, RaceSpec, as_dict, csv, snippet
from ui import controls, show
from ui.entry import through_app
from ui.link import follow, race_of, race_query
from ui.races import swept, watch
from ui.reports import refuse

through_app()

MOST = 6
FIRST = ["kaiming_normal", "xavier_normal", "default", "orthogonal"]
LOWEST, HIGHEST = 1e-6, 1e3  # learning rates


def rate_of(label: str, default: float, key: str, help: str) -> float:
    return controls.number(label, default, key, LOWEST, HIGHEST, 0.01, help)


follow(lambda values: race_query(race_of(values)))
with st.sidebar:
    problem = controls.choice("Problem", [p.slug for p in PROBLEMS], "digits", "problem")
    slugs = [slug for slug, scheme in schemes().items() if 2 in scheme.ranks]
    chosen = controls.several("Schemes", slugs, FIRST, "schemes", MOST)
    with st.expander("Parameters"):
        choices = [controls.parameters(slug, "weight") for slug in chosen]
        if not any(values for _, values in choices):
            st.caption("The chosen schemes take none.")
    left, right = st.columns(2)
    with left:
        width = controls.whole("Width", 64, "width", 1, MAX_SIZE, "Units of each hidden layer.")
    with right:
        depth = controls.whole("Hidden layers", 8, "depth", 1, MAX_SIZE)
    activation = controls.choice(
        "Activation", [a.slug for a in ACTIVATIONS], "relu", "activation", "After hidden layers."
    )
    bias_slug, bias_values = controls.bias("zeros")
    per_scheme = controls.choice(
        "Learning rates", ["one", "each"], "one", "rates", "One for all schemes, or one for each."
    )
    if per_scheme == "each":
        rates = [rate_of(slug, 0.05, f"{slug}.rate", "Its learning rate.") for slug in chosen]
    else:
        about = "Of stochastic gradient descent."
        rates = [rate_of("Learning rate", 0.05, "rate", about)] * len(chosen)
    left, right = st.columns(2)
    with left:
        steps = controls.whole("Steps", 400, "steps", 1, MAX_SIZE, "Updates of the weights.")
        seeds = controls.whole("Seeds", 5, "seeds", 1, MAX_SIZE, "Draws and orders of the data.")
    with right:
        batch = controls.whole("Batch", 64, "batch", 1, MAX_SIZE, "Examples a step.")
        about = "Share of the last update that is kept."
        momentum = controls.number("Momentum", 0.0, "momentum", 0.0, 0.999, 0.1, about)
    view = controls.choice(
        "View",
        ["race", "sweep"],
        "race",
        "view",
        "race: curves at the rates above. sweep: the final loss over a range of rates.",
    )
    if view == "sweep":
        low = rate_of("Lowest rate", 0.001, "low", "Where the sweep starts.")
        high = rate_of("Highest rate", 1.0, "high", "Where the sweep ends.")
        count = controls.whole("Rates", 7, "count", 1, 12, "Evenly spread over the logarithm.")
    seed = controls.seed()

controls.show_problems()
made_of = get_problem(problem)
st.title(f"Race on {made_of.title.lower()}", anchor=False)
st.caption(f"{made_of.about}. Source: {made_of.source}.")

entrants = []
for (slug, values), rate in zip(choices, rates, strict=True):
    try:
        entrants.append(Entrant(Init(slug, values), rate, Init(bias_slug, bias_values)))
    except InitError as error:
        st.warning(f"{error}.", title=f"{slug} is left out", icon=":material/block:")
if not entrants:
    st.info("Choose up to six schemes in the sidebar.", icon=":material/arrow_back:")
    st.stop()
try:
    spec = RaceSpec(
        tuple(entrants),
        problem=problem,
        widths=(width,) * min(depth, 10_000),  # more are refused all the same
        activation=activation,
        steps=steps,
        batch=batch,
        momentum=momentum,
        seeds=seeds,
        seed=seed,
    )
except InitError as error:
    refuse(error)
palette = show.palette()

if view == "sweep":
    grid = tuple(float(f"{rate:.3g}") for rate in np.geomspace(low, high, count))
    try:
        made = swept(spec, grid)
    except InitError as error:
        refuse(error)
    with st.container(border=True):
        st.markdown(made.verdict)
    st.subheader("Final training loss", anchor=False)
    show.chart(sweep_map(made, palette), "sweep")
    st.caption(
        f"Measured: means over {spec.seeds} seeds after {spec.steps:,} steps; framed: the best "
        f"rate of each scheme. Blue is below the loss of guessing, {show.cell(spec.chance)}, "
        "orange above it. A run counts as diverged where any seed's loss is not finite."
    )
    rows = [
        {
            "scheme": name,
            **{f"{rate:g}": float(loss) for rate, loss in zip(grid, line, strict=True)},
        }
        for name, line in zip(spec.names, made.means, strict=True)
    ]
    st.subheader("In numbers", anchor=False)
    show.table(rows, "Final training loss by scheme and learning rate")
    controls.full_link("race")
    st.stop()

top = st.container()
loss, accuracy = st.columns(2, gap="medium")
with loss:
    st.subheader("Training loss", anchor=False)
    loss_slot = st.empty()
with accuracy:
    st.subheader("Test accuracy", anchor=False)
    accuracy_slot = st.empty()


def draw(shown: Race, live: str = "") -> None:
    for slot, quantity in ((loss_slot, "train_loss"), (accuracy_slot, "test_accuracy")):
        with slot:
            show.chart(curves(shown, quantity, palette), f"{quantity}{live}")  # type: ignore[arg-type]


with top:
    result = watch(spec, lambda shown: draw(shown, f"-{shown.runners[0].steps[-1]}"))
    with st.container(border=True):
        st.markdown(result.verdict)
        st.caption(result.criterion)
draw(result)
st.caption(
    f"Measured every {spec.every} steps on all of the training and the test data: line, the mean "
    f"over {spec.seeds} seeds; band, their range; dashes, the loss of guessing. Each seed gives "
    "all schemes the same batches in the same order."
)

norms, numbers = st.columns(2, gap="medium")
with norms:
    st.subheader("Gradient norm", anchor=False)
    show.chart(curves(result, "gradient", palette), "gradient")
    st.caption("Of all weights together, on the batch of that step.")
with numbers:
    st.subheader("Code", anchor=False)
    st.code(snippet(spec), language="python", wrap_lines=True)

st.subheader("In numbers", anchor=False)
lines = [
    {
        "scheme": runner.name,
        "learning rate": runner.entrant.rate,
        "training loss": float(runner.final_loss.mean()),
        "test loss": float(runner.test_loss[-1].mean()),
        "training accuracy (%)": 100 * float(runner.train_accuracy[-1].mean()),
        "test accuracy (%)": 100 * float(runner.test_accuracy[-1].mean()),
        "first ÷ last layer's gradient": runner.gradient_ratio,
        "steps per second": runner.steps_per_second,
    }
    for runner in result.runners
]
show.table(lines, "Each scheme at its last point: losses, accuracies, speed")
st.caption(
    "Means over the seeds at the last point. The ratio of the gradients' norms is taken before the "
    "first step: far from 1, the layers do not learn alike. Steps per second were measured on this "
    "server, of all seeds at once and without the evaluations; they are no part of the link."
)
if result.comparisons:
    st.subheader("Against seed noise", anchor=False)
    pairs = [
        {
            "scheme": c.other,
            f"loss ÷ {c.best}'s": c.ratio,
            "noise of the ratio (%)": 100 * c.error,
            "p": np.nan if c.p_value is None else c.p_value,
            "beyond noise": "yes" if c.beyond_noise else "no",
        }
        for c in result.comparisons
    ]
    show.table(pairs, "The best scheme's training loss against each of the others")
    st.caption("Geometric means over the seeds; noise: one standard error of the ratio.")

st.subheader("Keep it", anchor=False)
with st.container(horizontal=True):
    st.download_button(
        "Curves (CSV)",
        lambda: csv(result),
        f"race-{problem}.csv",
        "text/csv",
        icon=":material/table:",
        on_click="ignore",
    )
    st.download_button(
        "Race (JSON)",
        lambda: json.dumps(as_dict(result), indent=2, ensure_ascii=False),
        f"race-{problem}.json",
        "application/json",
        icon=":material/data_object:",
        on_click="ignore",
    )
controls.full_link("race")
