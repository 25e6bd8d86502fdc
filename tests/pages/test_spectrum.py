"""The Spectrum page: what the library measures, beside its counterpart, by link."""

import pytest

from initcore import Init
from initcore.laws import number
from initcore.spectrum import SpectrumSpec, measure_spectra, verdict
from ui import spectra

SMALL = {"inputs": 40, "width": 40, "depth": 4}


@pytest.fixture(autouse=True)
def nothing_kept():
    spectra.kept.clear()


def shown(at):
    return " ".join(text.value for text in at.markdown)


def test_it_opens_on_a_product_of_gaussians_beside_orthogonal(open_page, charts, messages):
    at = open_page("spectrum")
    assert set(charts(at)) == {
        *("histogram-xavier_normal", "histogram-orthogonal"),
        *("depth", "condition"),
    }
    assert "Fuss–Catalan law of 10 factors" in shown(at)
    assert all(any(c.isdigit() for c in chart.alt) for chart in charts(at).values())
    assert not messages(at)


@pytest.mark.parametrize("matrix", ["weight", "product", "jacobian"])
def test_the_numbers_are_the_librarys(open_page, charts, matrix):
    at = open_page("spectrum", SMALL | {"matrix": matrix, "activation": "relu", "seed": 3})
    spec = SpectrumSpec(Init("xavier_normal"), 40, 40, 4, "relu", 3)
    made = measure_spectra(spec)
    assert verdict(made, matrix) in shown(at)
    assert number(made.of(matrix).largest) in charts(at)["histogram-xavier_normal"].alt
    frame = at.dataframe[-1].value
    assert made.of(matrix).largest in set(frame["largest"])
    assert ("depth" in charts(at)) == (matrix != "weight")


def test_a_link_opens_the_state_it_states(open_page):
    link = SMALL | {"scheme": "orthogonal", "orthogonal.gain": 1.5, "width": 30}
    at = open_page("spectrum", link)
    spec = SpectrumSpec(Init("orthogonal", {"gain": 1.5}), 40, 30, 4, "tanh")
    assert f"all equal {number(1.5**4)}" in shown(at)
    code = next(code.value for code in at.code if code.language == "python")
    defined = {}
    exec(code.rpartition("\n")[0], defined)
    assert defined["spec"] == spec


def test_a_pattern_has_no_counterpart(open_page, charts):
    at = open_page("spectrum", SMALL | {"scheme": "eye"})
    assert [key for key in charts(at) if key.startswith("histogram")] == ["histogram-eye"]


def test_one_layer_has_no_depth_to_show(open_page, charts):
    assert "depth" not in charts(open_page("spectrum", SMALL | {"depth": 1}))


@pytest.mark.parametrize(
    ("link", "part"),
    [({"width": 5000}, "width = 5000"), ({"depth": 5000}, "depth = 5000"), ({"width": 0}, "width")],
)
def test_what_is_too_large_is_refused(open_page, messages, charts, link, part):
    at = open_page("spectrum", SMALL | link)
    assert part in " ".join(messages(at))
    assert bool(charts(at)) == (link == {"width": 0})


def test_an_overflow_is_said(open_page):
    at = open_page("spectrum", SMALL | {"scheme": "normal", "normal.std": 1e37, "depth": 12})
    assert "overflows float64" in shown(at)


def test_the_downloads_are_the_spectra(open_page):
    at = open_page("spectrum", SMALL)
    files = [button.proto.label for button in at.get("download_button")]
    assert files == ["Singular values (CSV)", "Spectra (JSON)"]
