"""The detection error trade-off: misses over false alarms, both on a normal-deviate scale.

Martin, Doddington, Kamm, Ordowski and Przybocki, "The DET curve in assessment of detection task performance",
Eurospeech 1997: scores that are normally distributed in both classes give a straight line.

Letters: N trials, P operating points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from reports.bootstrap import WeightedErrors
from reports.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, base, drawn
from reports.words import number

TICKS = (1e-6, 1e-5, 1e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
COARSE = (1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95)
MOST_LABELLED = 9
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
STEP = 0.01  # of the axes' scale: what lies closer together is one point of the picture

Reach = tuple[float, float]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The error rates at every threshold, from accepting nothing to accepting all; `eer` as it was computed."""

    name: str
    misses_P: Floats
    false_alarms_P: Floats
    thresholds_P: Floats  # what is at least this is accepted; the first accepts nothing
    eer: float

    @property
    def at_eer(self) -> int:
        """The first operating point at which no more targets are rejected than impostors accepted."""
        return int(np.argmax(self.misses_P <= self.false_alarms_P))

    def cheapest(self, target_prior: float) -> int:
        """The operating point of minDCF."""
        return int(np.argmin(target_prior * self.misses_P + (1 - target_prior) * self.false_alarms_P))


def det_curve(name: str, *, scores_N: npt.NDArray[np.floating], labels_N: npt.NDArray[np.bool_], eer: float) -> Curve:
    """The curve of trials of both sorts."""
    errors = WeightedErrors(scores_N, labels_N)
    hits_RP, alarms_RP = errors.accepted(np.ones((1, len(labels_N)), dtype=np.int64))
    hits_P, alarms_P = hits_RP[0], alarms_RP[0]
    distinct = np.unique(scores_N)[::-1].astype(np.float64)
    return Curve(
        name=name,
        misses_P=(hits_P[-1] - hits_P) / hits_P[-1],
        false_alarms_P=alarms_P / alarms_P[-1],
        thresholds_P=np.concatenate([[np.inf], distinct]),
        eer=eer,
    )


def det_chart(curves: Sequence[Curve], *, target_prior: float, size: int) -> str:
    """The curves as one SVG element; a dot is the EER, a diamond minDCF, where they lie in the picture."""
    assert len(curves) <= len(COLOURS)
    across, up = _reaches(curves, target_prior)
    x, y = _axis("false alarms", "x", across), _axis("misses", "y", up)
    names = [curve.name for curve in curves]
    scale = alt.Scale(domain=names, range=list(COLOURS[: len(names)]))
    legend = alt.Legend(title=None) if len(names) > 1 else None
    colour = alt.Color("name:N", scale=scale, legend=legend)
    lines = [row for curve in curves for row in _line(curve, across, up)]
    eers, cheapest = [], []
    for curve in curves:
        eers += _mark(curve, curve.eer, curve.eer, f"{curve.name}: EER {number(100 * curve.eer, 2)} %", across, up)
        at = curve.cheapest(target_prior)
        misses, alarms = float(curve.misses_P[at]), float(curve.false_alarms_P[at])
        said = f"misses {number(100 * misses, 2)} %, false alarms {number(100 * alarms, 3)} %"
        cheapest += _mark(curve, alarms, misses, f"{curve.name}: minDCF at {said}", across, up)
    ends = [_place(bound, bound) for bound in (max(across[0], up[0]), min(across[1], up[1]))]
    layers = [
        base(ends).mark_line(color=GREY, strokeDash=[2, 4], strokeWidth=1).encode(x=x, y=y),
        base(lines).mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour, order="order:Q"),
        base(eers).mark_point(size=90, filled=True, opacity=1).encode(x=x, y=y, color=colour, description="label:N"),
        base(cheapest)
        .mark_point(size=110, shape="diamond", filled=True, opacity=1)
        .encode(x=x, y=y, color=colour, description="label:N"),
    ]
    return drawn(layers, width=size, height=size, key="det")


