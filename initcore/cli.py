"""The command line: ``python -m initcore describe|schemes|defaults|audit``, each with ``--json``.

Exit status: 0 fine; 1 a default that does not hold, or findings at or above ``--fail-on``;
2 unusable input, with one line on stderr.
With ``--json`` one JSON object stands on stdout and nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch

from initcore import defaults, html, report
from initcore.audit import audit
from initcore.draw import DTYPES, Limits, Spec
from initcore.errors import InitError
from initcore.laws import number
from initcore.layers import LAYERS, Layer
from initcore.measure import Progress
from initcore.recipes import RECIPES
from initcore.schemes import Init, Value, schemes
from initcore.schemes import as_dict as scheme_as_dict
from initcore.snippet import snippet


class _Parser(argparse.ArgumentParser):
    """argparse prints its usage before an error; the contract is one line."""

    def error(self, message: str) -> NoReturn:
        raise InitError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
    except InitError as error:
        print(f"initcore: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="initcore", description="See and check how weights are initialised.")
    commands = parser.add_subparsers(required=True, metavar="describe|schemes|defaults|audit")

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
        print(f"\r\033[K{share:4.0%} {_printable(now)}", end="\r", file=sys.stderr, flush=True)

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
        print(f"{options.path}: {result.sentence}")
        for finding in result.findings:
            names = ", ".join(finding.tensors[:3])
            more = f" and {len(finding.tensors) - 3} more" if len(finding.tensors) > 3 else ""
            print(f"\n{finding.severity} [{finding.code}] {finding.cause}")
            for title, text in (
                ("tensors", _printable(names + more)),
                ("evidence", _printable(finding.evidence)),
                ("mend", finding.fix),
            ):
                print(f"  {title:9} {text}")
    severities = fatal[: fatal.index(options.fail_on) + 1]
    return int(any(finding.severity in severities for finding in result.findings))


def _printable(text: str) -> str:
    """Names come from files: nothing in them may move a terminal's cursor."""
    return "".join(character if character.isprintable() else "�" for character in text)


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
