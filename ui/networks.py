"""Propagations for the pages: cached by their network, for all sessions, bounded in number."""

from __future__ import annotations

from initcore.errors import InitError
from initcore.network import Network, NetworkLimits
from initcore.propagation import Propagation, propagate
from ui.kept import Kept
from ui.reports import refuse
from ui.work import long_work

# Statistics of at most 1000 layers × 100 networks: 5 MB each; mostly a few KB.
_propagations: Kept[Network, Propagation] = Kept(12)


def propagation(network: Network) -> Propagation:
    """The propagation of a network, with progress while it is made.

    Stops the page with a message when the network exceeds the server's limits, or on Cancel.
    """
    if (kept := _propagations.get(network)) is not None:
        return kept
    try:
        limits = NetworkLimits.from_environment()
        limits.check(network)
    except InitError as error:
        refuse(error)
    text = f"Propagating through {network.depth} layers"
    with long_work(text, "propagate", "Propagate") as progress:
        return _propagations.get_or_make(
            network, lambda: propagate(network, limits, progress), progress
        )
