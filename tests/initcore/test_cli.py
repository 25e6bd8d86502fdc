"""The command line: one JSON object on success, one line on stderr for unusable input."""

import json
import os
import subprocess
import sys

import pytest
import torch

from initcore import Network, defaults, draw_spec, propagate
from initcore.cli import _parser, main
from initcore.draw import Spec
from initcore.laws import constant
from initcore.layers import Layer
from initcore.schemes import Init, schemes
from initcore.training import Entrant, RaceSpec, race

DESCRIBE = ["describe", "--layer", "linear", "--size", "6", "8"]
RACE = ["race", "--problem", "spirals", "--width", "8", "--steps", "20", "--seeds", "2"]


def run(capsys, *arguments):
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


def run_json(capsys, *arguments):
    status, out, err = run(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_describe_gives_the_report_of_what_was_asked(capsys):
    data = run_json(
        capsys,
        *("describe", "--layer", "conv2d", "--size", "4", "6", "3", "--groups", "2"),
        *("--scheme", "uniform", "--param", "a=-2", "--param", "b=5"),
        *("--bias", "constant", "--bias-param", "val=0.25"),
        *("--seed", "9", "--dtype", "float64"),
    )
    weight = Init("uniform", {"a": -2, "b": 5})
    layer = Layer("conv2d", (4, 6, 3), groups=2)
    drawn = draw_spec(Spec(layer, weight, seed=9, dtype="float64")).weight
    assert data["shape"] == [6, 2, 3, 3]
    assert data["params"] == {"a": -2.0, "b": 5.0}
    assert (data["seed"], data["dtype"]) == (9, "float64")
    assert data["measured"]["max"] == float(drawn.max())
    assert data["bias"]["law"]["mean"] == 0.25
    assert data["torch_version"] == torch.__version__


def test_describe_defaults_to_torchs_default(capsys):
    data = run_json(capsys, *DESCRIBE)
    assert (data["scheme"], data["seed"], data["dtype"]) == ("default", 0, "float32")
    assert data["bias"]["scheme"] == "default"
    assert run_json(capsys, "describe", "--layer", "embedding", "--size", "6", "8")["bias"] is None


@pytest.mark.parametrize("slug", [slug for slug in schemes() if slug != "dirac"])
def test_describe_for_people(capsys, slug):
    status, out, err = run(capsys, *DESCRIBE, "--scheme", slug)
    assert (status, err) == (0, "")
    for part in ("nn.Linear(6, 8)", "seed 0", "Xavier uniform", "Measured", "import torch"):
        assert part in out
    assert "nan" not in out


def test_describe_explains_fans_that_differ(capsys):
    _, out, _ = run(capsys, "describe", "--layer", "conv_transpose1d", "--size", "4", "6", "3")
    assert "fan_in 18, fan_out 12 as torch counts them; effective 12, 18" in out


def test_schemes_lists_all(capsys):
    listed = run_json(capsys, "schemes")["schemes"]
    assert [record["slug"] for record in listed] == list(schemes())
    status, out, err = run(capsys, "schemes")
    assert (status, err) == (0, "")
    assert all(f"\n{slug}(" in f"\n{out}" for slug in schemes())


def test_defaults_hold(capsys):
    data = run_json(capsys, "defaults")
    assert data["holds"] is True
    assert {row["module"] for row in data["defaults"]} == {
        record.module for record in defaults.DEFAULTS
    }
    status, out, err = run(capsys, "defaults")
    assert (status, err) == (0, "")
    assert "✗" not in out


def test_a_default_that_does_not_hold_exits_with_1(capsys, monkeypatch):
    linear = next(record for record in defaults.DEFAULTS if record.module == "Linear")
    zero = (defaults.Claim("weight", "0", constant(0.0)), linear.claims[1])
    wrong = defaults.Default("Linear", "wrong", linear.build, zero)
    monkeypatch.setattr(defaults, "DEFAULTS", (wrong,))
    status, out, _ = run(capsys, "defaults", "--json")
    assert (status, json.loads(out)["holds"]) == (1, False)
    status, out, _ = run(capsys, "defaults")
    assert status == 1
    assert "✗ Linear" in out


PROPAGATE = ["propagate", "--depth", "4", "--width", "24", "--batch", "8", "--seeds", "2"]


def test_propagate_gives_a_row_for_each_layer(capsys):
    options = ("--activation", "relu", "--scheme", "normal", "--param", "std=0.25")
    data = run_json(capsys, *PROPAGATE, *options)
    made = propagate(Network(4, 24, "relu", Init("normal", {"std": 0.25}), batch=8, seeds=2))
    assert (data["activation"], data["scheme"], data["depth"], data["width"]) == (
        *("relu", "normal", 4, 24),
    )
    assert data["params"] == {"mean": 0.0, "std": 0.25}
    assert data["gain"] == {"torch": pytest.approx(2**0.5), "exact": pytest.approx(2**0.5)}
    assert data["chi"] == pytest.approx(24 * 0.25**2 / 2)
    assert data["verdict"] == made.verdict.sentence
    assert [row["layer"] for row in data["layers"]] == [1, 2, 3, 4]
    for name in ("preactivation_std", "activation_std", "gradient_std", "saturated", "dead"):
        assert [row[name] for row in data["layers"]] == made.mean(name).tolist()
    for name in ("preactivation_std", "activation_std", "gradient_std"):
        assert [row[f"theory_{name}"] for row in data["layers"]] == made.theory[name].tolist()


def test_propagate_defaults_are_the_documented_ones():
    options = _parser().parse_args(["propagate"])
    assert (options.depth, options.width, options.batch, options.seeds) == (
        "50",
        ["512"],
        "256",
        "5",
    )
    assert (options.activation, options.scheme, options.bias) == ("tanh", "xavier_normal", "zeros")


def test_propagate_for_people(capsys):
    widths = ("--width", "8", "16", "8", "4", "--depth", "4", "--bias", "default", "--layer-norm")
    status, out, err = run(capsys, "propagate", *widths, "--batch", "4", "--seeds", "1")
    assert (status, err) == (0, "")
    assert "4 layers of 8 × 16 × 8 × 4, tanh, xavier_normal" in out
    assert len([line for line in out.splitlines() if line[:6].strip().isdigit()]) == 4
    assert "mean of 0" in run(capsys, *PROPAGATE, "--scheme", "uniform")[1]


def test_progress_of_a_propagation_is_shown_to_people_only(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "network 2" in run(capsys, *PROPAGATE)[2]


def test_an_overflow_is_null_in_json(capsys):
    deep = ("propagate", "--depth", "40", "--width", "64", "--batch", "4", "--seeds", "1")
    data = run_json(
        capsys, *deep, "--scheme", "normal", "--param", "std=20", "--activation", "relu"
    )
    assert data["layers"][0]["preactivation_std"] > 100
    assert data["layers"][39]["preactivation_std"] is None
    assert data["layers"][0]["gradient_std"] is None
    assert "overflow" in data["verdict"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["describe"]),
        (["nonsense"], ["nonsense"]),
        (["describe"], ["--layer"]),
        (["describe", "--layer", "linear"], ["--size"]),
        (["describe", "--layer", "lstm", "--size", "5", "5"], ["'lstm'", "linear"]),
        (["describe", "--layer", "linear", "--size", "5"], ["[5]", "in_features"]),
        (["describe", "--layer", "linear", "--size", "0", "5"], ["in_features = 0"]),
        (["describe", "--layer", "linear", "--size", "-5", "5"], ["in_features = -5"]),
        (["describe", "--layer", "linear", "--size", "five", "5"], ["size = five", "whole"]),
        (["describe", "--layer", "linear", "--size", "5.0", "5"], ["size = 5.0", "whole"]),
        (["describe", "--layer", "linear", "--size", "", "5"], ["whole"]),
        (["describe", "--layer", "linear", "--size", *["1" + "0" * 9] * 2], ["1,000,000,000"]),
        (["describe", "--layer", "linear", "--size", *["1" + "0" * 400] * 2], ["in_features"]),
        (["describe", "--layer", "linear", "--size", *["1" + "0" * 5000] * 2], ["size"]),
        (["describe", "--layer", "conv1d", "--size", "4", "6", "--groups", "x"], ["groups = x"]),
        (["describe", "--layer", "conv1d", "--size", "4", "6", "--groups", "4"], ["groups = 4"]),
        ([*DESCRIBE, "--scheme", "glorot"], ["'glorot'", "xavier_uniform"]),
        ([*DESCRIBE, "--scheme", "dirac"], ["dirac", "rank"]),
        ([*DESCRIBE, "--scheme", "normal", "--param", "gain=2"], ["'gain'", "mean, std"]),
        ([*DESCRIBE, "--scheme", "normal", "--param", "std"], ["'std'", "NAME=VALUE"]),
        ([*DESCRIBE, "--scheme", "normal", "--param", "std=-1"], ["std = -1", "at least 0"]),
        ([*DESCRIBE, "--scheme", "normal", "--param", "std=wide"], ["std = wide", "number"]),
        ([*DESCRIBE, "--scheme", "normal", "--param", "std=nan"], ["std = nan"]),
        ([*DESCRIBE, "--scheme", "normal", "--param", "std=\n"], ["std ="]),
        ([*DESCRIBE, "--bias", "xavier_uniform"], ["xavier_uniform", "bias"]),
        ([*DESCRIBE, "--bias-param", "val=1"], ["'val'"]),
        ([*DESCRIBE, "--dtype", "int8"], ["'int8'", "float32"]),
        ([*DESCRIBE, "--seed", "-1"], ["seed = -1", "at least 0"]),
        ([*DESCRIBE, "--seed", "1e3"], ["seed = 1e3", "whole"]),
        ([*DESCRIBE, "--seed", "9" * 20], ["seed = " + "9" * 20, "at most"]),
        ([*DESCRIBE, "--colour", "red"], ["--colour"]),
        (["schemes", "extra"], ["extra"]),
        (["propagate", "--depth", "deep"], ["depth = deep", "whole"]),
        (["propagate", "--depth", "0"], ["depth = 0", "at least 1"]),
        (["propagate", "--width", "5", "6"], ["2 widths for depth 50"]),
        (["propagate", "--activation", "swish"], ["'swish'", "silu"]),
        (["propagate", "--scheme", "dirac"], ["dirac", "rank"]),
        (["propagate", "--correlation", "x"], ["correlation = x", "number"]),
        (["propagate", "--width", "100000"], ["INITCORE_PROPAGATE_MB"]),
        (["propagate", "--whole", "fixup"], ["residual"]),
        (["race"], ["--scheme"]),
        ([*RACE, "--scheme", "dirac"], ["dirac", "rank"]),
        ([*RACE, "--scheme", "normal", "ones", "--rate", "1", "2", "3"], ["3 rates", "2 schemes"]),
        ([*RACE, "--scheme", "normal", "--param", "std=1"], ["'std'", "SCHEME.NAME"]),
        ([*RACE, "--scheme", "normal", "--param", "normal.gain=1"], ["'gain'", "mean, std"]),
        ([*RACE, "--scheme", "normal", "--rate", "fast"], ["rate = fast", "number"]),
        ([*RACE, "--scheme", "normal", "--rate", "0"], ["learning rate 0", "more than 0"]),
        ([*RACE, "--scheme", "normal", "--problem", "mnist"], ["'mnist'", "digits"]),
        ([*RACE, "--scheme", "normal", "--seeds", "99"], ["seeds = 99", "at most 10"]),
    ],
    ids=lambda value: " ".join(value)[:60] if value else "nothing",
)
def test_unusable_input_is_one_line_on_stderr(capsys, arguments, parts):
    for extra in ([], ["--json"]):
        status, out, err = run(capsys, *arguments, *(extra if arguments else []))
        assert (status, out) == (2, "")
        assert err.startswith("initcore: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        for part in parts:
            assert part in err


def test_environment_limits_the_size(capsys, monkeypatch):
    monkeypatch.setenv("INITCORE_HOLD_MB", "0.0001")
    assert run_json(capsys, *DESCRIBE, "--scheme", "normal")["streamed"]
    status, _, err = run(capsys, *DESCRIBE, "--scheme", "orthogonal")
    assert status == 2
    assert "INITCORE_HOLD_MB" in err
    monkeypatch.setenv("INITCORE_HOLD_MB", "much")
    status, _, err = run(capsys, *DESCRIBE)
    assert status == 2
    assert "INITCORE_HOLD_MB = much" in err


def test_progress_is_shown_to_people_only(capsys, monkeypatch):
    monkeypatch.setenv("INITCORE_HOLD_MB", "0.0001")
    assert run(capsys, *DESCRIBE, "--scheme", "normal")[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "%" in run(capsys, *DESCRIBE, "--scheme", "normal")[2]


def test_race_gives_the_race_of_what_was_asked(capsys):
    data = run_json(
        capsys,
        *(*RACE, "--scheme", "kaiming_normal", "normal", "--rate", "0.1", "0.2"),
        *("--param", "normal.std=0.02", "--activation", "tanh", "--bias", "constant"),
        *("--bias-param", "val=0.1", "--batch", "16", "--momentum", "0.5", "--seed", "3"),
    )
    bias = Init("constant", {"val": 0.1})
    entrants = (
        Entrant(Init("kaiming_normal"), 0.1, bias),
        Entrant(Init("normal", {"std": 0.02}), 0.2, bias),
    )
    spec = RaceSpec(entrants, "spirals", (8,), "tanh", 20, 16, 0.5, 2, 3)
    made = race(spec)
    assert data["verdict"] == made.verdict
    for entry, runner in zip(data["entrants"], made.runners, strict=True):
        assert entry["curves"]["test_loss"] == runner.test_loss.tolist()
    assert data["seeds"] == [3, 4]


def test_race_for_people(capsys):
    status, out, err = run(capsys, *RACE, "--scheme", "kaiming_normal", "zeros")
    assert (status, err) == (0, "")
    for part in ("ends lowest", "Welch", "zeros", "steps/s"):
        assert part in out


def test_help_is_for_people(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["describe", "--help"])
    assert stopped.value.code == 0
    assert "--size" in capsys.readouterr().out


def process(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "initcore", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )


def test_the_process_prints_one_json_object():
    # A far tail, of which torch itself would warn on stderr.
    tail = ("--scheme", "trunc_normal", "--param", "a=3", "--param", "b=4")
    done = process(*DESCRIBE, *tail, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["fit"]["agrees"]


def test_the_process_exits_with_2_without_a_traceback():
    done = process(*DESCRIBE, "--scheme", "sparse", "--param", "sparsity=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "initcore: sparsity = 1: must be at least 0 and below 1\n"


def test_a_reader_that_has_seen_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "initcore", "schemes", "--json"]
    result = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, "")
