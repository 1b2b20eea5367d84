"""A small plotting surface: scales, ticks, axes and marks as inline SVG, coloured by the page's style sheet.

Charts are drawn 400 units wide, so that their text is readable at the width of a phone and does not tower at a desk.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outfold.report.html import Child, Html, tag
from outfold.report.numbers import MINUS

UNIT_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
WIDTH, HEIGHT = 400, 272
LEFT, RIGHT, TOP, BOTTOM = 48, 22, 30, 42
"""Margins around the plotting area, in units of the drawing."""


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from data to the drawing.

    Attributes:
        low: the data value at `start`.
        high: the data value at `stop`.
        start: coordinate in the drawing.
        stop: coordinate in the drawing; smaller than `start` for a vertical axis.
        ticks: data values that get a tick; nice round ones when not given.
        log: whether equal factors are equally far apart; all values are positive then.
    """

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[float, ...] | None = None
    log: bool = False

    def __call__(self, values: np.ndarray | Sequence[float] | float) -> np.ndarray:
        """Coordinates of data values."""
        data = np.array([self.low, self.high, *np.atleast_1d(values)], dtype=np.float64)
        low, high, *_ = data = np.log(data) if self.log else data
        share = (data[2:].reshape(np.shape(values)) - low) / (high - low)
        return self.start + share * (self.stop - self.start)

    def labels(self) -> list[tuple[float, str]]:
        """Ticks with their texts."""
        nice = log_ticks if self.log else nice_ticks
        ticks = nice(self.low, self.high) if self.ticks is None else list(self.ticks)
        return list(zip(ticks, tick_texts(ticks), strict=True))


@dataclass(frozen=True)
class Plot:
    """Two scales and the marks that can be drawn on them."""

    x: Scale
    y: Scale
    width: float = WIDTH
    height: float = HEIGHT

    def line(self, x: np.ndarray, y: np.ndarray, class_: str, title: str | None = None) -> Html:
        """A polyline; it is interrupted where a value is not finite."""
        return tag("path", title and tag("title", title), d=path_of(self.x(x), self.y(y)), class_=f"line {class_}")

    def dots(self, x: np.ndarray, y: np.ndarray, class_: str) -> Html:
        """Round dots in one path: zero-length strokes with round caps."""
        places = zip(self.x(x), self.y(y), strict=True)
        d = "".join(f"M{short(a)} {short(b)}h0" for a, b in places if math.isfinite(a) and math.isfinite(b))
        return tag("path", d=d, class_=f"dots {class_}")

    def bars(self, edges: np.ndarray, heights: np.ndarray, class_: str) -> Html:
        """A histogram's outline and area: edges (n + 1,), heights (n,)."""
        x = self.x(np.repeat(edges, 2))
        y = self.y(np.concatenate([[0.0], np.repeat(heights, 2), [0.0]]))
        return tag("path", d=path_of(x, y) + "z", class_=f"bars {class_}")

    def cells(self, x_edges: np.ndarray, y_edges: np.ndarray, counts: np.ndarray, levels: int = 6) -> Html:
        """A two-dimensional histogram, counts (len(x_edges) - 1, len(y_edges) - 1), one path a shade.

        The shade grows with the logarithm of the count.
        """
        shade = np.ceil(levels * np.log1p(counts) / max(np.log1p(counts.max()), 1e-9)).astype(int)
        x, y = self.x(x_edges), self.y(y_edges)
        size = f"h{short(x[1] - x[0])}v{short(y[1] - y[0])}h{short(x[0] - x[1])}z"
        paths = []
        for level in range(1, levels + 1):
            d = "".join(f"M{short(x[i])} {short(y[j])}{size}" for i, j in np.argwhere(shade == level))
            paths.append(tag("path", d=d, class_="cell", fill_opacity=round(level / levels, 2)) if d else None)
        return tag("g", paths)

    def vertical(self, x: float, class_: str = "rule") -> Html:
        """A line from the bottom to the top."""
        place = short(self.x(x))
        return tag("path", d=f"M{place} {short(self.y.start)}V{short(self.y.stop)}", class_=class_)

    def label(self, x: float, y: float, content: str, class_: str = "", anchor: str = "start") -> Html:
        """Text at a place of the drawing (not of the data)."""
        return tag("text", content, x=short(x), y=short(y), class_=class_ or None, text_anchor=anchor)

    def axes(self, x_label: str, y_label: str) -> Html:
        """Grid, ticks and names of both axes; the vertical one is named above its top, where it reads upright."""
        marks: list[Child] = []
        for value, written in self.y.labels():
            place = float(self.y(value))
            marks.append(tag("path", d=f"M{short(self.x.start)} {short(place)}H{short(self.x.stop)}", class_="grid"))
            marks.append(self.label(self.x.start - 7, place + 4, written, "tick", "end"))
        for value, written in self.x.labels():
            marks.append(self.label(float(self.x(value)), self.y.start + 17, written, "tick", "middle"))
        base = f"M{short(self.x.start)} {short(self.y.start)}H{short(self.x.stop)}"
        marks.append(tag("path", d=base, class_="axis"))
        middle = (self.x.start + self.x.stop) / 2
        marks.append(self.label(middle, self.height - 6, x_label, "name", "middle"))
        marks.append(self.label(2, 13, y_label, "name"))
        return tag("g", marks)

    def drawing(self, description: str, *marks: Child) -> Html:
        """The finished SVG; `description` is what a screen reader says."""
        return drawing(self.width, self.height, description, *marks)


