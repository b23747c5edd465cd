"""Means, intervals and differences: against plain loops over the formulas, against scipy, and by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import Difference, Estimate, difference, estimate

FEW = settings(max_examples=200, deadline=None)
METRICS = st.floats(0.001, 1.0).map(lambda value: round(value, 6))
ANY = st.one_of(METRICS, st.floats(-1e9, 1e9), st.sampled_from([math.nan, math.inf, -math.inf]))
ARMS = st.dictionaries(st.integers(1, 9), METRICS, max_size=9)


def looped_estimate(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, standard deviation (ddof 1) and standard error, one value after the other."""
    total = 0.0
    for value in values:
        total += value
    mean = total / len(values)
    squares = 0.0
    for value in values:
        squares += (value - mean) ** 2
    std = math.sqrt(squares / (len(values) - 1))
    return mean, std, std / math.sqrt(len(values))


def looped_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's formula."""
    means = sum(first) / len(first), sum(second) / len(second)
    above = sum((x - means[0]) * (y - means[1]) for x, y in zip(first, second, strict=True))
    below = sum((x - means[0]) ** 2 for x in first) * sum((y - means[1]) ** 2 for y in second)
    return above / math.sqrt(below)


def near(value: float) -> Any:
    """The same but for rounding, of numbers of the size of metrics."""
    return pytest.approx(value, rel=1e-7, abs=1e-9)


class TestEstimate:
    @FEW
    @given(values=st.lists(ANY, max_size=9))
    def test_is_what_a_loop_and_scipy_find(self, values: list[float]) -> None:
        """Values that are no numbers are left out; one value has no deviation and no interval."""
        finite = [value for value in values if math.isfinite(value)]
        found = estimate(values)

        if not finite:
            assert found is None
            return
        assert found is not None
        assert len(finite) == found.n
        if len(finite) == 1:
            assert Estimate(finite[0], None, 1, None, None) == found
            return
        assert found.std is not None
        assert found.low is not None
        assert found.high is not None
        size = max(1.0, *(abs(value) for value in finite))
        mean, std, error = looped_estimate([value / size for value in finite])
        assert near(mean) == found.mean / size
        assert near(std) == found.std / size
        low, high = stats.t.interval(0.95, len(finite) - 1, mean, error) if error > 1e-12 else (mean, mean)
        assert near(low) == found.low / size
        assert near(high) == found.high / size

    def test_by_hand(self) -> None:
        """1, 2, 3: mean 2, deviation 1, and 4.303 standard errors to each side (t for two degrees of freedom)."""
        found = estimate([1.0, 2.0, 3.0])

        assert found is not None
        assert (2.0, 1.0, 3) == (found.mean, found.std, found.n)
        assert (pytest.approx(2 - 4.30265 / 3**0.5, abs=1e-5), pytest.approx(4.48414, abs=1e-5)) == (
            found.low,
            found.high,
        )

    @pytest.mark.parametrize("value", [0.1, 0.0, 1e-300, 1e300, -7.3])
    def test_equal_values_have_no_spread_at_all(self, value: float) -> None:
        """Three times 0.1 is 0.1 exactly, whatever its size: rounding makes no interval."""
        assert Estimate(value, 0.0, 3, value, value) == estimate([value] * 3)

    @pytest.mark.parametrize("size", [1e-200, 1e-20, 1.0, 1e150, 1e300])
    def test_huge_and_tiny_values_keep_their_digits(self, size: float) -> None:
        """No square overflows or vanishes on the way."""
        found = estimate([size, 2 * size, 3 * size])

        assert found is not None
        assert found.std is not None
        assert found.high is not None
        assert (pytest.approx(2.0), pytest.approx(1.0)) == (found.mean / size, found.std / size)
        assert pytest.approx(2 + 4.302652729911275 / 3**0.5) == found.high / size


