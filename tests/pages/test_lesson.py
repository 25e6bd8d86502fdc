"""The lesson: in every step a guess before the answer, and the answer drawn live."""

import pytest

# Of each step a part of the right answer, and of the code that it opens in Layer.
STEPS = [
    ("30", "nn.Linear(5, 5)"),
    ("0.4472", "nn.Linear(256, 256)"),
    ("new values", "uniform_(layer.weight"),
    ("1.5", "uniform_(layer.weight, a=0.0, b=3.0"),
    ("0.4", "normal_(layer.weight, mean=0.0, std=0.2"),
    ("1", "constant_(layer.weight, val=8.0"),
    ("0.7746", "xavier_uniform_(layer.weight"),
    ("8 %", "xavier_normal_(layer.weight"),
]
every_step = pytest.mark.parametrize("step", range(1, 9))


def right(at, step):
    """The option that holds the right answer."""
    [option] = [option for option in at.radio[0].options if STEPS[step - 1][0] in option]
    return option


def button(at, word):
    [found] = [button for button in at.button if word in button.label]
    return found


@pytest.fixture
def answer(press):
    def answer(at, step, *, rightly=True):
        options = at.radio[0].options
        truth = right(at, step)
        guess = truth if rightly else next(option for option in options if option != truth)
        at.radio[0].set_value(guess).run()
        return press(at, "reveal")

    return answer


@every_step
def test_the_answer_waits_for_a_guess(open_page, charts, step):
    at = open_page("lesson", {"step": step})
    assert at.radio[0].value is None
    assert len(at.radio[0].options) == 3
    assert button(at, "Reveal").disabled
    assert not charts(at)
    assert not at.success
    at.radio[0].set_value(at.radio[0].options[0]).run()
    assert not button(at, "Reveal").disabled
    assert not at.success


@every_step
def test_a_right_guess_is_confirmed_and_the_answer_shown(open_page, charts, answer, step):
    at = open_page("lesson", {"step": step})
    before = len(at.markdown)
    answer(at, step)
    assert right(at, step) in at.success[0].value
    assert not at.warning
    assert len(at.markdown) > before
    assert all(any(c.isdigit() for c in chart.alt) for chart in charts(at).values())
    assert at.radio[0].disabled
    assert at.progress[0].value == int(100 / 8)


@every_step
def test_a_wrong_guess_is_told_the_right_answer(open_page, answer, step):
    at = answer(open_page("lesson", {"step": step}), step, rightly=False)
    assert at.radio[0].value in at.warning[0].value
    assert right(at, step) in at.warning[0].value
    assert not at.success


@every_step
def test_each_step_goes_on_in_layer(open_page, answer, open_in_layer, snippet_shown, step):
    at = open_in_layer(answer(open_page("lesson", {"step": step}), step))
    code = snippet_shown(at)
    assert STEPS[step - 1][1] in code
    # The address is that of what is shown.
    assert snippet_shown(open_page("layer", at.query_params)) == code


def test_all_eight_steps_in_a_row(open_page, answer, press, charts):
    at = open_page("lesson")
    drawn = 0
    for step in range(1, 9):
        assert at.segmented_control(key="step").value == str(step)
        assert at.progress[0].value == int(100 * (step - 1) / 8)
        assert button(at, "Back").disabled is (step == 1)
        assert button(at, "Next").disabled is (step == 8)
        answer(at, step)
        drawn += len(charts(at))
        assert len(at.success) == (2 if step == 8 else 1)
        if step < 8:
            press(at, "next")
    assert at.progress[0].value == 100
    assert drawn >= 8


def test_guesses_and_answers_stay_on_the_way_back(open_page, answer, press):
    at = answer(open_page("lesson"), 1, rightly=False)
    guess = at.radio[0].value
    press(at, "next")
    assert at.segmented_control(key="step").value == "2"
    at.radio[0].set_value(at.radio[0].options[2]).run()
    press(at, "back")
    assert at.radio[0].value == guess
    assert at.warning
    press(at, "next")
    assert at.radio[0].value == at.radio[0].options[2]


def test_any_step_can_be_chosen(open_page):
    at = open_page("lesson")
    assert at.segmented_control(key="step").options == [str(n) for n in range(1, 9)]
    headings = set()
    for step in at.segmented_control(key="step").options:
        at.segmented_control(key="step").set_value(step).run()
        headings.add(at.header[0].value)
        assert not at.exception
    assert len(headings) == 8


@pytest.mark.parametrize("step", ["0", "9", "-1", "two", ""])
def test_a_link_to_no_step_opens_the_first(open_page, step):
    at = open_page("lesson", {"step": step})
    assert at.header[0].value == open_page("lesson").header[0].value
    assert not button(at, "Next").disabled


def test_the_live_numbers_are_those_of_the_library(open_page, answer):
    at = answer(open_page("lesson", {"step": 6}), 6)
    texts = " ".join(text.value for text in at.markdown)
    assert "120.0" in texts  # 8 · (1 + 2 + 3 + 4 + 5)
    at = answer(open_page("lesson", {"step": 3}), 3)
    assert " ".join(text.value for text in at.markdown).count("**True**") == 3