def plot(
    x: tuple[float, float],
    y: tuple[float, float],
    *,
    x_ticks: Sequence[float] | None = None,
    y_ticks: Sequence[float] | None = None,
    height: float = HEIGHT,
    log_x: bool = False,
) -> Plot:
    """A plot over these ranges of data, in the common size."""
    return Plot(
        Scale(*widened(*x), LEFT, WIDTH - RIGHT, None if x_ticks is None else tuple(x_ticks), log_x),
        Scale(*widened(*y), height - BOTTOM, TOP, None if y_ticks is None else tuple(y_ticks)),
        height=height,
    )


def drawing(width: float, height: float, description: str, *marks: Child) -> Html:
    """An SVG element that fills the width it is given."""
    return tag("svg", marks, viewBox=f"0 0 {short(width)} {short(height)}", role="img", aria_label=description)


def figure(title: str, drawn: Child, *notes: Child) -> Html:
    """A chart with its title above and its legend or notes below."""
    return tag("figure", tag("h3", title), drawn, tag("figcaption", notes) if any(notes) else None)


def key(*entries: tuple[str, str]) -> Html:
    """A legend: (class of the mark, its meaning)."""
    return tag("p", [tag("span", tag("i", class_=class_), meaning) for class_, meaning in entries], class_="key")


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` round values (1, 2, 2.5 or 5 times a power of ten apart) inside [low, high]."""
    raw = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten inside [low, high]; the powers alone over more than three of them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 1000 else (1,)
    return [tick for power in powers for factor in factors if low <= (tick := factor * 10.0**power) <= high]


def integer_ticks(low: int, high: int, most: int = 7) -> list[float]:
    """Whole numbers from `low`, evenly spaced, at most `most`."""
    step = max(1, -(-(high - low) // (most - 1)))
    step = next((nice for nice in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500) if nice >= step), step)
    return [low, *(float(value) for value in range(low - low % step + step, high + 1, step))]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Ticks with the same number of decimals, as few as tell them apart."""
    if any(abs(tick) >= 1e6 or 0 < abs(tick) < 1e-4 for tick in ticks):
        return [f"{tick:.3g}".replace("-", MINUS) for tick in ticks]
    decimals = next(d for d in range(13) if all(abs(round(tick, d) - tick) < 1e-9 for tick in ticks) or d == 12)
    return [f"{tick:,.{decimals}f}".replace("-", MINUS) for tick in ticks]


def padded(values: np.ndarray, share: float = 0.06) -> tuple[float, float]:
    """The range of the finite values with some air; (0, 1) without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return low - share * (high - low), high + share * (high - low)


def widened(low: float, high: float) -> tuple[float, float]:
    """A range that is not empty: around a single value, half a unit of its size to each side."""
    if high > low:
        return low, high
    half = abs(low) / 2 or 0.5
    return low - half, low + half


def path_of(x: np.ndarray, y: np.ndarray) -> str:
    """The SVG path through points (n,), (n,); a point that is not finite lifts the pen."""
    pieces, down = [], False
    for a, b in zip(x, y, strict=True):
        finite = math.isfinite(a) and math.isfinite(b)
        if finite:
            pieces.append(f"{'L' if down else 'M'}{short(a)} {short(b)}")
        down = finite
    return "".join(pieces)


def short(value: float | np.ndarray) -> str:
    """A coordinate with one decimal, and none where it is zero."""
    written = f"{float(value):.1f}"
    return written.removesuffix(".0")
