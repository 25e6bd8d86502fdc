"""Papers: every claim is checked as its record says; what is wrong is found and said."""

import math
import re
from dataclasses import replace

import pytest

from initcore import Init, InitError, papers
from initcore.papers import PAPERS, Result, Row, as_dict, get_paper, near, within

# What does not hold at the size tried: the card has a cross.
DISAGREE = {"pennington-2017": ["Largest σ²: linear, Gaussian, 8 layers"]}


def wrong(result):
    return [row.what for row in result.rows if not row.agrees]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.slug)
def test_a_claim_holds_within_its_stated_tolerance_or_is_known_not_to(paper):
    told = []
    result = paper.measure(lambda share, now="": told.append(share))
    assert not result.reason
    assert wrong(result) == DISAGREE.get(paper.slug, []), result.sentence
    assert len(result.rows) >= 2
    assert told
    assert all(0 <= share <= 1 for share in told)


def test_every_record_says_where_it_is_from_and_what_counts():
    assert len({paper.slug for paper in PAPERS}) == len(PAPERS) >= 10
    for paper in PAPERS:
        assert re.search(r"[Ee]q|[Ff]igure|[Ss]ection|[Aa]lgorithm", paper.where)
        assert str(paper.year)[-2:] in paper.slug
        assert all(text.endswith(".") for text in (paper.claim, paper.setting, paper.tolerance))
        assert paper.url.startswith("https://")
        assert get_paper(paper.slug) is paper


def test_an_unknown_paper_is_refused_with_those_there_are():
    with pytest.raises(InitError, match=r"lecun.*not one of.*glorot-2010"):
        get_paper("lecun-1998")


# --- a wrong scheme is found --------------------------------------------------------------------


def test_the_two_schemes_of_glorot_cannot_be_exchanged(monkeypatch):
    standard, normalized = papers._STANDARD, papers._NORMALIZED
    monkeypatch.setattr(papers, "_STANDARD", normalized)
    monkeypatch.setattr(papers, "_NORMALIZED", standard)
    result = get_paper("glorot-2010").measure()
    assert result.state == "disagrees"
    assert len(wrong(result)) == 6


def test_without_fixup_the_update_explodes(monkeypatch):
    made = papers._residual
    monkeypatch.setattr(papers, "_residual", lambda whole, branches: made("none", branches))
    assert wrong(get_paper("zhang-2019").measure()) == [
        "Stream's variance after 40 branches, Fixup",
        "Update at 64 ÷ at 8 branches, Fixup",
    ]


def test_without_lsuv_the_variance_is_not_one(monkeypatch):
    made = papers._lsuv
    monkeypatch.setattr(papers, "_lsuv", lambda slug: replace(made(slug), whole="none"))
    assert len(wrong(get_paper("mishkin-2015").measure())) == 3


def test_another_gain_moves_the_factor_of_a_residual_branch(monkeypatch):
    made = papers._residual
    xavier = Init("xavier_normal")
    monkeypatch.setattr(papers, "_residual", lambda *given: replace(made(*given), weight=xavier))
    assert "Stream's variance per branch, He" in wrong(get_paper("zhang-2019").measure())


def test_gaussian_weights_are_not_taken_for_orthogonal_ones(monkeypatch):
    (name, gaussian), (other, relu), (third, _), (last, tanh) = papers._SPECTRA
    swapped = ((name, gaussian), (other, relu), (third, tanh), (last, papers._ISOMETRIC))
    monkeypatch.setattr(papers, "_SPECTRA", swapped)
    # The formula follows the weights; how σ_max grows does not.
    assert [what for what in wrong(get_paper("pennington-2017").measure()) if "σ_max" in what] == [
        "σ_max, layer 16 ÷ layer 1: tanh, orthogonal",
        "σ_max, layer 16 ÷ layer 1: tanh, Gaussian",
    ]


# --- states -------------------------------------------------------------------------------------

PAPER = get_paper("klambauer-2017")


def test_by_how_much_a_number_is_off():
    low, high = near("a", 2.0, 1.4, 0.5), within("b", "< 1", 3.0, high=1.0)
    assert low.off == pytest.approx(-0.1)
    assert high.off == 2
    assert near("a", 2.0, 1.5, 0.5).agrees
    assert within("b", "> 1", 1.0, low=1.0).off == 0
    sentence = Result((low, high, near("c", 0.0, 0.0, 0.1))).sentence
    assert "a is 1.4, by 0.1 too low for 2 ± 0.5" in sentence
    assert "b is 3, by 2 too high for < 1" in sentence
    assert "c" not in re.findall(r"\w+", sentence)


def test_a_number_that_is_not_finite_is_no_verdict():
    for value in (math.nan, math.inf):
        rows = (near("fine", 1.0, 1.0, 0.1), within("lost", "> 1", value, low=1.0))
        result = replace(PAPER, rows=lambda progress, rows=rows: rows).measure()
        assert result.state == "not computed"
        assert "ost is not a finite number" in result.sentence
        assert as_dict(PAPER, result)["rows"][1]["ours"] is None


def test_a_refused_spec_is_said():
    def refuse(progress):
        raise InitError("width = 0: must be at least 1")

    result = replace(PAPER, rows=refuse).measure()
    assert result.state == "not computed"
    assert result.sentence == "Width = 0: must be at least 1."


def test_what_progress_raises_ends_the_work():
    def stop(share, now=""):
        raise KeyboardInterrupt

    for paper in PAPERS:
        with pytest.raises(KeyboardInterrupt):
            paper.measure(stop)


def test_plain_data_has_the_rows_and_the_state():
    data = as_dict(PAPER, Result((Row("a", "≤ 1", 2.0, -math.inf, 1.0),)))
    assert (data["state"], data["slug"]) == ("disagrees", "klambauer-2017")
    assert data["rows"] == [
        {"what": "a", "paper": "≤ 1", "ours": 2.0, "low": None, "high": 1.0, "agrees": False}
    ]
