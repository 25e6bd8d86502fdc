"""Reports for all sessions: made once, few at a time, never more than the server can hold."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from initcore import Init, Layer, Spec, describe
from ui import reports
from ui.kept import Kept


def spec(seed, size=5, scheme="normal"):
    return Spec(Layer("linear", (size, size)), Init(scheme), seed=seed)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(reports, "_reports", Kept(reports._KEPT))


@pytest.fixture
def described(monkeypatch):
    """The specs that were drawn, in order."""
    drawn = []

    def describe_and_note(spec, *args):
        drawn.append(spec)
        return describe(spec, *args)

    monkeypatch.setattr(reports, "describe", describe_and_note)
    return drawn


def test_a_report_is_made_once(described):
    first = reports.report(spec(1))
    assert reports.report(spec(1)) is first
    assert described == [spec(1)]


def test_whatever_differs_is_drawn_anew(described):
    wanted = [spec(1), spec(2), spec(1, size=6), spec(1, scheme="uniform")]
    made = [reports.report(each) for each in wanted]
    assert [report.spec for report in made] == described == wanted


def test_the_number_of_reports_is_bounded_and_the_latest_stay(described):
    most = reports._KEPT
    for seed in range(most + 5):
        reports.report(spec(seed))
        reports.report(spec(0))  # asked for all the time
        assert len(reports._reports) <= most
    described.clear()
    reports.report(spec(0))
    reports.report(spec(most + 4))
    assert described == []
    reports.report(spec(1))
    assert described == [spec(1)]


def test_threads_get_the_same_report_as_one():
    wanted = [spec(seed % 4, size=20) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(reports.report, wanted))
    for each, report in zip(wanted, made, strict=True):
        alone = describe(each)
        assert report.spec == each
        assert report.weight.measurement.mean == alone.weight.measurement.mean
        assert (report.weight.heat.extreme == alone.weight.heat.extreme).all()


def test_a_report_holds_little_however_large_the_tensor():
    report = reports.report(spec(1, size=2000))  # 16 MB
    heat = report.weight.heat
    arrays = [heat.total, heat.low, heat.high, report.weight.measurement.counts]
    assert sum(array.nbytes for array in arrays) < 1_500_000
