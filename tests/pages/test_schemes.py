"""The Schemes page, and what adding a scheme takes: a record, and nothing else."""

import dataclasses
import importlib
import math

import pytest

from initcore import schemes
from initcore.laws import Normal
from initcore.schemes import Call, Param, Scheme, formula

ADDED = Scheme(
    slug="scaled_normal",
    title="Scaled normal",
    params=(Param("depth", 12.0, "Layers of the network.", low=1.0, step=1.0),),
    ranks=(2, 3, 4, 5),
    law=lambda slot, p: Normal(0.0, 0.02 / math.sqrt(2 * p["depth"])),
    formula=r"\sigma = \frac{0.02}{\sqrt{2 \cdot <depth>}}",
    reference="Radford et al. 2019",
    when="Residual branches of a deep transformer.",
    call=lambda slot, p: Call("normal_", {"std": 0.02 / math.sqrt(2 * p["depth"])}),
)


def test_each_scheme_has_a_card(open_page, charts):
    at = open_page("schemes")
    records = schemes()
    titles = [heading.value for heading in at.subheader]
    assert titles == [scheme.title for scheme in records.values()]
    for shown, scheme in zip(at.latex, records.values(), strict=True):
        assert formula(scheme) in shown.value
    assert charts(at).keys() == {f"law-{slug}" for slug in records}
    assert all(any(c.isdigit() for c in chart.alt) for chart in charts(at).values())
    texts = [text.value for text in [*at.markdown, *at.caption]]
    for scheme in records.values():
        assert any(scheme.reference in text for text in texts)
        for param in scheme.params:
            assert any(param.help in text and param.allowed in text for text in texts)


@pytest.mark.parametrize("slug", ["xavier_uniform", "sparse", "dirac", "default"])
def test_a_card_opens_its_scheme_in_layer(open_page, open_in_layer, snippet_shown, messages, slug):
    at = open_in_layer(open_page("schemes"), slug)
    assert at.selectbox(key="scheme").value == slug
    assert not messages(at)
    # The address is that of what is shown.
    assert snippet_shown(open_page("layer", at.query_params)) == snippet_shown(at)


def test_a_new_scheme_is_a_record_and_nothing_else(
    open_page, charts, snippet_shown, monkeypatch, messages
):
    module = importlib.import_module("initcore.schemes")
    monkeypatch.setattr(module, "SCHEMES", (*module.SCHEMES, ADDED))
    at = open_page()
    assert "scaled_normal" in at.selectbox(key="scheme").options
    at.selectbox(key="scheme").select("scaled_normal").run()
    at.number_input(key="scaled_normal.depth").set_value(50.0).run()
    assert "std=0.002" in snippet_shown(at)
    assert charts(at)["heatmap"].alt
    assert not messages(at)
    linked = open_page("layer", {"scheme": "scaled_normal", "scaled_normal.depth": 50})
    assert snippet_shown(linked) == snippet_shown(at)
    catalogue = open_page("schemes")
    assert "Scaled normal" in [heading.value for heading in catalogue.subheader]
    assert "law-scaled_normal" in charts(catalogue)
    compared = open_page("compare", {"schemes": ["scaled_normal", "normal"]})
    assert "scaled_normal" in compared.multiselect(key="schemes").options
    assert "heat-scaled_normal" in charts(compared)
    wrong = open_page("layer", {"scheme": "scaled_normal", "scaled_normal.depth": 0.5})
    assert "0.5" in messages(wrong)[0]


def test_a_scheme_torch_cannot_fill_is_refused_by_its_ranks(open_page, messages, monkeypatch):
    module = importlib.import_module("initcore.schemes")
    only_matrices = dataclasses.replace(ADDED, ranks=(2,))
    monkeypatch.setattr(module, "SCHEMES", (*module.SCHEMES, only_matrices))
    at = open_page("layer", {"layer": "conv1d", "scheme": "scaled_normal"})
    assert "rank" in messages(at)[0]
