"""A checkpoint is uploaded, audited, opened and downloaded; a hostile one is refused."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from safetensors.torch import save_file

from initcore import audit
from initcore.models import build_model

FAULTY = "transformer.h.1.mlp.c_proj.weight"


@pytest.fixture
def checkpoint(tmp_path):
    """A GPT of which one matrix is a hundred times too large."""
    state = build_model("gpt", width=32, blocks=3).state_dict()
    state["lm_head.weight"] = state["lm_head.weight"].clone()  # a file knows no ties
    state[FAULTY] = 100 * state[FAULTY]
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    return path


def download(tab, name):
    with tab.expect_download() as started:
        tab.get_by_role("button", name=name).click()
    return Path(started.value.path()).read_text()


def test_a_checkpoint_is_uploaded_audited_opened_and_kept(
    server, new_tab, settle, choose, checkpoint, tmp_path
):
    # High enough that nothing must be scrolled to, which would close a list of options.
    tab = settle(new_tab(server, "audit", viewport={"width": 1280, "height": 3000}))
    hostile = tmp_path / "hostile.pt"
    hostile.write_bytes(b"cos\nsystem\n(S'echo owned'\ntR.")
    tab.locator("input[type=file]").set_input_files(hostile)
    alert = tab.get_by_test_id("stAlert")
    expect(alert).to_contain_text("hostile.pt is neither")
    settle(tab)
    # The page goes on working.
    tab.get_by_role("button", name=re.compile("Remove")).click()
    expect(tab.get_by_role("button", name="Try a real bug")).to_be_visible()
    tab.locator("input[type=file]").set_input_files(checkpoint)
    expect(tab.get_by_role("heading", level=1)).to_contain_text("model.safetensors")
    expect(tab.get_by_text("1 error.")).to_be_visible()
    expect(tab.get_by_role("figure", name=re.compile("1 of 12 are not"))).to_be_visible()
    settle(tab)
    choose(tab, "Open a tensor", FAULTY)
    expect(tab.get_by_role("figure")).to_have_count(4)
    assert f"tensor={FAULTY}" in tab.url
    assert "model.safetensors" not in tab.url
    # Its row in the table opens another.
    tab.locator("[data-testid=stDataFrame]:visible").first.click(position={"x": 18, "y": 52})
    tab.wait_for_url("**/audit?tensor=lm_head.weight")
    settle(tab)
    kept = json.loads(download(tab, "Audit (JSON)"))
    assert kept["tensors"] == audit(checkpoint, "auto").as_dict()["tensors"]
    assert kept["source"] == "model.safetensors"
    assert "<html" in download(tab, "Report (HTML)")
    assert FAULTY in download(tab, "Tensors (CSV)")
    # The test stands beside the checkpoint, and fails as the page says.
    names = {"__file__": str(tmp_path / "test_init.py")}
    exec(download(tab, "Test (pytest)"), names)
    with pytest.raises(AssertionError, match=re.escape(FAULTY)):
        names["test_every_tensor_is_as_the_recipe_has_it"]()
