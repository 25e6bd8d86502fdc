"""Training: one small network from several initialisations, everything else equal.

>>> runners = (Entrant(Init("kaiming_normal")), Entrant(Init("normal", {"std": 1e-3})))
>>> result = race(RaceSpec(runners, problem="spirals", widths=(16,), steps=40))
>>> [runner.train_loss.shape for runner in result.runners]
[(5, 5), (5, 5)]

The network is a perceptron with one activation after each hidden layer, trained by stochastic
gradient descent on the mean cross-entropy. For a seed all entrants see the same batches in the same
order; from seed to seed both the draw and the order change. All seeds of an entrant are trained at
once, their weights stacked as (seeds, out, in). A run that leaves the finite numbers is a result:
its curve ends there.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import stdtr
from torch import Tensor
from torch.nn.functional import cross_entropy

from initcore.activations import get_activation
from initcore.draw import Spec, draw_spec
from initcore.errors import InitError, check_whole
from initcore.laws import number
from initcore.layers import Layer
from initcore.measure import Progress, workers
from initcore.problems import Part, get_problem, load
from initcore.report import finite
from initcore.schemes import Init, Value

Array = npt.NDArray[np.float64]

MAX_ENTRANTS = 6
MAX_SEEDS = 10
MAX_STEPS = 20_000
MAX_BATCH = 512
MAX_WIDTH = 512
MAX_DEPTH = 50
MAX_RATES = 12
MAX_SEED = 2**32 - 1
# All weights of all seeds and entrants: with their velocities 16 MB, which a server can keep for
# several visitors.
MAX_WEIGHTS = 2_000_000
# Multiply-adds of all forward passes: some minutes on one core.
MAX_WORK = 2e12
# Steps between two points at which a run may be stopped.
_CHUNK = 10
# A difference is beyond seed noise where chance alone makes one so large in fewer than 5 % of
# races, shared out among all pairs (Bonferroni).
ALPHA = 0.05
# A loss of 0 has no logarithm.
_SMALLEST = 1e-12


# --- what is trained ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Entrant:
    """How the weights and biases of all layers are drawn, and the learning rate they get."""

    weight: Init
    rate: float = 0.05
    bias: Init = field(default_factory=lambda: Init("zeros"))

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    @property
    def label(self) -> str:
        """The scheme, with the parameters that are not torch's defaults."""
        changed = [
            f"{name}={value if isinstance(value, str) else number(value)}"
            for name, value in _changed(self.weight).items()
        ]
        return f"{self.weight.slug}({', '.join(changed)})" if changed else self.weight.slug


def _changed(init: Init) -> dict[str, Value]:
    """The parameters that are not torch's defaults."""
    defaults = init.scheme.defaults()
    return {name: value for name, value in init.params.items() if value != defaults[name]}


def _check_rate(rate: float) -> None:
    if not 0 < rate <= 1e3:
        raise InitError(f"learning rate {rate:g}: must be more than 0 and at most 1,000")


