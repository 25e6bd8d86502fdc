"""Problems: made from a seed alone, split without overlap, standardised as stated."""

from importlib.resources import files

import pytest
import torch

from initcore.errors import InitError
from initcore.problems import PROBLEMS, digits, get_problem, load, spirals, teacher

every_problem = pytest.mark.parametrize("slug", [problem.slug for problem in PROBLEMS])


def test_the_digits_are_the_uci_test_set():
    whole = digits()
    assert whole.inputs.shape == (1797, 64)
    assert (whole.inputs.min(), whole.inputs.max()) == (0, 16)
    # How often each digit occurs, as the data set's own description has it.
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert torch.bincount(whole.labels).tolist() == counts
    # The first is a nought: its middle is empty, its ring is not.
    first = whole.inputs[0].reshape(8, 8)
    assert whole.labels[0] == 0
    assert first[3:5, 3].sum() == 0
    assert first[3:5, [2, 5]].min() > 0


def test_the_digits_are_small_and_say_where_they_come_from():
    folder = files("initcore") / "data"
    assert len((folder / "digits.npz").read_bytes()) < 60_000
    origin = (folder / "README.md").read_text(encoding="utf-8")
    for part in ("Alpaydin", "Kaynak", "UCI", "1998", "CC BY 4.0"):
        assert part in origin


@every_problem
def test_a_seed_gives_one_problem(slug):
    first, other = load(slug, 3), load(slug, 4)
    load.cache_clear()
    again = load(slug, 3)
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.test.labels, again.test.labels)
    assert not torch.equal(first.train.inputs, other.train.inputs)


@every_problem
def test_the_training_inputs_have_mean_zero_and_mean_square_one(slug):
    data = load(slug)
    train = data.train.inputs.double()
    assert train.mean(0).abs().max() < 1e-6
    assert float(train.square().mean()) == pytest.approx(1, abs=1e-6)
    # One number for all features: their spreads stay as different as they were.
    whole = get_problem(slug).make(0).inputs
    spread = whole.std(0) > 0
    ratios = train.std(0)[spread] / whole.double().std(0)[spread]
    assert float(ratios.std() / ratios.mean()) < 0.2


@every_problem
def test_the_split_is_a_fifth_without_overlap(slug):
    data, whole = load(slug), get_problem(slug).make(0)
    train, test = len(data.train.labels), len(data.test.labels)
    assert train + test == len(whole.labels)
    assert test == round(len(whole.labels) / 5)
    counts = torch.bincount(data.train.labels) + torch.bincount(data.test.labels)
    assert counts.tolist() == torch.bincount(whole.labels).tolist()
    rows = {tuple(row) for row in data.train.inputs.tolist()}
    assert not rows & {tuple(row) for row in data.test.inputs.tolist()}
    assert data.classes == len(counts)
    # No class is rare: accuracy means something.
    assert counts.min() > 0.4 * counts.max()


def test_spirals_have_as_many_arms_as_asked_and_noise_moves_them():
    clean, noisy = spirals(0, arms=5, noise=0.0), spirals(0, arms=5, noise=0.5)
    assert int(clean.labels.max()) == 4
    radius = clean.inputs.norm(dim=1)
    turn = torch.atan2(clean.inputs[:, 1], clean.inputs[:, 0]) / (2 * torch.pi)
    # On an arm, the angle is the radius in turns, plus the arm's own start.
    off = (turn - radius - clean.labels / 5 + 0.5) % 1 - 0.5
    assert off.abs().max() < 1e-4
    moved = noisy.inputs - clean.inputs
    assert float(moved.std()) == pytest.approx(0.5 / 5, rel=0.05)


def test_the_teacher_can_be_learnt_and_not_by_a_line():
    whole = teacher(0)
    inputs = torch.cat([whole.inputs, torch.ones(len(whole.labels), 1)], 1)
    wanted = torch.nn.functional.one_hot(whole.labels).float()
    linear = (inputs @ torch.linalg.lstsq(inputs, wanted).solution).argmax(1)
    accuracy = float((linear == whole.labels).float().mean())
    assert 0.3 < accuracy < 0.85


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: load("mnist"), ["'mnist'", "digits, spirals, teacher"]),
        (lambda: load("digits", -1), ["seed = -1"]),
        (lambda: spirals(0, arms=1), ["arms = 1", "at least 2"]),
        (lambda: spirals(0, noise=-0.1), ["noise = -0.1"]),
    ],
)
def test_impossible_problems_are_refused(make, parts):
    with pytest.raises(InitError) as error:
        make()
    assert all(part in str(error.value) for part in parts)
