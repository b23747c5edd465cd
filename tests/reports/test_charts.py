"""The charts as drawn: real SVG, ids of their own, the marks that the data ask for."""

import re
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from reports.charts import best_so_far_chart, curves_chart, importance_chart, slice_chart
from reports.drawing import log_ticks, own_ids, thinned, whole_ticks
from reports.summaries import best_so_far, curves, summarise


def labels(svg: str, kind: str = "point") -> list[str]:
    """What the marks of a kind say of themselves."""
    return re.findall(rf'aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="{kind}"', svg) or re.findall(
        rf'aria-roledescription="{kind}" aria-label="([^"]*)"', svg
    )


def test_best_so_far_marks_every_complete_trial(handmade: ModuleType, tmp_path: Path) -> None:
    """A ring a complete trial with its value in percent; the axes have titles with units."""
    rows = [handmade.trial(None), handmade.trial(0, objective=0.05), handmade.trial(1, state="pruned")]
    ended = best_so_far(summarise(handmade.run_of(tmp_path, rows)).trials, minimize=True)
    svg = best_so_far_chart(ended, metric="eer", by_cost=True, baseline=0.1, width=500)

    assert ["paper: 10.00 % after 10 s", "#0: 5.00 % after 20 s"] == labels(svg)
    assert "dev EER (%)" in svg
    assert "time spent on trials (s)" in svg
    assert 'width="500" height="260"' in svg


def test_curves_end_in_what_became_of_the_trial(handmade: ModuleType, tmp_path: Path) -> None:
    """Stopped and failed ends say so; names from users are escaped."""
    rows = [
        handmade.trial(None),
        handmade.trial(0, objective=0.02),
        handmade.trial(1, state="pruned"),
        handmade.trial(2, state="failed", arm="<script>x</script>"),
    ]
    lines = curves(summarise(handmade.run_of(tmp_path, rows)), top=5, others=9)
    svg = curves_chart(lines, metric="eer", names=["#0"], baseline="paper", width=940)

    assert "#1: 12.00 % at epoch 2, pruned" in labels(svg)
    assert "<script" not in svg
    assert "dev EER (%), log" in svg
    assert {"#0", "paper"} == set(re.findall(r">(#0|paper|#1)</text>", svg))


def test_importance_shows_every_knob() -> None:
    """A labelled bar a knob."""
    svg = importance_chart({"learning_rate": 0.7, "beta_alpha": 0.3}, width=500)

    assert ["learning_rate: 70 %", "beta_alpha: 30 %"] == labels(svg, "bar")


@pytest.mark.parametrize(
    ("distribution", "values", "mark"),
    [
        (FloatDistribution(1e-4, 1e-2, log=True), [1e-3, 2e-3], 5e-3),
        (FloatDistribution(0.0, 1.0), [0.5, 1.5], 0.1),
        (IntDistribution(1, 4), [1, 3], 2),
        (CategoricalDistribution(("ap", "mix")), ["ap", "mix"], "old"),
        (CategoricalDistribution((False, True)), [True, False], True),
        (FloatDistribution(0.5, 0.5), [0.5, 0.5], None),
    ],
    ids=["log", "outside", "integer", "choice", "truth", "single"],
)
def test_slices_of_every_kind(distribution: BaseDistribution, values: list[object], mark: object) -> None:
    """A mark a trial and one for the baseline, on any kind of axis."""
    points = pl.DataFrame(
        {"name": ["#0", "#1"], "state": ["complete", "pruned"], "epochs": [2, 1], "value": [0.1, 0.4], "x": values}
    )
    baseline = None if mark is None else {"x": mark, "value": 0.12}
    svg = slice_chart(
        points, knob="k", metric="eer", distribution=distribution, baseline=baseline, reach=(0.09, 0.13), number=0
    )

    assert 2 + (mark is not None) == len(labels(svg))
    assert "NaN" not in svg


def test_ids_of_one_page_differ() -> None:
    """Two drawings never refer to each other's clip paths."""
    svg = '<svg><g clip-path="url(#clip0)"/><clipPath id="clip0"/></svg>'

    assert '<svg><g clip-path="url(#a-clip0)"/><clipPath id="a-clip0"/></svg>' == own_ids(svg, "a")


@pytest.mark.parametrize(("low", "high"), [(1e-4, 1e-2), (3e-4, 5e-3), (1e-9, 1e6), (4.2, 4.4), (1, 500)])
def test_log_ticks_are_few_and_within(low: float, high: float) -> None:
    """At least two labels, never outside of the axis."""
    ticks = log_ticks(low, high)

    assert len(ticks) >= 2
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(
    ("expected", "low", "high", "count"),
    [([0, 1, 2], 0, 2, 12), ([0], 0, 0, 6), ([0, 5, 10], 0, 12, 5), ([2, 4], 1, 5, 3)],
)
def test_whole_ticks_are_whole(expected: list[int], low: int, high: int, count: int) -> None:
    """An axis of epochs never shows half of one."""
    assert expected == whole_ticks(low, high, count)


def test_thousands_of_marks_are_thinned() -> None:
    """An even sample, never more than the limit; few rows stay as they are."""
    rows = pl.DataFrame({"x": range(1001)})

    assert 334 == thinned(rows, 400).height
    assert rows.head(400).equals(thinned(rows.head(400), 400))