@dataclass(frozen=True)
class RaceSpec:
    """Everything that decides a race: hashable and small.

    ``widths`` are those of the hidden layers. Losses and accuracies are taken every ``every``
    steps, from step 0 on. Seed ``k`` of ``seeds`` is ``seed + k``; the problem is made from
    ``seed``. Raises InitError for values out of range, for entrants that cannot fill the layers,
    and for a race that is too large, all before anything is drawn.
    """

    entrants: tuple[Entrant, ...]
    problem: str = "digits"
    widths: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    steps: int = 500
    batch: int = 64
    momentum: float = 0.0
    seeds: int = 5
    seed: int = 0
    every: int = 10

    def __post_init__(self) -> None:
        get_problem(self.problem)
        get_activation(self.activation)
        if not 1 <= len(self.entrants) <= MAX_ENTRANTS:
            raise InitError(
                f"{len(self.entrants)} initialisations: a race takes 1 to {MAX_ENTRANTS}"
            )
        if len(set(self.entrants)) < len(self.entrants):
            raise InitError("two entrants are the same: change a parameter or a rate, or drop one")
        check_whole("hidden layers", len(self.widths), 0, MAX_DEPTH)
        for width in self.widths:
            check_whole("width", width, 1, MAX_WIDTH)
        check_whole("steps", self.steps, 1, MAX_STEPS)
        check_whole("batch", self.batch, 1, MAX_BATCH)
        check_whole("seeds", self.seeds, 1, MAX_SEEDS)
        check_whole("seed", self.seed, 0, MAX_SEED)
        check_whole("every", self.every, 1, MAX_STEPS)
        if not 0 <= self.momentum < 1:
            raise InitError(f"momentum = {self.momentum:g}: must be at least 0 and below 1")
        if self.total > MAX_WEIGHTS:
            raise InitError(
                f"{len(self.entrants)} entrants × {self.seeds} seeds × {self.weights:,} weights "
                f"are {self.total:,}: a race takes at most {MAX_WEIGHTS:,}; choose smaller widths, "
                "or fewer seeds"
            )
        work = self.total * self.batch * self.steps
        if work > MAX_WORK:
            raise InitError(
                f"{self.total:,} weights × batches of {self.batch} × {self.steps:,} steps are "
                f"{work:.2g}: a race takes at most {MAX_WORK:.2g}; choose fewer steps"
            )
        for entrant in self.entrants:
            self._draws(entrant, self.seed)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        data = load(self.problem, self.seed)
        sizes = (data.features, *self.widths, data.classes)
        return tuple(Layer("linear", pair) for pair in itertools.pairwise(sizes))

    @property
    def weights(self) -> int:
        """How many weights and biases one network has."""
        return sum(layer.count + layer.size[1] for layer in self.layers)

    @property
    def total(self) -> int:
        """All weights and biases of all entrants and seeds."""
        return len(self.entrants) * self.seeds * self.weights

    @property
    def chance(self) -> float:
        """The loss of guessing all classes with equal probability: ln(classes)."""
        return math.log(self.layers[-1].size[1])

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each entrant: its label, with rate or bias only where needed to part them."""
        labels = [entrant.label for entrant in self.entrants]
        names = []
        for entrant, label in zip(self.entrants, labels, strict=True):
            same = [e for e, other in zip(self.entrants, labels, strict=True) if other == label]
            rate = f", rate {entrant.rate:g}" if len({e.rate for e in same}) > 1 else ""
            bias = f", bias {entrant.bias.slug}" if len({e.bias for e in same}) > 1 else ""
            names.append(f"{label}{rate}{bias}")
        return tuple(names)

    def _draws(self, entrant: Entrant, seed: int) -> list[Spec]:
        """The draws of an entrant's layers for one seed, each with a seed of its own."""
        return [
            Spec(layer, entrant.weight, entrant.bias, seed * 2**16 + number)
            for number, layer in enumerate(self.layers, 1)
        ]


# --- the state of a race ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Runner:
    """One entrant after ``step`` steps.

    ``weights`` (seeds, out, in) and ``biases`` (seeds, 1, out) of each layer stand in one tuple, as
    do their velocities; ``points`` are the evaluations so far, each (4 + layers, seeds).
    """

    step: int
    parameters: tuple[Tensor, ...]
    velocities: tuple[Tensor, ...]
    points: tuple[Array, ...]
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class RaceState:
    """A race so far; never changed, only replaced: ``train`` continues from it.

    Holds the weights of all entrants and seeds, at most 16 MB with their velocities.
    """

    spec: RaceSpec
    runners: tuple[_Runner, ...]

    @property
    def step(self) -> int:
        """How many steps every entrant has done."""
        return min(runner.step for runner in self.runners)


def start(spec: RaceSpec) -> RaceState:
    """The race before its first step: weights drawn and evaluated."""
    with workers(1) as worker:
        return RaceState(spec, tuple(worker.map(partial(_at_start, spec), spec.entrants)))


