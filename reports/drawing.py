"""How charts are drawn: the theme they share, and Vega-Lite to SVG, so that the page needs no script and no network.

Text, axes and grid are drawn in `currentColor`: the page's text colour, light or dark. Marks use the colours of Okabe
and Ito, which colour-blind eyes tell apart and which stand out on both. Every mark says what it is in its label, which
the page's script shows on hover.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl
import vl_convert

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8c8c8c",
)
BEST_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
# The release of Vega-Lite that Altair writes, in the words of vl-convert: "6.4".
VEGALITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
BASELINE_DASH = [6, 3]
WIDE, HALF, NARROW, SMALL = 1050, 500, 340, 330

_TEXT = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "titleFontSize": 12}
THEME: Mapping[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        **_TEXT,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridColor": "currentColor",
        "gridOpacity": 0.12,
        "domainColor": "currentColor",
        "domainOpacity": 0.4,
        "tickColor": "currentColor",
        "tickOpacity": 0.4,
    },
    "legend": {
        **_TEXT,
        "titleFontWeight": "normal",
        "symbolStrokeWidth": 2.5,
        "orient": "top",
        "labelLimit": 260,
        "columnPadding": 16,
    },
    "text": {"color": "currentColor", "fontSize": 12},
}


def drawn(layers: Sequence[alt.Chart], *, width: int, height: int, key: str) -> str:
    """The layers as an SVG element of exactly this size, with ids of its own (those of one page must differ)."""
    spec = alt.layer(*layers).properties(width=width, height=height).to_dict()
    spec["autosize"] = {"type": "fit", "contains": "padding"}
    # A browser's letters may be wider than those measured here: the axis labels on the left get some room.
    spec["padding"] = {"left": 14, "right": 6, "top": 6, "bottom": 4}
    spec["config"] = dict(THEME)
    svg: str = vl_convert.vegalite_to_svg(spec, vl_version=VEGALITE)
    return own_ids(svg, f"{key}-{width}")


def own_ids(svg: str, prefix: str) -> str:
    """The SVG with `prefix` before every id and every reference to one."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    return svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")


def base(rows: pl.DataFrame | Sequence[Mapping[str, Any]]) -> alt.Chart:
    """A chart of these rows, which travel in the specification."""
    values = rows.to_dicts() if isinstance(rows, pl.DataFrame) else [dict(row) for row in rows]
    return alt.Chart(alt.Data(values=values))  # type: ignore[no-untyped-call]


def log_ticks(low: float, high: float) -> list[float]:
    """Where a logarithmic axis is labelled: round numbers, fewer for a wide range; its ends if none lies within.

    >>> log_ticks(3e-4, 5e-3)
    [0.0005, 0.001, 0.002, 0.005]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{step}e{power}") for power in powers for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= 6:
            break
    return ticks if len(ticks) >= 2 else [low, high]


def whole_ticks(low: int, high: int, count: int) -> list[int]:
    """At most about `count` round whole numbers for an axis of whole numbers, which no tick may halve.

    >>> whole_ticks(0, 2, 6), whole_ticks(0, 500, 6)
    ([0, 1, 2], [0, 100, 200, 300, 400, 500])
    """
    steps = (factor * 10**power for power in range(12) for factor in (1, 2, 5))
    step = next(step for step in steps if (high - low) / step <= count)
    return list(range(math.ceil(low / step) * step, high + 1, step))


def thinned(rows: pl.DataFrame, limit: int) -> pl.DataFrame:
    """An even sample of the rows, at most `limit`: thousands of marks hide each other and make the page heavy."""
    return rows.gather_every(max(1, -(-rows.height // limit)))
