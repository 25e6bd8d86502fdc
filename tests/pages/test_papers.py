"""The Papers page: a card a claim, checked on a click, with a link to the page that shows it."""

from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from initcore import InitError
from initcore.laws import number
from initcore.network import Network
from initcore.papers import PAPERS, PhasePoint, Result, get_paper, near
from initcore.spectrum import SpectrumSpec
from initcore.training import RaceSpec
from ui import checks, link


@pytest.fixture(autouse=True)
def nothing_kept():
    checks.kept.clear()


@pytest.fixture
def quick(monkeypatch):
    """Papers measure nothing, but say what was asked of them."""
    asked = []

    def measure(paper, progress=None):
        asked.append(paper.slug)
        progress(0.5, "half")
        return Result((near("A number", 2.0, 2.0 if paper.year > 2015 else 3.0, 0.5),))

    monkeypatch.setattr("initcore.papers.Paper.measure", measure)
    return asked


def text_of(at):
    return " ".join(m.value for m in at.markdown)


def test_every_paper_has_a_card_with_its_claim_and_its_source(open_page):
    at = open_page("papers")
    assert [head.value for head in at.subheader] == [f"{p.authors} {p.year}" for p in PAPERS]
    captions = " ".join(caption.value for caption in at.caption)
    for paper in PAPERS:
        assert paper.claim in text_of(at)
        for said in (paper.url, paper.number, paper.where, paper.setting, paper.tolerance):
            assert said in captions
    assert not at.get("download_button")
    assert "0 of 10" in text_of(at)


def test_a_click_checks_one_paper_for_everybody(open_page, quick):
    at = open_page("papers")
    at.button(key="check-klambauer-2017").click().run()
    assert not at.exception
    assert quick == ["klambauer-2017"]
    assert "1 of 10 checked, 1 agree" in text_of(at)
    other = open_page("papers")
    assert "| 2\u00a0±\u00a00.5 | :green[✓\u00a02] |" in text_of(other)
    assert "check-klambauer-2017" not in [button.key for button in other.button]
    assert len(other.get("download_button")) == 1


def test_all_are_checked_with_one_click_and_none_twice(open_page, press, quick):
    at = open_page("papers")
    at.button(key="check-gpt2-2019").click().run()
    press(at, "Check all")
    assert sorted(quick) == sorted(paper.slug for paper in PAPERS)
    disagree = sum(paper.year <= 2015 for paper in PAPERS)
    assert text_of(at).count("by 0.5 too high for 2 ± 0.5") == disagree
    assert f"10 of 10 checked, {10 - disagree} agree" in text_of(at)


def test_what_cannot_be_computed_says_why(open_page, monkeypatch):
    def refuse(paper, progress=None):
        return Result((), "it is too large")

    monkeypatch.setattr("initcore.papers.Paper.measure", refuse)
    at = open_page("papers")
    at.button(key="check-he-2015").click().run()
    assert "not computed] It is too large." in text_of(at)
    assert "1 of 10 checked, 0 agree" in text_of(at)


def test_the_numbers_shown_are_the_librarys(open_page):
    at = open_page("papers")
    at.button(key="check-mishkin-2015").click().run()
    for row in checks.kept.get("mishkin-2015").rows:
        assert number(row.ours) in text_of(at)
        assert row.what.replace("|", "&#124;") in text_of(at)


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.slug)
def test_a_preset_survives_the_link(paper):
    preset = paper.preset

    def back(values):
        given = {k: ",".join(v) if isinstance(v, list) else str(v) for k, v in values.items()}
        assert all(given.values()) or given["widths"] == ""
        return given

    match preset:
        case Network():
            assert link.network_of(back(link.network_query(preset))) == preset
        case RaceSpec():
            assert (
                replace(link.race_of(back(link.race_query(preset))), every=preset.every) == preset
            )
        case SpectrumSpec():
            there = link.spectrum_of(back(link.spectrum_query(preset, "jacobian")))
            assert there == (preset, "jacobian")
        case PhasePoint():
            assert link.point_of(back(link.point_query(preset))) == preset


@pytest.mark.parametrize("slug", ["saxe-2013", "pennington-2017", "schoenholz-2017", "zhang-2019"])
def test_open_shows_the_preset_whatever_was_chosen_before(open_page, slug):
    index = [paper.slug for paper in PAPERS].index(slug)
    at = open_page("papers")
    query = parse_qs(at.page_link[index].proto.query_string, keep_blank_values=True)
    page = {"saxe-2013": "race", "pennington-2017": "spectrum", "schoenholz-2017": "phase"}
    at.session_state["activation"] = "sigmoid"
    at.query_params = query
    at.switch_page(f"pages/{page.get(slug, 'propagation')}.py").run()
    assert not at.exception
    preset = get_paper(slug).preset
    assert at.selectbox(key="activation").value == preset.activation
    if isinstance(preset, PhasePoint):
        assert at.number_input(key="sigma_w").value == preset.weight_std
        assert at.number_input(key="sigma_b").value == preset.bias_std
    if isinstance(preset, RaceSpec):
        assert at.multiselect(key="schemes").value == ["orthogonal", "normal"]
        assert at.number_input(key="normal.std").value == 1 / 8
        assert at.number_input(key="rate").value == preset.entrants[0].rate
        assert at.number_input(key="depth").value == 31
    if isinstance(preset, SpectrumSpec):
        assert at.selectbox(key="matrix").value == "jacobian"
        assert at.number_input(key="orthogonal.gain").value == 1.05


@pytest.mark.parametrize("read", [link.race_of, link.spectrum_of, link.point_of])
def test_a_link_of_somebody_else_is_refused(read):
    for values in ({}, {"activation": "tanh"}, {"activation": "softmax", "scheme": "normal"}):
        with pytest.raises((KeyError, InitError)):
            read(values)
