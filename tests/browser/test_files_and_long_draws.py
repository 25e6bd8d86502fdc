"""Downloads hold the very tensors; a long draw can be cancelled."""

from pathlib import Path

import torch
from playwright.sync_api import expect
from safetensors import safe_open

from initcore import Init, Layer, Spec, draw_spec
from initcore.export import csv
from initcore.snippet import script

SPEC = Spec(Layer("linear", (8, 6)), Init("normal", {"std": 0.02}), Init("uniform"), seed=4)
LINK = {"in": 8, "out": 6, "scheme": "normal", "normal.std": 0.02, "bias": "uniform", "seed": 4}


def download(tab, name):
    with tab.expect_download() as started:
        tab.get_by_role("button", name=name).click()
    return Path(started.value.path()), started.value.suggested_filename


def test_the_files_hold_the_tensors_on_the_screen(server, new_tab, settle, see):
    tab = settle(new_tab(server, "layer", LINK))
    see(tab, SPEC)
    drawn = draw_spec(SPEC)
    path, name = download(tab, "Weights")
    assert path.read_text() == csv(drawn)
    assert name.endswith(".csv")
    path, name = download(tab, "Tensors")
    assert name.endswith(".safetensors")
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("weight"), drawn.weight)
        assert torch.equal(file.get_tensor("bias"), drawn.bias)
        assert file.metadata()["torch_version"] == torch.__version__
    path, name = download(tab, "Script")
    assert path.read_text() == script(SPEC)
    assert name.endswith(".py")


def test_a_long_draw_can_be_cancelled_and_the_app_goes_on(server, new_tab, see, set_number, settle):
    tab = new_tab(server, "layer", {"in": 30000, "out": 20000})
    expect(tab.get_by_role("progressbar")).to_be_visible()
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.get_by_test_id("stAlert").filter(has_text="Cancel")).to_be_visible()
    settle(tab)
    expect(tab.get_by_role("figure")).to_have_count(0)
    expect(tab.get_by_role("button", name="Draw it")).to_be_visible()
    set_number(tab, "in_features", 6)
    set_number(tab, "out_features", 4)
    see(tab, Spec(Layer("linear", (6, 4)), Init("xavier_uniform")))
