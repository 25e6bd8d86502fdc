"""On a GPU the answers are the CPU's. Needs one: skipped elsewhere."""

import numpy as np
import pytest
import torch
from torch import nn

from initcore.audit import assert_init, audit
from initcore.draw import DTYPES
from initcore.identify import identify
from initcore.measure import measure
from initcore.models import build_model
from initcore.recipes import apply_recipe
from initcore.spectrum import singular_values

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_a_tensor_is_measured_and_identified_where_it_is(dtype):
    torch.cuda.manual_seed(0)
    weight = nn.init.normal_(torch.empty(300, 500, device="cuda", dtype=dtype), std=0.02)
    there, here = measure(weight), measure(weight.cpu())
    assert (there.min, there.max, there.mean, there.sums) == (
        here.min,
        here.max,
        here.mean,
        here.sums,
    )
    assert np.array_equal(there.counts, here.counts)
    assert identify(weight).sentence == identify(weight.cpu()).sentence
    off = singular_values(weight) - singular_values(weight.cpu())
    assert np.abs(off).max() < 1e-12


@pytest.mark.parametrize("slug", ["gpt", "cnn"])
def test_a_module_is_drawn_and_audited_where_it_is(slug):
    recipe = {"gpt": "nanogpt", "cnn": "resnet"}[slug]
    here, there = (build_model(slug, seed=0) for _ in range(2))
    there.cuda()
    for module in (here, there):
        apply_recipe(module, recipe, seed=3)
        assert_init(module, recipe)
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.equal(one, other.cpu())
    expected = audit(here, recipe).as_dict()
    assert audit(there, recipe).as_dict() == expected


@pytest.mark.parametrize(
    "call",
    [nn.init.xavier_uniform_, lambda weight: nn.init.normal_(weight, std=0.02)],
    ids=["uniform", "normal"],
)
def test_what_the_gpu_drew_is_known_by_its_bits(call):
    torch.cuda.manual_seed(0)
    weight = call(torch.empty(1024, 1536, device="cuda"))
    assert identify(weight).drawn_on == "CUDA"
    assert identify(weight + 1e-4 * weight.std()).drawn_on == ""
    here = call(torch.empty(1024, 1536))
    assert identify(here).drawn_on == "CPU"
