"""initcore: see and check how neural-network weights are initialised.

>>> import initcore
>>> layer = initcore.Layer("linear", (5, 5))
>>> drawn = initcore.draw(layer, "xavier_uniform", seed=0)
>>> report = initcore.describe(drawn.spec)
>>> report.weight.fit.agrees
True

``schemes`` lists every way to fill a tensor, ``draw`` fills one, ``measure`` measures any tensor,
``fit`` compares a measurement with a law, ``describe`` does all of it for a layer, ``identify``
names the schemes that a tensor may come from, ``audit`` judges every tensor of a model or of a
checkpoint, and ``assert_init`` does so in a test.
"""

from initcore.audit import Audit, assert_init, audit
from initcore.defaults import DEFAULTS, measure_default
from initcore.draw import Draw, Limits, Spec, draw, draw_spec
from initcore.errors import InitError
from initcore.findings import Finding
from initcore.fit import Fit, fit
from initcore.identify import Identification, identify
from initcore.layers import LAYERS, Layer
from initcore.measure import Heat, Measurement, grid_for, measure
from initcore.recipes import RECIPES, Recipe, apply_recipe, get_recipe
from initcore.report import Report, describe
from initcore.schemes import Init, Scheme, Slot, schemes
from initcore.snippet import snippet

__all__ = [
    "DEFAULTS",
    "LAYERS",
    "RECIPES",
    "Audit",
    "Draw",
    "Finding",
    "Fit",
    "Heat",
    "Identification",
    "Init",
    "InitError",
    "Layer",
    "Limits",
    "Measurement",
    "Recipe",
    "Report",
    "Scheme",
    "Slot",
    "Spec",
    "apply_recipe",
    "assert_init",
    "audit",
    "describe",
    "draw",
    "draw_spec",
    "fit",
    "get_recipe",
    "grid_for",
    "identify",
    "measure",
    "measure_default",
    "schemes",
    "snippet",
]
