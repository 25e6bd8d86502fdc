"""Races: deterministic, resumable to the bit, the same however they are shared out."""

import itertools
import json
import math
import pickle
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from initcore import training
from initcore.draw import Spec, draw_spec
from initcore.errors import InitError
from initcore.layers import Layer
from initcore.problems import load
from initcore.schemes import Init
from initcore.training import (
    CURVES,
    Entrant,
    RaceSpec,
    as_dict,
    csv,
    race,
    results,
    snippet,
    start,
    sweep,
    train,
)

HE, TINY = Entrant(Init("kaiming_normal")), Entrant(Init("normal", {"std": 1e-3}))
SMALL = RaceSpec((HE, TINY), "spirals", (12, 12), steps=30, batch=32, seeds=3)


def same(first, second):
    """Bit-equal curves, nan where the other is nan."""
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
        for a, b in zip(first.runners, second.runners, strict=True)
        for name in CURVES
    )


def run(state, steps):
    for reached in train(state, steps):
        state = reached
    return state


# --- what is trained ----------------------------------------------------------------------------


def test_a_race_is_plain_sgd_of_the_drawn_network():
    """Against nn.Sequential and torch.optim.SGD, seed by seed, on the same batches."""
    spec = replace(SMALL, entrants=(HE,), momentum=0.9, activation="tanh", every=1, steps=8)
    made, data = race(spec).runners[0], load("spirals")
    for k in range(spec.seeds):
        modules = []
        for number, layer in enumerate(spec.layers, 1):
            module = nn.Linear(*layer.size)
            drawn = draw_spec(Spec(layer, HE.weight, HE.bias, k * 2**16 + number))
            with torch.no_grad():
                module.weight.copy_(drawn.weight)
                module.bias.copy_(drawn.bias)
            modules += [module, nn.Tanh()]
        network = nn.Sequential(*modules[:-1])
        optimiser = torch.optim.SGD(network.parameters(), lr=HE.rate, momentum=0.9)
        for step in range(9):
            loss = nn.functional.cross_entropy(network(data.train.inputs), data.train.labels)
            assert made.train_loss[step, k] == pytest.approx(float(loss.detach()), rel=1e-4)
            rows = training._batch(spec, len(data.train.labels), step)[k]
            optimiser.zero_grad()
            logits = network(data.train.inputs[rows])
            nn.functional.cross_entropy(logits, data.train.labels[rows]).backward()
            norms = [float(module.weight.grad.norm()) for module in modules[::2]]
            np.testing.assert_allclose(made.gradients[step, k], norms, rtol=1e-3)
            optimiser.step()
        right = network(data.test.inputs).argmax(1) == data.test.labels
        # The last update is beyond the last point.
        assert made.test_accuracy[-1, k] == pytest.approx(float(right.float().mean()), abs=0.05)


def test_every_layer_is_drawn_apart():
    state = start(replace(SMALL, widths=(12, 12, 12), entrants=(HE,), seeds=2))
    weights = state.runners[0].parameters[::2]
    assert not torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[1][0], weights[1][1])


def test_all_entrants_see_the_same_batches_and_each_seed_its_own():
    count = 1200
    first, second = (training._batch(SMALL, count, step) for step in (0, 1))
    assert first.shape == (3, 32)
    assert not torch.equal(first[0], first[1])
    # An epoch shows each example at most once.
    assert not set(first[0].tolist()) & set(second[0].tolist())
    alone = replace(SMALL, seed=1, seeds=1)
    assert torch.equal(training._batch(alone, count, 40)[0], training._batch(SMALL, count, 40)[1])


def test_a_batch_larger_than_the_data_takes_all_of_it():
    spec = replace(SMALL, batch=512)
    assert training._batch(spec, 100, 7).sort(1).values.tolist() == [list(range(100))] * 3


# --- the same however it is run -----------------------------------------------------------------


