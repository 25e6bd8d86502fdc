"""Races on a page: trained as one watches, stopped and resumed, kept for all sessions.

A race's state depends on its spec and the number of steps alone and is never changed, so that any
visitor may continue what another has begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

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


def _reached(spec: RaceSpec) -> RaceState:
    """The state that is kept of a race, or its start, whatever its number of steps."""
    key = replace(spec, steps=spec.every)
    return states.get(key) or start(key)


def _keep(state: RaceState) -> None:
    before = states.get(state.spec)
    if before is None or before.step <= state.step:
        states.put(state.spec, state)


def watch(spec: RaceSpec, show: Callable[[Race], None]) -> Race:
    """Train a race as far as its spec says, showing it on the way; the race as far as it got.

    A click on Stop and keep, a changed control or a closed tab ends the training where it is; what
    is trained is kept, and Continue goes on from there.
    """
    state = _reached(spec)
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
    drawn = told = 0.0
    points = 0
    with closing(train(state, spec.steps)) as training:
        for reached in training:
            state = reached
            now = time.monotonic()
            if now - told < _REPORT:
                continue
            told = now
            _keep(state)
            if now - drawn > _REDRAW and state.step // spec.every > points:
                drawn, points = now, state.step // spec.every
                show(results(state, spec.steps))
            # Here a stop takes effect: what is kept is what was drawn, or a little more.
            bar.progress(
                state.step / spec.steps, f"Training: step {state.step:,} of {spec.steps:,}"
            )
    _keep(state)
    slot.empty()
    return results(state, spec.steps)


def _stop(spec: RaceSpec) -> None:
    st.session_state[_STOPPED] = spec


def _continue() -> None:
    st.session_state.pop(_STOPPED, None)


def swept(spec: RaceSpec, rates: tuple[float, ...]) -> Sweep:
    """The sweep of a race over learning rates, with progress and Cancel while it is made."""
    made = sweeps.get((spec, rates))
    if made is None:
        runs = len(spec.entrants) * len(rates)
        with long_work(f"Training {runs} runs of {spec.steps:,} steps", "sweep", "Sweep") as told:
            made = sweep(spec, rates, told)
        sweeps.put((spec, rates), made)
    return made