class TestPaired:
    @FEW
    @given(values=ARMS, baseline=ARMS)
    def test_is_what_a_loop_and_scipy_find(self, values: dict[int, float], baseline: dict[int, float]) -> None:
        """The t interval of the differences over the seeds that both have."""
        common = sorted(set(values) & set(baseline))
        found = difference(values, baseline, method="paired")

        if not common:
            assert found is None
            return
        assert found is not None
        ours, theirs = [values[seed] for seed in common], [baseline[seed] for seed in common]
        gaps = [x - y for x, y in zip(ours, theirs, strict=True)]
        assert ("paired", len(common), near(sum(gaps) / len(gaps))) == (found.method, found.n, found.mean)
        if len(common) == 1:
            assert (None, None) == (found.low, found.high)
            return
        _, std, error = looped_estimate(gaps)
        if std < 1e-6:
            return  # scipy warns of nearly equal values; exact ones have tests of their own
        quantile = stats.t.ppf(0.975, len(gaps) - 1)
        interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
        assert (near(found.mean - quantile * error), near(found.mean + quantile * error)) == (found.low, found.high)
        assert (near(interval.low), near(interval.high)) == (found.low, found.high)

    def test_by_hand(self) -> None:
        """Differences -1, -2, -3: -2, and 4.303 / sqrt(3) to each side; seeds of one side alone do not count."""
        found = difference({1: 4, 2: 4, 3: 4, 9: 0}, {1: 5, 2: 6, 3: 7, 8: 0}, method="paired")

        assert found is not None
        assert (-2.0, 3, None) == (found.mean, found.n, found.correlation)
        assert (pytest.approx(-4.48414, abs=1e-5), pytest.approx(0.48414, abs=1e-5)) == (found.low, found.high)
        assert "tied" == found.verdict(minimize=True)

    def test_pairing_takes_out_what_a_seed_adds_to_both(self) -> None:
        """A lead that is the same at every seed is certain for pairs, and lost in the seeds' spread for Welch."""
        values, baseline = {1: 0.05, 2: 0.15, 3: 0.25}, {1: 0.07, 2: 0.171, 3: 0.269}
        paired, welch = (difference(values, baseline, method=method) for method in ("paired", "welch"))

        assert paired is not None
        assert welch is not None
        assert ("better", "tied") == (paired.verdict(minimize=True), welch.verdict(minimize=True))
        assert pytest.approx(paired.mean) == welch.mean


class TestWelch:
    @pytest.mark.filterwarnings("ignore:Precision loss occurred")
    @FEW
    @given(values=ARMS, baseline=ARMS)
    def test_is_what_a_loop_and_scipy_find(self, values: dict[int, float], baseline: dict[int, float]) -> None:
        """All seeds of both sides, variances and degrees of freedom of their own."""
        found = difference(values, baseline, method="welch")

        if not values or not baseline:
            assert found is None
            return
        assert found is not None
        ours, theirs = list(values.values()), list(baseline.values())
        expected = sum(ours) / len(ours) - sum(theirs) / len(theirs)
        assert ("welch", min(len(ours), len(theirs)), near(expected)) == (found.method, found.n, found.mean)
        if found.n == 1:
            assert (None, None) == (found.low, found.high)
            return
        (_, _, first), (_, _, second) = looped_estimate(ours), looped_estimate(theirs)
        if max(first, second) < 1e-6:
            return
        freedom = (first**2 + second**2) ** 2 / (first**4 / (len(ours) - 1) + second**4 / (len(theirs) - 1))
        half = stats.t.ppf(0.975, freedom) * math.sqrt(first**2 + second**2)
        interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
        assert (near(expected - half), near(expected + half)) == (found.low, found.high)
        assert (near(interval.low), near(interval.high)) == (found.low, found.high)

    def test_by_hand(self) -> None:
        """Deviations 1 and 1 of three each: error sqrt(2/3), four degrees of freedom, t = 2.776."""
        found = difference({1: 1, 2: 2, 3: 3}, {4: 11, 5: 12, 6: 13}, method="welch")

        assert found is not None
        assert (-10.0, 3, None) == (found.mean, found.n, found.correlation)
        half = 2.776445 * (2 / 3) ** 0.5
        assert (pytest.approx(-10 - half, abs=1e-5), pytest.approx(-10 + half, abs=1e-5)) == (found.low, found.high)

    def test_one_side_may_stand_still(self) -> None:
        """Then the other's spread and freedom are all there is."""
        found = difference({1: 1, 2: 2, 3: 3}, {1: 5, 2: 5}, method="welch")
        alone = estimate([1.0, 2.0, 3.0])

        assert found is not None
        assert alone is not None
        assert alone.low is not None
        assert (2, pytest.approx(alone.low - 5)) == (found.n, found.low)


