"""Propagations for the pages: cached by their network, for all sessions, bounded in number."""

from __future__ import annotations

import threading
from collections import OrderedDict

from initcore.errors import InitError
from initcore.network import Network, NetworkLimits
from initcore.propagation import Propagation, propagate
from ui.reports import refuse
from ui.work import long_work

# Statistics of at most 1000 layers × 100 networks: 5 MB each; mostly a few KB.
_KEPT = 12
_propagations: OrderedDict[Network, Propagation] = OrderedDict()
_lock = threading.Lock()
# One at a time, so that thirty people need the memory of one.
_one_at_a_time = threading.Lock()
_WAIT = 0.25  # seconds between two looks at whether a visitor who waits is still there


def propagation(network: Network) -> Propagation:
    """The propagation of a network, with progress while it is made.

    Stops the page with a message when the network exceeds the server's limits, or on Cancel.
    """
    with _lock:
        if network in _propagations:
            _propagations.move_to_end(network)
            return _propagations[network]
    try:
        limits = NetworkLimits.from_environment()
        limits.check(network)
    except InitError as error:
        refuse(error)
    text = f"Propagating through {network.depth} layers"
    with long_work(text, "propagate", "Propagate") as progress:
        while not _one_at_a_time.acquire(timeout=_WAIT):
            progress(0.0, "waiting for another visitor's")
        try:
            made = propagate(network, limits, progress)
        finally:
            _one_at_a_time.release()
    with _lock:
        _propagations[network] = made
        while len(_propagations) > _KEPT:
            _propagations.popitem(last=False)
    return made
