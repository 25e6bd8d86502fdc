"""The command line: ``python -m initcore describe|schemes|defaults|propagate|race|audit``.

Exit status: 0 fine; 1 a default that does not hold, or findings at or above ``--fail-on``;
2 unusable input, with one line on stderr.
With ``--json``, which all take, one JSON object stands on stdout and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch

from initcore import defaults, html, propagation, report, training
from initcore.activations import ACTIVATIONS
from initcore.audit import audit
from initcore.draw import DTYPES, Limits, Spec
from initcore.errors import InitError
from initcore.findings import printable
from initcore.laws import number
from initcore.layers import LAYERS, Layer
from initcore.measure import Progress
from initcore.network import INPUTS, RESIDUALS, WHOLES, Network, NetworkLimits
from initcore.problems import PROBLEMS
from initcore.recipes import RECIPES
from initcore.schemes import Init, Value, schemes
from initcore.schemes import as_dict as scheme_as_dict
from initcore.snippet import snippet
from initcore.training import Entrant, RaceSpec


class _Parser(argparse.ArgumentParser):
    """argparse prints its usage before an error; the contract is one line."""

    def error(self, message: str) -> NoReturn:
        raise InitError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
        sys.stdout.flush()
    except InitError as error:
        print(f"initcore: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="initcore", description="See and check how weights are initialised.")
    commands = parser.add_subparsers(
        required=True, metavar="describe|schemes|defaults|propagate|race|audit"
    )

    describe = commands.add_parser("describe", help="draw a layer and measure it")
    describe.set_defaults(run=_describe)
    add = describe.add_argument
    add("--layer", required=True, metavar="NAME", help=", ".join(kind.slug for kind in LAYERS))
    add(
        "--size",
        required=True,
        nargs="+",
        metavar="N",
        help="in, out for linear; in, out, then kernel for convolutions",
    )
    add("--groups", default="1", metavar="N", help="convolutions only (default 1)")
    add("--scheme", default="default", metavar="NAME", help=", ".join(schemes()))
    add("--param", action="append", default=[], metavar="NAME=VALUE", help="repeat for several")
    add("--bias", default="default", metavar="NAME", help="scheme of the bias (default: torch's)")
    add("--bias-param", action="append", default=[], metavar="NAME=VALUE")
    add("--seed", default="0", metavar="N")
    add("--dtype", default="float32", metavar="NAME", help=", ".join(DTYPES))
    _add_json(describe)

    listing = commands.add_parser("schemes", help="every scheme with its formula and parameters")
    listing.set_defaults(run=_schemes)
    _add_json(listing)

    defaults_ = commands.add_parser("defaults", help="what torch.nn modules do, measured now")
    defaults_.set_defaults(run=_defaults)
    _add_json(defaults_)

    deep = commands.add_parser("propagate", help="what a deep network does to a signal")
    deep.set_defaults(run=_propagate)
    add = deep.add_argument
    add("--depth", default="50", metavar="N", help="number of layers (default 50)")
    add("--width", default=["512"], nargs="+", metavar="N", help="units of every layer, or of each")
    names = ", ".join(activation.slug for activation in ACTIVATIONS)
    add("--activation", default="tanh", metavar="NAME", help=names)
    add("--scheme", default="xavier_normal", metavar="NAME", help=", ".join(schemes()))
    add("--param", action="append", default=[], metavar="NAME=VALUE", help="repeat for several")
    add("--bias", default="zeros", metavar="NAME", help="scheme of the biases (default zeros)")
    add("--bias-param", action="append", default=[], metavar="NAME=VALUE")
    add("--inputs", default="white", metavar="NAME", help=", ".join(INPUTS))
    add("--correlation", default="0.5", metavar="X", help="of two correlated inputs")
    add("--batch", default="256", metavar="N", help="inputs (default 256)")
    add("--seeds", default="5", metavar="N", help="networks (default 5)")
    add("--seed", default="0", metavar="N", help="seed of the first network")
    add("--layer-norm", action="store_true", help="LayerNorm before every activation")
    add("--residual", default="none", metavar="NAME", help=", ".join(RESIDUALS))
    add("--whole", default="none", metavar="NAME", help=", ".join(WHOLES))
    _add_json(deep)

    race = commands.add_parser("race", help="train one network from several initialisations")
    race.set_defaults(run=_race)
    add = race.add_argument
    add("--scheme", required=True, nargs="+", metavar="NAME", help=", ".join(schemes()))
    add("--param", action="append", default=[], metavar="SCHEME.NAME=VALUE", help="as normal.std=1")
    add("--rate", default=["0.05"], nargs="+", metavar="X", help="for all schemes, or for each")
    add("--bias", default="zeros", metavar="NAME", help="scheme of the biases (default zeros)")
    add("--bias-param", action="append", default=[], metavar="NAME=VALUE")
    problems = ", ".join(problem.slug for problem in PROBLEMS)
    add("--problem", default="digits", metavar="NAME", help=problems)
    add("--width", default=["64", "64"], nargs="+", metavar="N", help="units of each hidden layer")
    add("--activation", default="relu", metavar="NAME", help=names)
    add("--steps", default="500", metavar="N", help="updates of the weights (default 500)")
    add("--batch", default="64", metavar="N", help="examples a step (default 64)")
    add("--momentum", default="0", metavar="X", help="share of the last update kept (default 0)")
    add("--seeds", default="5", metavar="N", help="draws and orders of the data (default 5)")
    add("--seed", default="0", metavar="N", help="the first seed")
    _add_json(race)
    check = commands.add_parser("audit", help="what a checkpoint's tensors are, and what is amiss")
    check.set_defaults(run=_audit)
    add = check.add_argument
    add("path", metavar="PATH", help=".safetensors, .pt, .index.json, or a folder of shards")
    add("--recipe", metavar="NAME|FILE.toml|auto", help=", ".join(r.slug for r in RECIPES))
    add("--against", metavar="PATH", help="a checkpoint the tensors may equal")
    add("--html", metavar="FILE", help="write the report as one self-contained file")
    add("--fail-on", default="error", metavar="error|warning", help="exit with 1 at or above this")
    add("--scheduler", metavar="ADDRESS", help="tcp://… of a Dask cluster: initcore[dask]")
    _add_json(check)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InitError(f"{name} = {text}: must be a whole number") from None


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InitError(f"{name} = {text}: must be a number") from None


def _params(pairs: list[str]) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InitError(f"parameter {pair!r}: write it as NAME=VALUE")
        params[name] = value
    return params


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


def _describe(options: argparse.Namespace) -> int:
    size = tuple(_whole("size", text) for text in options.size)
    spec = Spec(
        Layer(options.layer, size, _whole("groups", options.groups)),
        Init(options.scheme, _params(options.param)),
        Init(options.bias, _params(options.bias_param)),
        _whole("seed", options.seed),
        options.dtype,
    )
    result = report.describe(spec, Limits.from_environment(), _progress_bar())
    if options.json:
        _print_json(report.as_dict(result))
        return 0
    layer = spec.layer
    print(f"{layer.code}, {spec.weight.slug}, seed {spec.seed}, torch {torch.__version__}")
    print(f"weight {list(layer.weight_shape)}: {result.weight.fit.verdict}")
    if result.bias:
        print(f"bias {list(layer.bias_shape or ())}: {result.bias.fit.verdict}")
    print(report.outside_sentence(result))
    print(f"fan_in {layer.fan_in}, fan_out {layer.fan_out} as torch counts them", end="")
    if layer.fans_note:
        print(f"; effective {layer.effective_fan_in}, {layer.effective_fan_out}: {layer.fans_note}")
    else:
        print()
    columns = ("bound", "std", "mean", "min", "max", "ratio", "error")
    print("\n" + f"{'':26}" + "".join(f"{name:>11}" for name in columns))
    for row in report.comparison(result):
        cells = (getattr(row, name) for name in columns)
        print(f"{row.name:26}" + "".join(f"{_cell(cell):>11}" for cell in cells))
    print("\n" + snippet(spec))
    return 0


def _cell(value: float) -> str:
    return "–" if value != value else number(value)


def _progress_bar() -> Progress | None:
    """Progress on stderr, for people only."""
    if not sys.stderr.isatty():
        return None

    def show(share: float, now: str = "") -> None:
        print(f"\r\033[K{share:4.0%} {printable(now)}", end="\r", file=sys.stderr, flush=True)

    return show


def _audit(options: argparse.Namespace) -> int:
    fatal = ("error", "warning")
    if options.fail_on not in fatal:
        raise InitError(f"--fail-on {options.fail_on}: must be one of: {', '.join(fatal)}")
    bar = _progress_bar()
    with _scheduler(options.scheduler) as executor:
        result = audit(
            options.path,
            options.recipe,
            against=options.against,
            executor=executor,
            progress=bar,
        )
    if bar:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if options.html:
        try:
            Path(options.html).write_text(html.report(result), encoding="utf-8")
        except OSError as error:
            raise InitError(f"--html {options.html}: {error.strerror}") from None
    if options.json:
        _print_json(result.as_dict())
    else:
        print(f"{options.path}: {result}")
    severities = fatal[: fatal.index(options.fail_on) + 1]
    return int(any(finding.severity in severities for finding in result.findings))


@contextmanager
def _scheduler(address: str | None) -> Iterator[Executor | None]:
    """The executor of a Dask cluster; None without an address."""
    if address is None:
        yield None
        return
    try:
        import distributed  # an extra, and slow to import
    except ImportError:
        raise InitError('--scheduler needs Dask: pip install "initcore[dask]"') from None
    try:
        client: Any = distributed.Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InitError(f"--scheduler {address}: {error or 'no answer'}") from None
    with client:
        try:
            yield client.get_executor(pure=False)
        except (distributed.KilledWorker, OSError) as error:
            raise InitError(f"--scheduler {address}: {type(error).__name__}: {error}") from None


def _schemes(options: argparse.Namespace) -> int:
    records = [scheme_as_dict(scheme) for scheme in schemes().values()]
    if options.json:
        _print_json({"torch_version": torch.__version__, "schemes": records})
        return 0
    for scheme in schemes().values():
        params = ", ".join(f"{param.name}={param.default}" for param in scheme.params)
        print(f"{scheme.slug}({params})\n    {scheme.when}\n    {scheme.reference}")
    return 0


def _defaults(options: argparse.Namespace) -> int:
    checks = [check for record in defaults.DEFAULTS for check in defaults.measure_default(record)]
    holds = all(check.holds for check in checks)
    if options.json:
        rows = [defaults.as_dict(check) for check in checks]
        _print_json({"torch_version": torch.__version__, "holds": holds, "defaults": rows})
    else:
        print(f"torch {torch.__version__}")
        for check in checks:
            mark = "✓" if check.holds else "✗"
            print(f"{mark} {check.module:28} {check.names:44} {check.form}")
    return 0 if holds else 1


def _propagate(options: argparse.Namespace) -> int:
    widths = tuple(_whole("width", text) for text in options.width)
    network = Network(
        depth=_whole("depth", options.depth),
        width=widths[0] if len(widths) == 1 else widths,
        activation=options.activation,
        weight=Init(options.scheme, _params(options.param)),
        bias=Init(options.bias, _params(options.bias_param)),
        inputs=options.inputs,
        correlation=_number("correlation", options.correlation),
        batch=_whole("batch", options.batch),
        seeds=_whole("seeds", options.seeds),
        seed=_whole("seed", options.seed),
        layer_norm=options.layer_norm,
        residual=options.residual,
        whole=options.whole,
    )
    made = propagation.propagate(network, NetworkLimits.from_environment(), _progress_bar())
    if options.json:
        _print_json(propagation.as_dict(made))
        return 0
    size = " × ".join(f"{width:,}" for width in widths)
    print(f"{network.depth} layers of {size}, {network.activation}, {network.weight.slug}")
    print(made.verdict.sentence)
    if made.theory_note:
        print(made.theory_note)
    columns = [
        column
        for name in ("preactivation", "activation", "gradient")
        for column in ((name, made.mean(f"{name}_std")), ("theory", made.theory[f"{name}_std"]))
    ]
    columns += [(name, made.mean(name)) for name in ("saturated", "dead")]
    print("\n" + f"{'layer':>6}" + "".join(f"{heading:>15}" for heading, _ in columns))
    for index in range(network.depth):
        print(f"{index + 1:>6}" + "".join(f"{_cell(float(c[index])):>15}" for _, c in columns))
    return 0


def _race(options: argparse.Namespace) -> int:
    rates = [_number("rate", text) for text in options.rate]
    if len(rates) not in (1, len(options.scheme)):
        raise InitError(
            f"{len(rates)} rates for {len(options.scheme)} schemes: give one, or one each"
        )
    rates *= len(options.scheme) if len(rates) == 1 else 1
    given = _params(options.param)
    for name in given:
        if name.partition(".")[0] not in options.scheme:
            raise InitError(f"parameter {name!r}: write it as SCHEME.NAME, of a scheme that races")
    bias = Init(options.bias, _params(options.bias_param))
    entrants = []
    for scheme, rate in zip(options.scheme, rates, strict=True):
        head = f"{scheme}."
        own = {name.removeprefix(head): v for name, v in given.items() if name.startswith(head)}
        entrants.append(Entrant(Init(scheme, own), rate, bias))
    spec = RaceSpec(
        tuple(entrants),
        problem=options.problem,
        widths=tuple(_whole("width", text) for text in options.width),
        activation=options.activation,
        steps=_whole("steps", options.steps),
        batch=_whole("batch", options.batch),
        momentum=_number("momentum", options.momentum),
        seeds=_whole("seeds", options.seeds),
        seed=_whole("seed", options.seed),
    )
    made = training.race(spec, _progress_bar())
    if options.json:
        _print_json(training.as_dict(made))
        return 0
    print(f"{spec.problem}, hidden layers of {list(spec.widths)}, {spec.activation}")
    print(f"{made.verdict}\n{made.criterion}\n")
    columns = ("rate", "train loss", "train accuracy", "test loss", "test accuracy", "steps/s")
    print(f"{'':40}" + "".join(f"{name:>15}" for name in columns))
    for runner in made.runners:
        ends = (float(getattr(runner, name)[-1].mean()) for name in training.CURVES[:4])
        values = (runner.entrant.rate, *ends, runner.steps_per_second)
        print(f"{runner.name:40}" + "".join(f"{_cell(value):>15}" for value in values))
    return 0
