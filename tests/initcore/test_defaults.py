"""What torch.nn modules do by default: every claim, every module, no side effects."""

import inspect
import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import nn

from initcore.defaults import DEFAULTS, Claim, as_dict, construct, measure_default
from initcore.laws import Uniform, constant

LINEAR = next(record for record in DEFAULTS if record.module == "Linear")
ENCODER = next(record for record in DEFAULTS if record.module == "TransformerEncoder")


@pytest.mark.parametrize("record", DEFAULTS, ids=lambda record: record.module)
def test_claims_hold(record):
    for seed in range(5):
        for check in measure_default(record, seed):
            assert check.holds, (seed, check.names, check.fit and check.fit.verdict)


# --- all modules --------------------------------------------------------------------------------

# What a constructor requires; where nothing is said, the number 4 suits it.
ARGUMENTS = {
    "affine": True,
    "decoder_layer": nn.TransformerDecoderLayer(4, 2),
    "elementwise_affine": True,
    "encoder_layer": nn.TransformerEncoderLayer(4, 2),
    "module": nn.ReLU(),
    "unflattened_size": (2, 2),
}
SPECIAL = {
    "AdaptiveLogSoftmaxWithLoss": lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [10]),
    "FractionalMaxPool2d": lambda: nn.FractionalMaxPool2d(3, output_size=4),
    "FractionalMaxPool3d": lambda: nn.FractionalMaxPool3d(3, output_size=4),
    "GRU": lambda: nn.GRU(4, 4),
    "LSTM": lambda: nn.LSTM(4, 4),
    "RNN": lambda: nn.RNN(4, 4),
    "RNNBase": lambda: nn.RNNBase("LSTM", 4, 4),
}
# Base classes of the recurrent modules; nobody constructs them.
BASES = {"RNNBase", "RNNCellBase"}


def minimal(name):
    """The module with its required arguments, and affine where it can be."""
    if name in SPECIAL:
        return SPECIAL[name]()
    module = getattr(nn, name)
    arguments = {
        parameter.name: ARGUMENTS.get(parameter.name, 4)
        for parameter in inspect.signature(module).parameters.values()
        if parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        and (parameter.default is parameter.empty or "affine" in parameter.name)
    }
    return module(**arguments)


MODULES = [
    name
    for name, value in vars(nn).items()
    if isinstance(value, type) and issubclass(value, nn.Module) and not name.startswith("_")
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_with_parameters_has_a_record(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated modules are modules, too
        parameters = list(minimal(name).parameters())
    recorded = name in {record.module for record in DEFAULTS}
    assert recorded == (bool(parameters) and name not in BASES)


def test_every_layer_kind_can_be_compared_with_its_default():
    assert len({record.code for record in DEFAULTS}) == len(DEFAULTS)


# --- wrong claims -------------------------------------------------------------------------------


def holds(record):
    return [check.holds for check in measure_default(record)]


def test_a_wrong_law_is_caught():
    wrong = Claim("weight", "U(±√(6/(in+out)))", Uniform(-math.sqrt(6 / 160), math.sqrt(6 / 160)))
    assert holds(replace(LINEAR, claims=(wrong, LINEAR.claims[1]))) == [False, True]
    zero = Claim("bias", "0", constant(0.0))
    assert holds(replace(LINEAR, claims=(LINEAR.claims[0], zero))) == [True, False]


def test_a_tensor_without_claim_is_caught():
    checks = measure_default(replace(LINEAR, claims=LINEAR.claims[:1]))
    assert [(check.names, check.holds) for check in checks] == [("weight", True), ("bias", False)]


def test_a_claim_without_tensor_is_caught():
    stray = Claim("scale", "1", constant(1.0))
    assert holds(replace(LINEAR, claims=(*LINEAR.claims, stray))) == [True, True, False]


def test_copies_that_differ_are_caught():
    assert all(holds(ENCODER))
    layers = [nn.TransformerEncoderLayer(64, 4, 128) for _ in range(2)]
    fresh = nn.ModuleDict({"layers": nn.ModuleList(layers)})
    assert holds(replace(ENCODER, build=lambda: fresh))[-1] is False
    assert holds(replace(ENCODER, identical=("layer.0.", "layer.1.")))[-1] is False


def test_a_claim_on_some_rows_is_measured_on_those():
    record = next(record for record in DEFAULTS if record.module == "Embedding")
    zero, rest = measure_default(record)
    assert (zero.measurement.count, zero.measurement.zeros) == (64, 64)
    assert (rest.measurement.count, rest.measurement.zeros) == (99 * 64, 0)


# --- construction -------------------------------------------------------------------------------


@pytest.mark.parametrize("record", DEFAULTS, ids=lambda record: record.module)
def test_construction_leaves_torchs_global_generator_alone(record):
    before = torch.get_rng_state()
    construct(record, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_construction_is_torchs_after_manual_seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = nn.Linear(96, 64)
    assert torch.equal(construct(LINEAR, 3).weight, expected.weight)


def test_threads_construct_the_same():
    records = [LINEAR, ENCODER]
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(lambda _: [construct(record, 3) for record in records], range(20)))
    for modules in runs:
        for module, first in zip(modules, runs[0], strict=True):
            for a, b in zip(module.parameters(), first.parameters(), strict=True):
                assert torch.equal(a, b)


def test_plain_data_names_the_check():
    check = measure_default(LINEAR)[0]
    data = as_dict(check)
    assert (data["module"], data["tensors"], data["holds"]) == ("Linear", "weight", True)
    assert data["count"] == 96 * 64
    assert data["measured_std"] == pytest.approx(data["std"], rel=0.05)
    missing = as_dict(measure_default(replace(LINEAR, claims=()))[0])
    assert (missing["holds"], missing["law"], missing["measured_std"]) == (False, None, None)
