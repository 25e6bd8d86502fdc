"""Races on a page: trained as one watches, stopped and resumed, kept for all sessions.

A race's state depends on its spec and the number of steps alone and is never changed, so that any
visitor may continue what another has begun. Of thirty who open one race one trains it, and the
others watch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from time import monotonic, sleep

import streamlit as st

from initcore.training import Race, RaceSpec, RaceState, Sweep, results, start, sweep, train
from ui.kept import Kept
from ui.work import long_work

# So many weights of all the races: with their velocities 48 MB.
states: Kept[RaceSpec, RaceState] = Kept(6_000_000, lambda spec: spec.total)
sweeps: Kept[tuple[RaceSpec, tuple[float, ...]], Sweep] = Kept(32)
# Seconds. A chart that changes more often only keeps the browser busy.
_REDRAW, _REPORT = 0.6, 0.2
_STOPPED = "_stopped"
# Races that are being trained, by their key in ``states``.
_trained: set[RaceSpec] = set()
_lock = threading.Lock()


def _key(spec: RaceSpec) -> RaceSpec:
    """What a race is kept by, whatever its number of steps."""
    return replace(spec, steps=spec.every)


def _keep(state: RaceState) -> None:
    before = states.get(state.spec)
    if before is None or before.step <= state.step:
        states.put(state.spec, state)


def _first_to_train(key: RaceSpec) -> bool:
    with _lock:
        if key in _trained:
            return False
        _trained.add(key)
        return True


def _on(state: RaceState, steps: int) -> Generator[RaceState, None, None]:
    """The states that a race goes on to, a few a second: trained here, or by another visitor."""
    key = state.spec
    while state.step < steps:
        if _first_to_train(key):
            try:
                state = states.get(key) or state
                told = monotonic()
                with closing(train(state, steps)) as training:
                    for state in training:
                        if monotonic() - told > _REPORT:
                            _keep(state)
                            yield state
                            told = monotonic()
                _keep(state)
            finally:
                _trained.discard(key)
        else:
            sleep(_REPORT)
            state = states.get(key) or state
        yield state


def watch(spec: RaceSpec, show: Callable[[Race], None]) -> Race:
    """Train a race as far as its spec says, showing it on the way; the race as far as it got.

    A click on Stop and keep, a changed control or a closed tab ends the training where it is; what
    is trained is kept, and Continue goes on from there.
    """
    key = _key(spec)
    state = states.get_or_make(key, lambda: start(key))
    if state.step >= spec.steps:
        return results(state, spec.steps)
    slot = st.empty()
    if st.session_state.get(_STOPPED) == spec:
        with slot.container(horizontal=True, vertical_alignment="center"):
            st.info(f"Stopped after {state.step:,} of {spec.steps:,} steps.")
            st.button("Continue", icon=":material/play_arrow:", on_click=_continue)
        return results(state, spec.steps)
    with slot.container(border=True):
        bar = st.progress(state.step / spec.steps, "Training …")
        st.button("Stop and keep", icon=":material/stop:", on_click=_stop, args=(spec,))
    drawn, points = 0.0, 0
    with closing(_on(state, spec.steps)) as states_to_come:
        for state in states_to_come:
            step = min(state.step, spec.steps)
            if monotonic() - drawn > _REDRAW and step // spec.every > points:
                drawn, points = monotonic(), step // spec.every
                show(results(state, spec.steps))
            # Here a stop takes effect: what is kept is what was drawn, or a little more.
            bar.progress(step / spec.steps, f"Training: step {step:,} of {spec.steps:,}")
    slot.empty()
    return results(state, spec.steps)


def _stop(spec: RaceSpec) -> None:
    st.session_state[_STOPPED] = spec


def _continue() -> None:
    st.session_state.pop(_STOPPED, None)


def swept(spec: RaceSpec, rates: tuple[float, ...]) -> Sweep:
    """The sweep of a race over learning rates, with progress and Cancel while it is made."""
    key = spec, rates
    if (made := sweeps.get(key)) is not None:
        return made
    runs = len(spec.entrants) * len(rates)
    with long_work(f"Training {runs} runs of {spec.steps:,} steps", "sweep", "Sweep") as told:
        return sweeps.get_or_make(key, lambda: sweep(spec, rates, told), told)