def train(state: RaceState, steps: int | None = None) -> Generator[RaceState, None, None]:
    """Continue a race up to ``steps`` in all (by default its spec's), yielding as it goes.

    Every state yielded can be kept and continued: stopped and resumed, a race gives the results of
    one uninterrupted run, bit for bit. Nothing runs between two of them once the caller stops.
    """
    goal = state.spec.steps if steps is None else steps
    spec, runners = state.spec, list(state.runners)
    # Matrices this small gain nothing from several threads, and much is lost where many people
    # share the cores; on one thread the bits do not depend on how many there are, either.
    with workers(1) as worker:
        while min(runner.step for runner in runners) < goal:
            # The one that is furthest behind goes first, so that all keep level.
            index = min(range(len(runners)), key=lambda i: runners[i].step)
            last = runners[index]
            runners[index] = worker.submit(
                _advance, spec, spec.entrants[index], last, goal
            ).result()
            yield RaceState(spec, tuple(runners))


def _at_start(spec: RaceSpec, entrant: Entrant) -> _Runner:
    seeds = range(spec.seed, spec.seed + spec.seeds)
    drawn = [[draw_spec(one) for one in spec._draws(entrant, seed)] for seed in seeds]
    parameters: list[Tensor] = []
    for layer in zip(*drawn, strict=True):
        parameters.append(torch.stack([one.weight for one in layer]))
        biases = [one.bias for one in layer if one.bias is not None]
        parameters.append(torch.stack(biases)[:, None])
    velocities = tuple(torch.zeros_like(parameter) for parameter in parameters)
    runner = _Runner(0, tuple(parameters), velocities, ())
    return replace(runner, points=(_evaluate(spec, runner.parameters, 0),))


def _advance(spec: RaceSpec, entrant: Entrant, runner: _Runner, goal: int) -> _Runner:
    """A few steps on: to the next evaluation at the latest."""
    step = runner.step
    end = min(goal, step + _CHUNK, step - step % spec.every + spec.every)
    parameters = [parameter.clone() for parameter in runner.parameters]
    velocities = [velocity.clone() for velocity in runner.velocities]
    began = time.perf_counter()
    for at in range(step, end):
        update = _gradients(spec, parameters, at)
        if spec.momentum:
            torch._foreach_mul_(velocities, spec.momentum)
            torch._foreach_add_(velocities, update)
            update = velocities
        torch._foreach_add_(parameters, update, alpha=-entrant.rate)
    seconds = runner.seconds + time.perf_counter() - began
    points = runner.points
    if end % spec.every == 0:
        points += (_evaluate(spec, parameters, end),)
    return _Runner(end, tuple(parameters), tuple(velocities), points, seconds)


def _forward(spec: RaceSpec, parameters: Sequence[Tensor], inputs: Tensor) -> Tensor:
    """Logits (seeds, count, classes) of inputs (seeds, count, features)."""
    activation = get_activation(spec.activation).function
    for index in range(0, len(parameters), 2):
        inputs = torch.baddbmm(parameters[index + 1], inputs, parameters[index].mT)
        if index + 2 < len(parameters):
            inputs = activation(inputs)
    return inputs


def _gradients(spec: RaceSpec, parameters: Sequence[Tensor], step: int) -> list[Tensor]:
    """The gradients of each seed's loss on its own batch of this step."""
    data = load(spec.problem, spec.seed).train
    rows = _batch(spec, len(data.labels), step)
    leaves = [parameter.requires_grad_() for parameter in parameters]
    logits = _forward(spec, leaves, data.inputs[rows])
    # The seeds share nothing, so the gradient of the sum is that of each.
    losses = cross_entropy(logits.flatten(0, 1), data.labels[rows].flatten(), reduction="sum")
    gradients = list(torch.autograd.grad(losses / rows.shape[1], leaves))
    for parameter in parameters:
        parameter.requires_grad_(False)
    return gradients


