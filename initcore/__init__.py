"""initcore: see and check how neural-network weights are initialised.

>>> import initcore
>>> layer = initcore.Layer("linear", (5, 5))
>>> drawn = initcore.draw(layer, "xavier_uniform", seed=0)
>>> report = initcore.describe(drawn.spec)
>>> report.weight.fit.agrees
True

``schemes`` lists every way to fill a tensor, ``draw`` fills one, ``measure`` measures any tensor,
``fit`` compares a measurement with a law, ``describe`` does all of it for a layer, ``identify``
names the schemes that a tensor may come from. ``places`` says what each tensor of a model is, a
recipe what it should hold; ``apply_recipe`` draws that. ``audit`` judges every tensor of a model or
of a checkpoint, and ``assert_init`` does so in a test. ``propagate`` sends a signal and a gradient
through a deep ``Network``, ``measure_spectra`` finds singular values, and ``race`` trains one
network from several initialisations.
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
from initcore.models import MODELS, build_model
from initcore.network import Network, NetworkLimits
from initcore.propagation import Propagation, propagate
from initcore.recipes import RECIPES, Recipe, apply_recipe, get_recipe
from initcore.report import Report, describe
from initcore.roles import Dims, Place, infer_dims, places
from initcore.schemes import Init, Scheme, Slot, schemes
from initcore.snippet import snippet
from initcore.spectrum import Spectra, SpectrumSpec, measure_spectra, singular_values
from initcore.training import Entrant, Race, RaceSpec, Sweep, race, sweep

__all__ = [
    "DEFAULTS",
    "LAYERS",
    "MODELS",
    "RECIPES",
    "Audit",
    "Dims",
    "Draw",
    "Entrant",
    "Finding",
    "Fit",
    "Heat",
    "Identification",
    "Init",
    "InitError",
    "Layer",
    "Limits",
    "Measurement",
    "Network",
    "NetworkLimits",
    "Place",
    "Propagation",
    "Race",
    "RaceSpec",
    "Recipe",
    "Report",
    "Scheme",
    "Slot",
    "Spec",
    "Spectra",
    "SpectrumSpec",
    "Sweep",
    "apply_recipe",
    "assert_init",
    "audit",
    "build_model",
    "describe",
    "draw",
    "draw_spec",
    "fit",
    "get_recipe",
    "grid_for",
    "identify",
    "infer_dims",
    "measure",
    "measure_default",
    "measure_spectra",
    "places",
    "propagate",
    "race",
    "schemes",
    "singular_values",
    "snippet",
    "sweep",
]