def test_a_seed_gives_one_race():
    first = race(SMALL)
    training._order.cache_clear()
    assert same(first, race(SMALL))
    assert not same(first, race(replace(SMALL, seed=1)))


def test_a_resumed_race_equals_an_uninterrupted_one_to_the_bit():
    spec = replace(SMALL, momentum=0.9, every=7)
    whole = run(start(spec), 60)
    resumed = run(run(run(start(spec), 13), 14), 60)
    assert same(results(whole, 60), results(resumed, 60))
    for a, b in zip(whole.runners, resumed.runners, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters, b.parameters, strict=True))
        assert all(torch.equal(x, y) for x, y in zip(a.velocities, b.velocities, strict=True))
    # A longer race begins as a shorter one.
    assert same(results(whole, 30), race(spec))


def test_a_stop_anywhere_keeps_what_was_trained():
    whole = race(SMALL)
    third = next(itertools.islice(train(start(SMALL)), 2, None))
    kept = pickle.loads(pickle.dumps(third))
    assert 0 < kept.step < SMALL.steps
    shown = results(kept)
    for a, b in zip(shown.runners, whole.runners, strict=True):
        np.testing.assert_array_equal(a.train_loss, b.train_loss[: len(a.steps)])
    assert same(results(run(kept, SMALL.steps)), whole)


def test_a_state_is_never_changed():
    state = start(SMALL)
    before = [parameter.clone() for runner in state.runners for parameter in runner.parameters]
    run(state, 20)
    after = [parameter for runner in state.runners for parameter in runner.parameters]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not any(parameter.requires_grad for parameter in after)


def test_a_seed_gives_the_same_beside_others_as_alone():
    together, alone = race(SMALL), race(replace(SMALL, seed=2, seeds=1))
    # The problem is made from the first seed: the same one here.
    assert together.runners[0].train_loss.shape[1] == 3
    assert alone.runners[0].train_loss.shape[1] == 1


class Pickling(Executor):
    """As a process or a cluster would: units and results travel as bytes, the last one first."""

    def __init__(self):
        self.units = []

    def submit(self, work, /, *arguments):
        self.units.append(pickle.dumps((work, arguments)))
        future = Future()
        called, given = pickle.loads(self.units[-1])
        future.set_result(pickle.loads(pickle.dumps(called(*given))))
        return future


@pytest.mark.parametrize(
    "make", [lambda: ThreadPoolExecutor(3), Pickling], ids=["threads", "bytes"]
)
def test_any_executor_gives_the_same_to_the_bit(make):
    spec = replace(SMALL, entrants=(HE, TINY, Entrant(Init("orthogonal"), 0.1)))
    alone, swept = race(spec), sweep(spec, (0.1, 0.01))
    with make() as executor:
        assert same(race(spec, executor=executor), alone)
        np.testing.assert_array_equal(sweep(spec, (0.1, 0.01), None, executor).losses, swept.losses)


