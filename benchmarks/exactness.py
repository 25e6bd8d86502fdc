"""How exact a measurement is, against float64 and a sort."""

import numpy as np
import torch

from benchmarks.table import Row
from initcore.fit import ks_bracket
from initcore.laws import Law, Normal, Uniform
from initcore.measure import CRITICAL_5, grid_for, measure

LAWS: tuple[Law, ...] = (
    Uniform(-0.03, 0.03),
    Uniform(0.0, 1.0),
    Normal(0.0, 0.02),
    Normal(1.0, 0.01),
    Normal(-3.0, 5.0),
)


def _sample(law: Law, count: int, seed: int = 0) -> torch.Tensor:
    values, generator = torch.empty(count), torch.Generator().manual_seed(seed)
    if isinstance(law, Uniform):
        return values.uniform_(law.a, law.b, generator=generator)
    return values.normal_(law.mean, law.std, generator=generator)


def kurtosis_error(quick: bool) -> Row:
    count = 2**18 if quick else 2**24
    errors = {}
    for law in LAWS:
        values = _sample(law, count)
        deviation = values.double() - values.double().mean()
        exact = float((deviation**4).mean() / (deviation**2).mean() ** 2)
        measured = measure(values, grid_for(law, count, "float32"))
        errors[law.notation] = abs(measured.kurtosis - exact)
    worst = max(errors, key=lambda name: errors[name])
    name = f"kurtosis − kurtosis in float64, {count:,} values, worst of {len(LAWS)} laws"
    return Row(name, f"{errors[worst]:.1e}", worst, errors[worst], must=1e-6, aim=1e-8, unit="")


def _exact_distance(values: torch.Tensor, law: Law) -> float:
    cdf = law.cdf(np.sort(values.double().numpy()))
    steps = np.arange(len(cdf) + 1) / len(cdf)
    return float(max((steps[1:] - cdf).max(), (cdf - steps[:-1]).max()))


def ks_bracket_holds(quick: bool) -> Row:
    """Samples of every law against their own law, a shifted and a wider one."""
    counts = (1, 2, 100, 4096) if quick else (1, 2, 3, 10, 100, 1000, 4096, 2**16, 2**20)
    held = []
    for law in LAWS:
        for seed, count in enumerate(counts):
            values = _sample(law, count, seed)
            for other in (law, Normal(law.mean, 1.1 * law.std), Uniform(law.mean, law.mean + 1)):
                low, high = ks_bracket(measure(values, grid_for(other, count, "float32")), other)
                held.append(low <= _exact_distance(values, other) <= high)
    name = "KS bracket holds the exact distance, share of cases"
    share = sum(held) / len(held)
    cases = f"{sum(held)} of {len(held)}"
    return Row(name, cases, "sorted, float64", share, 1.0, unit="", more_is_better=True)


def ks_bracket_gap(quick: bool) -> Row:
    side = 1024 if quick else 4096
    law, count = Uniform(-0.03, 0.03), side**2
    low, high = ks_bracket(measure(_sample(law, count), grid_for(law, count, "float32")), law)
    critical = CRITICAL_5 / np.sqrt(count)
    name = f"KS bracket's gap ÷ 5 % critical value, uniform, {side}²"
    share = 100 * (high - low) / critical
    return Row(name, f"{high - low:.1e}", f"{critical:.1e}", share, must=10, aim=2, unit="%")


ROWS = (kurtosis_error, ks_bracket_holds, ks_bracket_gap)