@pytest.mark.parametrize("method", ["paired", "welch"])
class TestBoth:
    @pytest.mark.parametrize(
        ("values", "baseline"), [({}, {}), ({1: 0.1}, {}), ({}, {1: 0.1}), ({1: math.nan}, {1: 0.1})]
    )
    def test_nothing_to_compare(self, method: str, values: dict[int, float], baseline: dict[int, float]) -> None:
        """An empty side is no difference of 0."""
        assert difference(values, baseline, method=method) is None

    def test_one_seed_has_no_interval_and_no_verdict(self, method: str) -> None:
        """A single pair says nothing of chance."""
        found = difference({1: 0.1}, {1: 0.3}, method=method)

        assert found is not None
        assert (pytest.approx(-0.2), None, None, 1) == (found.mean, found.low, found.high, found.n)
        assert "unknown" == found.verdict(minimize=True)

    def test_equal_arms_are_tied(self, method: str) -> None:
        """Differences of exactly 0 are an interval of width 0 that holds 0."""
        values = dict.fromkeys((1, 2, 3), 0.1)

        assert Difference(0.0, 0.0, 0.0, 3, method, None, 3) == difference(values, values, method=method)
        assert "tied" == Difference(0.0, 0.0, 0.0, 3, method, None, 3).verdict(minimize=True)

    def test_the_same_difference_at_every_seed_is_certain(self, method: str) -> None:
        """No spread: the interval is the difference itself."""
        found = difference(dict.fromkeys((1, 2), 0.25), dict.fromkeys((1, 2), 0.5), method=method)

        assert Difference(-0.25, -0.25, -0.25, 2, method, None, 2) == found

    def test_values_that_are_no_numbers_are_left_out(self, method: str) -> None:
        """A NaN is not the seed's value: the seed is missing."""
        values: Mapping[int, float] = {1: 0.1, 2: math.nan, 3: 0.2}
        found = difference(values, {1: 0.3, 2: 0.3, 3: math.inf, 4: 0.5}, method=method)

        assert found is not None
        assert {"paired": 1, "welch": 2}[method] == found.n

    @pytest.mark.parametrize("size", [1e-250, 1e-100, 1e100, 1e250])
    def test_huge_and_tiny_values_keep_their_digits(self, method: str, size: float) -> None:
        """The interval grows with the values, and nothing else changes."""
        ours, theirs = {1: 1.0, 2: 2.0, 3: 4.0}, {1: 3.0, 2: 3.5, 3: 7.0}
        usual = difference(ours, theirs, method=method)
        scaled = difference(
            {s: v * size for s, v in ours.items()}, {s: v * size for s, v in theirs.items()}, method=method
        )

        assert usual is not None
        assert scaled is not None
        for one, other in ((usual.mean, scaled.mean), (usual.low, scaled.low), (usual.high, scaled.high)):
            assert one is not None
            assert other is not None
            assert pytest.approx(one) == other / size
        assert usual.correlation is not None
        assert pytest.approx(usual.correlation) == scaled.correlation

    @FEW
    @given(values=ARMS, baseline=ARMS)
    def test_correlation_is_pearsons_over_the_common_seeds(
        self, method: str, values: dict[int, float], baseline: dict[int, float]
    ) -> None:
        """From three pairs on; None where one side does not vary."""
        found = difference(values, baseline, method=method)
        common = sorted(set(values) & set(baseline))
        ours, theirs = [values[seed] for seed in common], [baseline[seed] for seed in common]

        if found is None:
            return
        if len(common) < 3 or len(set(ours)) == 1 or len(set(theirs)) == 1:
            assert found.correlation is None
            return
        assert found.correlation is not None
        assert -1 <= found.correlation <= 1
        if min(stats.tstd(ours), stats.tstd(theirs)) > 1e-4:
            assert near(looped_correlation(ours, theirs)) == found.correlation
            assert near(stats.pearsonr(ours, theirs).statistic) == found.correlation


@pytest.mark.parametrize(
    ("expected", "low", "high", "minimize"),
    [
        ("better", -3, -1, True),
        ("worse", -3, -1, False),
        ("worse", 1, 3, True),
        ("better", 1, 3, False),
        ("tied", -1, 3, True),
        ("tied", 0, 3, True),
        ("tied", -3, 0, True),
        ("unknown", None, None, True),
    ],
)
def test_verdict_is_what_the_interval_supports(
    expected: str, low: float | None, high: float | None, minimize: bool
) -> None:
    """An interval that holds 0, its ends included, supports nothing."""
    mean = -2.0 if low is None or high is None else (low + high) / 2

    assert expected == Difference(mean, low, high, 3, "paired", None, 3).verdict(minimize=minimize)
