"""Close-ups: one tensor of a source as a matrix, read piece by piece."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from initcore import InitError, checkpoint, closeup
from initcore.closeup import close_up
from initcore.spectrum import MarchenkoPastur
from initcore.survey import survey

GENERATOR = torch.Generator().manual_seed(0)
STATE = {
    "matrix": torch.randn(40, 30, generator=GENERATOR),
    "kernel": torch.randn(8, 6, 3, 3, generator=GENERATOR),
    "half": torch.randn(20, 30, generator=GENERATOR).bfloat16(),
    "vector": torch.randn(50, generator=GENERATOR),
    "scalar": torch.tensor(2.0),
    "large": torch.randn(700, 900, generator=GENERATOR),
    "broken": torch.tensor([[1.0, math.nan], [2.0, 3.0]]),
    "whole": torch.arange(6).reshape(2, 3),
}


STUDIES = {study.name: study for study in survey(STATE)}


@pytest.mark.parametrize("name", ["matrix", "kernel", "half", "vector", "scalar"])
def test_a_small_tensor_is_shown_value_by_value(name):
    tensor = STATE[name]
    seen = close_up(STATE, STUDIES[name])
    matrix = tensor.reshape(tensor.shape[0], -1) if tensor.ndim > 1 else tensor.reshape(1, -1)
    assert seen.heat.is_exact
    np.testing.assert_array_equal(seen.heat.extreme, matrix.float().numpy())
    if tensor.ndim < 2:
        assert seen.spectrum is None
    else:
        expected = torch.linalg.svdvals(matrix.double())
        np.testing.assert_allclose(seen.spectrum.values, expected, rtol=1e-6)


def test_a_file_in_pieces_gives_what_memory_gives(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_file(STATE, path)
    held = close_up(STATE, STUDIES["large"])
    monkeypatch.setattr(checkpoint, "PIECE", 2**12)
    filed = close_up(path, STUDIES["large"])
    np.testing.assert_array_equal(filed.heat.extreme, held.heat.extreme)
    assert (filed.heat.argmin, filed.heat.argmax) == (held.heat.argmin, held.heat.argmax)
    assert not held.heat.is_exact


def test_no_singular_values_where_they_take_long_or_do_not_exist(monkeypatch):
    assert close_up(STATE, STUDIES["broken"]).spectrum is None
    monkeypatch.setattr(closeup, "MAX_DECOMPOSED", 1199)
    assert close_up(STATE, STUDIES["matrix"]).spectrum is None


@pytest.mark.parametrize(("name", "part"), [("vector", "no tensor"), ("whole", "int64")])
def test_what_cannot_be_shown_is_named(name, part):
    less = {key: tensor for key, tensor in STATE.items() if key != "vector"}
    with pytest.raises(InitError, match=part) as error:
        close_up(less, STUDIES[name])
    assert name in str(error.value)


@pytest.mark.parametrize("shape", [(400, 400), (300, 600), (600, 300)])
def test_singular_values_stand_against_the_law_of_what_was_identified(shape):
    generator = torch.Generator().manual_seed(1)
    state = {
        "independent": 0.1 * torch.randn(shape, generator=generator),
        "orthogonal": torch.nn.init.orthogonal_(torch.empty(shape), 3.0, generator=generator),
        "constant": torch.full(shape, 0.5),
    }
    independent, orthogonal, constant = (close_up(state, s).spectrum for s in survey(state))
    assert independent.law == MarchenkoPastur(*shape, pytest.approx(0.1, rel=0.01))
    assert independent.distance < 0.02
    assert orthogonal.law.atoms[0][0] == pytest.approx(3, rel=1e-3)
    assert orthogonal.distance < 1e-3
    assert constant.law is None