def _batch(spec: RaceSpec, count: int, step: int) -> Tensor:
    """The examples of a step, (seeds, batch): a function of seed and step alone."""
    size = min(spec.batch, count)
    epoch, place = divmod(step, count // size)
    orders = [_order(seed, epoch, count) for seed in range(spec.seed, spec.seed + spec.seeds)]
    return torch.stack([order[place * size : (place + 1) * size] for order in orders])


@lru_cache(maxsize=64)
def _order(seed: int, epoch: int, count: int) -> Tensor:
    generator = np.random.default_rng([seed, epoch])
    return torch.from_numpy(generator.permutation(count))


def _evaluate(spec: RaceSpec, parameters: Sequence[Tensor], step: int) -> Array:
    """(4 + layers, seeds): loss and accuracy on all training and test data, gradient norms.

    A norm is that of the weight's gradient on the batch that comes next.
    """
    data = load(spec.problem, spec.seed)
    rows = [*_judged(spec, parameters, data.train), *_judged(spec, parameters, data.test)]
    weights = _gradients(spec, parameters, step)[::2]
    rows += [gradient.flatten(1).double().norm(dim=1) for gradient in weights]
    return torch.stack(rows).numpy()


def _judged(spec: RaceSpec, parameters: Sequence[Tensor], part: Part) -> tuple[Tensor, Tensor]:
    """Mean loss and accuracy of each seed."""
    logits = _forward(spec, parameters, part.inputs.expand(spec.seeds, -1, -1))
    labels = part.labels.expand(spec.seeds, -1)
    losses = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    right = (logits.argmax(2) == labels).double()
    # An argmax of nan is a class like any other.
    accuracy = torch.where(logits.isfinite().all(2), right, math.nan).mean(1)
    return losses.view(spec.seeds, -1).double().mean(1), accuracy


# --- results ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Curve:
    """One entrant's race: arrays of (points,), (points, seeds) and (points, seeds, layers).

    ``steps_per_second`` is measured, evaluations left out, all seeds at once. From the point at
    which a seed's loss is no longer finite, its values are nan.
    """

    name: str
    entrant: Entrant
    steps: npt.NDArray[np.int64]
    train_loss: Array
    train_accuracy: Array
    test_loss: Array
    test_accuracy: Array
    gradients: Array
    steps_per_second: float

    @property
    def gradient(self) -> Array:
        """The norm of the gradient of all weights, (points, seeds)."""
        return np.asarray(np.linalg.norm(self.gradients, axis=2))

    @property
    def gradient_ratio(self) -> float:
        """First ÷ last layer's gradient norm before the first step, the median over seeds."""
        first, last = self.gradients[0, :, 0], self.gradients[0, :, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.median(first / last))

    @property
    def final_loss(self) -> Array:
        """The training loss at the last point, (seeds,)."""
        return np.asarray(self.train_loss[-1])

    @property
    def diverged(self) -> tuple[int | None, ...]:
        """For each seed the step at which its loss was first seen not to be finite, or None."""
        lost = np.isnan(self.train_loss)
        return tuple(
            int(self.steps[lost[:, k].argmax()]) if lost[:, k].any() else None
            for k in range(lost.shape[1])
        )


@dataclass(frozen=True)
class Comparison:
    """The final training losses of two entrants, by Welch's t-test of their logarithms.

    ``ratio`` is other ÷ best, of the geometric means over the seeds, ``error`` the standard error
    of its logarithm, and ``p_value`` the chance of one as far from 1 without a real difference;
    None where one seed, or no spread at all, gives no noise to compare with.
    """

    best: str
    other: str
    ratio: float
    error: float
    p_value: float | None
    beyond_noise: bool


@dataclass(frozen=True, eq=False)
class Race:
    """The results of a race, up to the last point that all entrants have reached."""

    spec: RaceSpec
    runners: tuple[Curve, ...]

    @property
    def finished(self) -> tuple[Curve, ...]:
        """The entrants of which no seed diverged, the lowest final training loss first.

        By the geometric mean over the seeds, as they are compared.
        """
        whole = [runner for runner in self.runners if np.isfinite(runner.final_loss).all()]
        return tuple(sorted(whole, key=lambda runner: _log_mean(runner.final_loss)))

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The best of the entrants that finished against each of the others."""
        pairs = math.comb(len(self.finished), 2)
        return tuple(_compare(self.finished[0], other, pairs) for other in self.finished[1:])

    @property
    def criterion(self) -> str:
        """What the verdict means by seed noise."""
        pairs = max(math.comb(len(self.finished), 2), 1)
        text = (
            "Beyond seed noise: Welch's t-test on the logarithms of the final training losses, "
            f"p < {ALPHA:g}{f' ÷ {pairs} pairs' if pairs > 1 else ''}. A seed changes the draw and "
            "the order of the batches."
        )
        if 1 < self.spec.seeds < 5:
            text += f" {self.spec.seeds} seeds can tell large differences only."
        return text

    @property
    def verdict(self) -> str:
        """Which differences exceed seed noise, in words."""
        finished, parts = self.finished, []
        if finished:
            best, at = finished[0], int(self.runners[0].steps[-1])
            head = f"{best.name} ends lowest" if len(finished) > 1 else f"{best.name} ends"
            parts.append(f"{head}: training loss {_mean_error(best.final_loss)} after {at:,} steps")
            beaten = [c.other for c in self.comparisons if c.beyond_noise]
            level = [c.other for c in self.comparisons if not c.beyond_noise]
            losses = {r.name: number(float(r.final_loss.mean()), 3) for r in finished}
            if beaten:
                parts[-1] += "; beyond seed noise it beats " + _listed(
                    [f"{name} ({losses[name]})" for name in beaten]
                )
            if level and self.spec.seeds > 1:
                parts[-1] += "; seed noise could explain its lead over " + _listed(
                    [f"{name} ({losses[name]})" for name in level]
                )
            elif level:
                parts[-1] += "; one seed has no noise to compare the others with"
        stuck = [r.name for r in finished if float(r.final_loss.mean()) > 0.95 * self.spec.chance]
        if stuck:
            verb = "has" if len(stuck) == 1 else "have"
            parts.append(f"{_listed(stuck)} {verb} learnt next to nothing")
            parts[-1] += f" (guessing gives {number(self.spec.chance)})"
        for runner in self.runners:
            lost = [step for step in runner.diverged if step is not None]
            if lost:
                parts.append(
                    f"{runner.name} diverged in {len(lost)} of {self.spec.seeds} seeds, first seen "
                    f"at step {min(lost):,}"
                )
        return ". ".join(parts) + "."


def _log_mean(values: Array) -> float:
    return float(np.log(np.maximum(values, _SMALLEST)).mean())


def _mean_error(values: Array) -> str:
    """Mean and standard error over seeds, for people."""
    mean = number(float(values.mean()), 3)
    if len(values) < 2:
        return mean
    return f"{mean} ± {number(float(values.std(ddof=1)) / math.sqrt(len(values)), 2)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _compare(best: Curve, other: Curve, pairs: int) -> Comparison:
    a, b = (np.log(np.maximum(runner.final_loss, _SMALLEST)) for runner in (best, other))
    difference, n = float(b.mean() - a.mean()), len(a)
    ratio = math.exp(difference)
    if n < 2:
        return Comparison(best.name, other.name, ratio, math.nan, None, False)
    first, second = float(a.var(ddof=1)) / n, float(b.var(ddof=1)) / n
    error = math.sqrt(first + second)
    if not error:
        return Comparison(best.name, other.name, ratio, 0.0, None, difference > 0)
    freedom = (n - 1) * (first + second) ** 2 / (first**2 + second**2)
    p_value = float(2 * stdtr(freedom, -abs(difference) / error))
    return Comparison(best.name, other.name, ratio, error, p_value, p_value < ALPHA / pairs)


def results(state: RaceState, steps: int | None = None) -> Race:
    """The curves of a race so far, up to ``steps`` at most (by default its spec's)."""
    spec = state.spec if steps is None else replace(state.spec, steps=steps)
    points = min(len(runner.points) for runner in state.runners)
    points = min(points, spec.steps // spec.every + 1)
    curves = (
        _curve(spec, entrant, name, runner, points)
        for entrant, name, runner in zip(spec.entrants, spec.names, state.runners, strict=True)
    )
    return Race(spec, tuple(curves))


def _curve(spec: RaceSpec, entrant: Entrant, name: str, runner: _Runner, points: int) -> Curve:
    values = np.stack(runner.points[:points])
    lost = np.logical_or.accumulate(~np.isfinite(values[:, 0]), axis=0)
    values = np.where(lost[:, None], np.nan, values)
    return Curve(
        name,
        entrant,
        spec.every * np.arange(points),
        values[:, 0],
        values[:, 1],
        values[:, 2],
        values[:, 3],
        values[:, 4:].transpose(0, 2, 1),
        runner.step / runner.seconds if runner.seconds else math.nan,
    )


def race(
    spec: RaceSpec, progress: Progress | None = None, executor: Executor | None = None
) -> Race:
    """Train all entrants and compare them.

    With an ``executor`` each entrant is a unit of its own, which can be pickled; the results are
    the same to the bit. ``progress`` is told of the share done; what it raises ends the race.
    """
    if executor is None:
        state = start(spec)
        for reached in train(state):
            state = reached
            if progress:
                done = sum(runner.step for runner in state.runners)
                progress(done / (spec.steps * len(spec.entrants)), f"step {state.step:,}")
        return results(state)
    units = [replace(spec, entrants=(entrant,)) for entrant in spec.entrants]
    runners = [one.runners[0] for one in _spread(race, units, progress, executor)]
    named = zip(runners, spec.names, strict=True)
    return Race(spec, tuple(replace(runner, name=name) for runner, name in named))


def _spread(
    work: Callable[[RaceSpec], Race],
    units: Sequence[RaceSpec],
    progress: Progress | None,
    executor: Executor,
) -> list[Race]:
    """The races of all units in their order, whichever finishes first."""
    futures = [executor.submit(work, unit) for unit in units]
    try:
        for done, _ in enumerate(as_completed(futures), 1):
            if progress:
                progress(done / len(futures), f"{done} of {len(futures)}")
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()


# --- sweep --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sweep:
    """Final training losses (entrants, rates, seeds); nan where a run diverged."""

    spec: RaceSpec
    rates: tuple[float, ...]
    losses: Array

    @property
    def means(self) -> Array:
        """The mean over seeds, (entrants, rates); nan where any seed diverged."""
        return np.asarray(self.losses.mean(2))

    def best(self, index: int) -> float | None:
        """The learning rate of the lowest mean loss of an entrant; None where all diverged."""
        means = self.means[index]
        return None if np.isnan(means).all() else self.rates[int(np.nanargmin(means))]

    @property
    def verdict(self) -> str:
        """How far each entrant gets at its own best rate, the best first, in words."""
        order = np.argsort(np.nanmin(np.where(np.isnan(self.means), np.inf, self.means), axis=1))
        parts = []
        for index in order:
            name, rate = self.spec.names[index], self.best(index)
            if rate is None:
                parts.append(f"{name} diverges at every rate")
                continue
            values = self.losses[index, self.rates.index(rate)]
            text = f"{name} {_mean_error(values)} at {rate:g}"
            if rate in (self.rates[0], self.rates[-1]) and len(self.rates) > 1:
                text += " (the end of the range: its best may lie beyond)"
            parts.append(text)
        return (
            f"Training loss after {self.spec.steps:,} steps, at the best rate: {'; '.join(parts)}."
        )


def sweep(
    spec: RaceSpec,
    rates: Sequence[float],
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Sweep:
    """Scheme × learning rate × seed: every entrant at every rate, its own rate left aside.

    Each pair of an entrant and a rate is a unit that can be pickled, so that any
    ``concurrent.futures`` executor can share them out; the answers are the same to the bit.
    """
    rates = tuple(sorted(set(rates)))
    if not 1 <= len(rates) <= MAX_RATES:
        raise InitError(f"{len(rates)} learning rates: a sweep takes 1 to {MAX_RATES}")
    # Only the last loss is wanted: evaluated at the start and the end.
    base = replace(spec, every=spec.steps)
    entrants = [replace(entrant, rate=rate) for entrant in spec.entrants for rate in rates]
    units = [replace(base, entrants=(entrant,)) for entrant in entrants]
    if executor is None:
        done = []
        for count, unit in enumerate(units):
            part = _part_of(progress, count, len(units), units[count].names[0])
            done.append(race(unit, part))
    else:
        done = _spread(race, units, progress, executor)
    losses = np.stack([one.runners[0].final_loss for one in done])
    return Sweep(spec, rates, losses.reshape(len(spec.entrants), len(rates), spec.seeds))


def _part_of(progress: Progress | None, index: int, count: int, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda share, now="": progress((index + share) / count, name)


# --- plain data ---------------------------------------------------------------------------------


CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "gradients")


def as_dict(result: Race) -> dict[str, Any]:
    """The race as plain data for JSON, in full precision; what is not finite is None."""
    spec = result.spec
    data = {
        "problem": spec.problem,
        "widths": list(spec.widths),
        "activation": spec.activation,
        "steps": spec.steps,
        "batch": spec.batch,
        "momentum": spec.momentum,
        "seeds": list(range(spec.seed, spec.seed + spec.seeds)),
        "torch_version": torch.__version__,
        "verdict": result.verdict,
        "criterion": result.criterion,
        "comparisons": [asdict(comparison) for comparison in result.comparisons],
        "entrants": [
            {
                "name": runner.name,
                "scheme": runner.entrant.weight.slug,
                "params": dict(runner.entrant.weight.params),
                "bias": runner.entrant.bias.slug,
                "rate": runner.entrant.rate,
                "steps_per_second": runner.steps_per_second,
                "diverged": list(runner.diverged),
                "curves": {
                    "step": runner.steps.tolist(),
                    **{name: getattr(runner, name).tolist() for name in CURVES},
                },
            }
            for runner in result.runners
        ],
    }
    plain = finite(data)
    assert isinstance(plain, dict)
    return plain


def csv(result: Race) -> str:
    """The curves, a line for each entrant, seed and point, below a line of names."""
    names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "gradient")
    lines = [",".join(("entrant", "seed", "step", *names))]
    for runner in result.runners:
        columns = [getattr(runner, name) for name in names]
        for k, at in itertools.product(range(result.spec.seeds), range(len(runner.steps))):
            values = [repr(float(column[at, k])) for column in columns]
            seed, step = result.spec.seed + k, int(runner.steps[at])
            lines.append(",".join((f'"{runner.name}"', str(seed), str(step), *values)))
    return "\n".join([*lines, ""])


def snippet(spec: RaceSpec) -> str:
    """Code that runs the same race, without a final newline."""
    entrants = []
    for entrant in spec.entrants:
        bias = "" if entrant.bias == Init("zeros") else f", bias={_code(entrant.bias)}"
        entrants.append(f"    Entrant({_code(entrant.weight)}, rate={entrant.rate:g}{bias}),")
    settings = ("problem", "activation", "steps", "batch", "momentum", "seeds", "seed")
    values = {name: getattr(spec, name) for name in settings}
    rest = [f"    {n}={_literal(v)}," for n, v in values.items()]
    widths = f"({spec.widths[0]},) * {len(spec.widths)}" if spec.widths else "()"
    if len(set(spec.widths)) > 1:
        widths = repr(spec.widths)
    return "\n".join(
        [
            "from initcore import Init",
            "from initcore.training import Entrant, RaceSpec, race",
            "",
            "entrants = (",
            *entrants,
            ")",
            "spec = RaceSpec(",
            "    entrants,",
            f"    widths={widths},",
            *rest,
            ")",
            "print(race(spec).verdict)",
        ]
    )


def _code(init: Init) -> str:
    params = ", ".join(f'"{name}": {_literal(value)}' for name, value in _changed(init).items())
    return f'Init("{init.slug}", {{{params}}})' if params else f'Init("{init.slug}")'


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
