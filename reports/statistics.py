"""Means over seeds and differences between configs, with 95 % intervals by Student's t.

A standard deviation is that of a sample (ddof 1). Sums are exact (the standard library's `statistics` adds fractions),
so that equal values have no spread, however large or small they are.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The quantile of `scipy.stats.t`, without the second that importing scipy.stats takes.
from scipy.special import stdtrit

CONFIDENCE = 0.95
PAIRED, WELCH = "paired", "welch"


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds; `std` and the interval of the mean, `low` to `high`, are None for one seed."""

    mean: float
    std: float | None
    n: int
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Difference:
    """A config's mean minus the baseline's, with its interval; `low` and `high` are None where it has none.

    `n` is the number of pairs (paired) or the smaller number of seeds (welch). `correlation` is Pearson's over the
    `pairs` common seeds; None below three of them (two always lie on a line) and where one side does not vary.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    method: str
    correlation: float | None
    pairs: int

    def verdict(self, *, minimize: bool) -> str:
        """What the interval supports: "better", "worse", "tied" (it holds 0) or "unknown" (there is none)."""
        if self.low is None or self.high is None:
            return "unknown"
        if self.low <= 0 <= self.high:
            return "tied"
        return "better" if (self.mean < 0) == minimize else "worse"

    def rests_on(self, first: Estimate, second: Estimate) -> bool:
        """Whether it is the difference of these two means, its sides': the paired one leaves out what has no pair."""
        return self.method == WELCH or self.pairs == first.n == second.n


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of the finite values; None if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    mean, n = statistics.mean(finite), len(finite)
    if n < 2:
        return Estimate(mean, None, n, None, None)
    std = statistics.stdev(finite)
    half = half_width(std / math.sqrt(n), n - 1)
    return Estimate(mean, std, n, mean - half, mean + half)


def difference(values: Mapping[int, float], baseline: Mapping[int, float], *, method: str) -> Difference | None:
    """A config's values by seed against the baseline's; None if there is nothing to compare.

    "paired": the t interval of the differences seed by seed, over the common seeds. "welch": that of two samples with
    variances of their own (Welch 1947), over all seeds of both.
    """
    assert method in (PAIRED, WELCH), method
    ours, theirs = finite_values(values), finite_values(baseline)
    common = sorted(ours.keys() & theirs.keys())
    correlation = correlated([ours[seed] for seed in common], [theirs[seed] for seed in common])
    if method == WELCH:
        return welch(list(ours.values()), list(theirs.values()), correlation, pairs=len(common))
    found = estimate([ours[seed] - theirs[seed] for seed in common])
    if found is None:
        return None
    return Difference(found.mean, found.low, found.high, found.n, method, correlation, len(common))


def welch(
    ours: Sequence[float], theirs: Sequence[float], correlation: float | None, *, pairs: int
) -> Difference | None:
    """The difference of two means, with the degrees of freedom of Welch and Satterthwaite."""
    first, second = estimate(ours), estimate(theirs)
    if first is None or second is None:
        return None
    mean, n = first.mean - second.mean, min(first.n, second.n)
    if first.std is None or second.std is None:
        return Difference(mean, None, None, n, WELCH, correlation, pairs)
    errors = (first.std / math.sqrt(first.n), second.std / math.sqrt(second.n))
    error = math.hypot(*errors)
    if error == 0:
        return Difference(mean, mean, mean, n, WELCH, correlation, pairs)
    # Shares of the variance, not variances: their squares would vanish for small values.
    shares = [(one / error) ** 2 for one in errors]
    freedom = 1 / (shares[0] ** 2 / (first.n - 1) + shares[1] ** 2 / (second.n - 1))
    half = half_width(error, freedom)
    return Difference(mean, mean - half, mean + half, n, WELCH, correlation, pairs)


def half_width(error: float, freedom: float) -> float:
    """Half the interval's width: the standard error times the quantile of Student's t."""
    return error * float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def correlated(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation of pairs; None below three pairs and where one side does not vary."""
    if len(first) < 3:
        return None
    means = statistics.mean(first), statistics.mean(second)
    stds = statistics.stdev(first), statistics.stdev(second)
    if 0 in stds:
        return None
    products = [((x - means[0]) / stds[0]) * ((y - means[1]) / stds[1]) for x, y in zip(first, second, strict=True)]
    return max(-1.0, min(1.0, math.fsum(products) / (len(products) - 1)))


def relative_improvement(value: float, baseline: float, *, minimize: bool) -> float | None:
    """By how many percent a mean is better than the baseline's, as the papers compute it; None over a baseline of 0."""
    if baseline == 0:
        return None
    return 100 * (baseline - value if minimize else value - baseline) / baseline


def finite_values(values: Mapping[int, float]) -> dict[int, float]:
    """The seeds whose value is a number."""
    return {seed: value for seed, value in values.items() if math.isfinite(value)}