def test_torchs_threads_and_generator_are_left_alone(threads):
    threads(2)
    before = torch.get_rng_state()
    race(SMALL)
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_is_told_and_can_end_a_race():
    told = []
    race(SMALL, lambda share, now="": told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1

    class EnoughError(Exception):
        pass

    def stop(share, now=""):
        raise EnoughError

    for work in (lambda **k: race(SMALL, stop, **k), lambda **k: sweep(SMALL, (0.1,), stop, **k)):
        with pytest.raises(EnoughError):
            work()
        with ThreadPoolExecutor(1) as executor, pytest.raises(EnoughError):
            work(executor=executor)


# --- results ------------------------------------------------------------------------------------


def test_he_beats_a_tiny_std_beyond_seed_noise_in_a_deep_relu_network():
    runners = (TINY, Entrant(Init("kaiming_normal", {"nonlinearity": "relu"})))
    made = race(RaceSpec(runners, "digits", (32,) * 6, steps=60, seeds=4, every=30))
    assert made.finished[0].name.startswith("kaiming_normal")
    [comparison] = made.comparisons
    assert comparison.beyond_noise
    assert comparison.ratio > 1.5
    assert "beyond seed noise it beats normal(std=0.001)" in made.verdict
    assert "normal(std=0.001) has learnt next to nothing (guessing gives 2.303)" in made.verdict


def test_the_same_scheme_twice_is_level():
    """Two rates that hardly differ: no difference may be claimed."""
    runners = (HE, replace(HE, rate=HE.rate * 1.0001))
    made = race(replace(SMALL, entrants=runners))
    assert not made.comparisons[0].beyond_noise
    assert "seed noise could explain its lead" in made.verdict
    assert [runner.name for runner in made.runners] != ["kaiming_normal"] * 2


def test_welchs_test_is_scipys():
    from scipy.stats import ttest_ind

    made = race(replace(SMALL, seeds=5))
    a, b = (np.log(runner.final_loss) for runner in made.finished)
    comparison = made.comparisons[0]
    assert comparison.p_value == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
    assert comparison.ratio == pytest.approx(np.exp(b.mean() - a.mean()))


def test_more_pairs_need_more():
    """Bonferroni: a p-value between 0.05/6 and 0.05 is enough for one pair only."""
    a, b = (race(SMALL).runners[i] for i in (0, 1))
    level = training._compare(a, b, 1).p_value
    assert training._compare(a, b, 1).beyond_noise == (level < 0.05)
    assert not training._compare(a, b, math.ceil(0.05 / level) + 1).beyond_noise


def test_one_seed_is_no_noise():
    made = race(replace(SMALL, seeds=1))
    assert made.comparisons[0].p_value is None
    assert not made.comparisons[0].beyond_noise
    assert "one seed has no noise to compare" in made.verdict
    assert "±" not in made.verdict


def test_a_run_that_diverges_is_a_result():
    wild = Entrant(Init("normal", {"std": 5.0}), rate=100.0)
    made = race(replace(SMALL, entrants=(HE, wild), widths=(32,) * 8, every=1))
    lost = made.runners[1]
    assert all(step is not None for step in lost.diverged)
    for k, step in enumerate(lost.diverged):
        assert np.isnan(lost.train_loss[step:, k]).all()
        assert np.isnan(lost.test_accuracy[step:, k]).all()
        assert np.isfinite(lost.train_loss[:step, k]).all()
    assert "diverged in 3 of 3 seeds, first seen at step" in made.verdict
    assert made.comparisons == ()
    assert made.finished == (made.runners[0],)
    text = json.dumps(as_dict(made), allow_nan=False)
    assert json.loads(text)["entrants"][1]["curves"]["train_loss"][-1] == [None] * 3


def test_all_may_diverge():
    wild = Entrant(Init("normal", {"std": 5.0}), rate=100.0)
    made = race(replace(SMALL, entrants=(wild,), widths=(32,) * 8))
    assert made.verdict.startswith("normal(std=5) diverged in 3 of 3 seeds")
    assert sweep(replace(SMALL, entrants=(wild,), widths=(32,) * 8), (100.0,)).best(0) is None


def test_training_learns_the_digits():
    made = race(RaceSpec((HE,), "digits", (64,), steps=200, seeds=2, every=100))
    assert made.runners[0].test_accuracy[-1].min() > 0.93
    assert made.runners[0].steps_per_second > 0


# --- sweep --------------------------------------------------------------------------------------


def test_a_sweep_holds_the_final_losses_of_races():
    made = sweep(SMALL, (0.5, 0.02))
    assert made.rates == (0.02, 0.5)
    assert made.losses.shape == (2, 2, 3)
    for i, entrant in enumerate(SMALL.entrants):
        for j, rate in enumerate(made.rates):
            alone = race(replace(SMALL, entrants=(replace(entrant, rate=rate),)))
            np.testing.assert_array_equal(made.losses[i, j], alone.runners[0].final_loss)
    best = made.rates[int(made.means[0].argmin())]
    assert made.best(0) == best
    assert f"at {best:g}" in made.verdict
    assert "the end of the range" in made.verdict
    assert made.verdict.index("kaiming_normal") < made.verdict.index("normal(std")


@pytest.mark.parametrize("rates", [(), tuple(range(1, 20)), (0.0,), (math.nan,)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(InitError, match="rate"):
        sweep(SMALL, rates)


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"entrants": ()}, "0 initialisations"),
        ({"entrants": tuple(Entrant(HE.weight, r) for r in range(1, 8))}, "7 initialisations"),
        ({"entrants": (HE, HE)}, "the same"),
        ({"entrants": (Entrant(Init("dirac")),)}, "dirac"),
        ({"problem": "mnist"}, "'mnist'"),
        ({"activation": "sine"}, "'sine'"),
        ({"widths": (0,)}, "width = 0"),
        ({"widths": (5.0,)}, "width = 5.0"),
        ({"widths": (4,) * 51}, "hidden layers = 51"),
        ({"steps": 0}, "steps = 0"),
        ({"batch": 513}, "batch = 513"),
        ({"seeds": 11}, "seeds = 11"),
        ({"seed": -1}, "seed = -1"),
        ({"every": 0}, "every = 0"),
        ({"momentum": 1.0}, "momentum = 1"),
        ({"momentum": math.nan}, "momentum = nan"),
        ({"widths": (512,) * 3, "problem": "digits"}, "2,000,000"),
        ({"widths": (128, 128), "steps": 20_000, "batch": 512, "seeds": 10}, "fewer steps"),
    ],
    ids=str,
)
def test_impossible_races_are_refused_before_anything_is_drawn(monkeypatch, change, part):
    monkeypatch.setattr(training, "draw_spec", None)
    with pytest.raises(InitError) as error:
        replace(SMALL, **change)
    assert part in str(error.value)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(InitError, match="learning rate"):
        Entrant(HE.weight, rate)


