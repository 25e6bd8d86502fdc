"""The Defaults page: the very checks of the library, searchable."""

import pytest

from initcore import DEFAULTS, measure_default


@pytest.fixture(scope="module")
def checks():
    return [check for record in DEFAULTS for check in measure_default(record, 0)]


def column(frame, *words):
    """The column whose name holds all the words."""
    [name] = [name for name in frame.columns if all(word in name for word in words)]
    return list(frame[name])


def test_every_check_is_a_row(open_page, checks):
    frame = open_page("defaults").dataframe[0].value
    assert column(frame, "module") == [check.module for check in checks]
    assert column(frame, "tensors") == [check.names for check in checks]
    assert column(frame, "closed") == [check.form for check in checks]
    assert len(set(column(frame, "holds"))) == 1  # they all hold
    for shown, check in zip(column(frame, "std"), checks, strict=True):
        if check.measurement and shown == shown:
            assert shown == check.measurement.std


def test_the_verdict_counts_the_claims(open_page, checks):
    texts = " ".join(text.value for text in open_page("defaults").markdown)
    assert all(check.holds for check in checks)
    assert str(len(checks)) in texts


def test_another_seed_is_measured_anew(open_page, press):
    at = open_page("defaults")
    before = column(at.dataframe[0].value, "std")
    press(at, "again")
    assert at.number_input(key="seed").value == 1
    assert column(at.dataframe[0].value, "std") != before


@pytest.mark.parametrize(
    ("wanted", "module"),
    [("linear", "Linear"), ("LSTM", "LSTM"), ("in_proj", "MultiheadAttention")],
)
def test_the_search_finds_modules_and_tensors_in_any_case(open_page, wanted, module):
    at = open_page("defaults")
    every = len(at.dataframe[0].value)
    at.text_input(key="find").set_value(wanted).run()
    frame = at.dataframe[0].value
    assert module in column(frame, "module")
    assert 0 < len(frame) < every
    assert len(open_page("defaults", {"find": wanted}).dataframe[0].value) == len(frame)


def test_each_example_of_the_search_finds_something(open_page):
    box = open_page("defaults").text_input(key="find")
    examples = [text.strip(" ….") for text in box.placeholder.split(",")]
    assert len(examples) > 1
    for example in examples:
        assert open_page("defaults", {"find": example}).dataframe, example


def test_what_is_worth_knowing_of_the_modules_found(open_page):
    notes = {record.note: record.module for record in DEFAULTS if record.note}
    assert len(notes) > 5
    every, packed = (
        open_page("defaults", {"find": text}).markdown[1].value.replace("\\", "")
        for text in ("", "packed")
    )
    for note, module in notes.items():
        assert note in every
        assert module in every
        assert (note in packed) == ("packed" in note)


@pytest.mark.parametrize("nothing", ["zzz", "[a-z]", "[a-"])
def test_a_search_that_finds_nothing_says_so(open_page, nothing):
    at = open_page("defaults", {"find": nothing})
    assert not at.dataframe
    [message] = [info.value for info in at.info]
    assert nothing in message
    at.text_input(key="find").set_value("").run()
    assert len(at.dataframe) == 1