def outside(curves: Sequence[Curve], target_prior: float) -> list[str]:
    """The points that are not drawn, for they lie outside the picture: those of a rate of 0 or of nearly 1."""
    across, up = _reaches(curves, target_prior)
    found = []
    for curve in curves:
        at = curve.cheapest(target_prior)
        points = {"EER": (curve.eer, curve.eer), "minDCF": (curve.false_alarms_P[at], curve.misses_P[at])}
        found += [f"{what} of {curve.name}" for what, (x, y) in points.items() if not _is_inside(x, y, across, up)]
    return found


def _reaches(curves: Sequence[Curve], target_prior: float) -> tuple[Reach, Reach]:
    """The false alarms and the misses that the axes span: from the finest that is drawn to beyond EER and minDCF."""
    worst = [float(curve.misses_P[curve.cheapest(target_prior)]) for curve in curves]
    across, up = _highest(curves, ()), _highest(curves, worst)
    alarms = [curve.false_alarms_P[curve.misses_P <= up] for curve in curves]
    misses = [curve.misses_P[curve.false_alarms_P <= across] for curve in curves]
    return (_lowest(alarms), across), (_lowest(misses), up)


def _highest(curves: Sequence[Curve], shown: Sequence[float]) -> float:
    most = max(0.4, *(1.5 * curve.eer for curve in curves), *shown)
    return next((tick for tick in TICKS if tick >= most), TICKS[-1])


def _lowest(rates: Sequence[Floats]) -> float:
    finest = min((float(each[each > 0].min()) for each in rates if (each > 0).any()), default=1.0)
    return min(max((tick for tick in TICKS if tick <= finest), default=TICKS[0]), 0.1)


def _is_inside(false_alarms: float, misses: float, across: Reach, up: Reach) -> bool:
    return bool(across[0] <= false_alarms <= across[1] and up[0] <= misses <= up[1])


def _place(false_alarms: float, misses: float) -> dict[str, Any]:
    return {"x": float(ndtri(false_alarms)), "y": float(ndtri(misses))}


def _line(curve: Curve, across: Reach, up: Reach) -> list[dict[str, Any]]:
    """The curve's points inside the axes, thinned to what can be seen."""
    x_P, y_P = curve.false_alarms_P, curve.misses_P
    inside = np.flatnonzero((x_P >= across[0]) & (x_P <= across[1]) & (y_P >= up[0]) & (y_P <= up[1]))
    cells = np.round(ndtri(np.stack([y_P[inside], x_P[inside]])) / STEP)
    is_new_P = np.append(True, (np.diff(cells, axis=1) != 0).any(axis=0))[: len(inside)]
    kept = inside[is_new_P | np.append(is_new_P[1:], True)[: len(inside)]]  # the last point of a step is its corner
    return [{"name": curve.name, **_place(x_P[p], y_P[p]), "order": order} for order, p in enumerate(kept)]


def _mark(
    curve: Curve, false_alarms: float, misses: float, label: str, across: Reach, up: Reach
) -> list[dict[str, Any]]:
    """A point of the picture; none where it lies outside."""
    if not _is_inside(false_alarms, misses, across, up):
        return []
    return [{"name": curve.name, **_place(false_alarms, misses), "label": label}]


def _axis(title: str, field: str, reach: Reach) -> Any:
    """An axis whose places are normal deviates and whose labels are percent."""
    low, high = reach
    ticks = [tick for tick in TICKS if low <= tick <= high]
    if len(ticks) > MOST_LABELLED:
        ticks = [tick for tick in COARSE if low <= tick <= high]
    places = [float(ndtri(tick)) for tick in ticks]
    labels = [f"{100 * tick:g}" for tick in ticks]
    # The renderer hands a label's place back as the number it was given.
    words = f"{labels}[indexof({places}, datum.value)]"
    scale = alt.Scale(domain=[float(ndtri(low)), float(ndtri(high))], nice=False, zero=False, clamp=True)
    # Every tick has its label, also one that touches the next, and those at the ends.
    axis = alt.Axis(values=places, labelExpr=words, labelOverlap=False, labelFlush=False)
    channel = alt.X if field == "x" else alt.Y
    return channel(f"{field}:Q", title=f"{title} (%)", scale=scale, axis=axis)