def test_names_tell_entrants_apart():
    entrants = (
        Entrant(Init("normal")),
        Entrant(Init("normal", {"std": 0.02})),
        Entrant(Init("xavier_normal"), 0.1),
        Entrant(Init("xavier_normal"), 0.2),
        Entrant(Init("zeros")),
        Entrant(Init("zeros"), bias=Init("ones")),
    )
    assert replace(SMALL, entrants=entrants).names == (
        "normal",
        "normal(std=0.02)",
        "xavier_normal, rate 0.1",
        "xavier_normal, rate 0.2",
        "zeros, bias zeros",
        "zeros, bias ones",
    )


# --- plain data ---------------------------------------------------------------------------------


def test_the_files_and_the_code_hold_the_very_race(capsys):
    spec = replace(
        SMALL,
        entrants=(HE, Entrant(Init("normal", {"std": 0.1}), 0.2, Init("constant", {"val": 0.1}))),
        widths=(12, 8),
    )
    made = race(spec)
    data = as_dict(made)
    assert data["seeds"] == [0, 1, 2]
    for runner, entry in zip(made.runners, data["entrants"], strict=True):
        assert entry["name"] == runner.name
        assert entry["curves"]["gradients"] == runner.gradients.tolist()
    rows = [line.split('"')[2].split(",") for line in csv(made).splitlines()[1:]]
    losses = [float(row[3]) for row in rows[: len(made.runners[0].steps)]]
    assert losses == made.runners[0].train_loss[:, 0].tolist()
    assert len(rows) == 2 * 3 * len(made.runners[0].steps)
    for one in (spec, replace(spec, widths=(9, 9)), replace(spec, widths=())):
        defined = {}
        exec(snippet(one), defined)
        assert defined["spec"] == one
        assert capsys.readouterr().out == race(one).verdict + "\n"


def test_a_linear_classifier_is_a_network_too():
    spec = replace(SMALL, widths=())
    assert spec.layers == (Layer("linear", (2, 3)),)
    assert race(spec).runners[0].gradients.shape[2] == 1
