"""initcore: see and check how neural-network weights are initialised.

>>> import initcore
>>> layer = initcore.Layer("linear", (5, 5))
>>> drawn = initcore.draw(layer, "xavier_uniform", seed=0)
>>> report = initcore.describe(drawn.spec)
>>> report.weight.fit.agrees
True

``schemes`` lists every way to fill a tensor, ``draw`` fills one, ``measure`` measures any tensor,
``fit`` compares a measurement with a law, ``describe`` does all of it for a layer. ``propagate``
sends a signal and a gradient through a deep ``Network``.
"""

from initcore.defaults import DEFAULTS, measure_default
from initcore.draw import Draw, Limits, Spec, draw, draw_spec
from initcore.errors import InitError
from initcore.fit import Fit, fit
from initcore.layers import LAYERS, Layer
from initcore.measure import Heat, Measurement, grid_for, measure
from initcore.network import Network, NetworkLimits
from initcore.propagation import Propagation, propagate
from initcore.report import Report, describe
from initcore.schemes import Init, Scheme, Slot, schemes
from initcore.snippet import snippet

__all__ = [
    "DEFAULTS",
    "LAYERS",
    "Draw",
    "Fit",
    "Heat",
    "Init",
    "InitError",
    "Layer",
    "Limits",
    "Measurement",
    "Network",
    "NetworkLimits",
    "Propagation",
    "Report",
    "Scheme",
    "Slot",
    "Spec",
    "describe",
    "draw",
    "draw_spec",
    "fit",
    "grid_for",
    "measure",
    "measure_default",
    "propagate",
    "schemes",
    "snippet",
]
