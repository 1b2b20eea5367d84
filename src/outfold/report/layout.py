"""The page's building blocks: sections, tables, notices."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from outfold.report.html import Child, Html, tag
from outfold.report.numbers import MISSING


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: its name in links.
        title: its heading, also in the navigation.
        intro: what it says and how to read it, beside the heading.
        body: charts, tables and notes.
    """

    anchor: str
    title: str
    intro: Child
    body: Sequence[Child]

    def html(self) -> Html:
        """The section as markup."""
        header = tag("header", tag("h2", self.title), tag("p", self.intro) if self.intro else None)
        return tag("section", header, tag("div", self.body), id=self.anchor)


@dataclass(frozen=True)
class Cell:
    """A table cell with a sorting value of its own, e.g. a number behind "3 min 02 s".

    Attributes:
        content: what is shown.
        sort: number that the column is sorted by; None sorts last.
    """

    content: Child
    sort: float | None


TALL = 24
"""Tables with more rows than this had better scroll on their own."""

Row: TypeAlias = "Sequence[Cell | Child]"


def table(
    columns: Sequence[str],
    rows: Iterable[Row],
    *,
    text: Sequence[str] = (),
    main: str | None = None,
    caption: str | None = None,
    sortable: bool = False,
    tall: bool = False,
) -> Html:
    """A table that scrolls sideways where it does not fit.

    Args:
        columns: their names.
        rows: cells by row; numbers come as finished text.
        text: columns that hold words: set left, wrapped.
        main: the column that matters most.
        caption: title above.
        sortable: a click on a column's name sorts.
        tall: it scrolls in a box of limited height, under its header.
    """
    kinds = ["text" if name in text else "main" if name == main else None for name in columns]
    head = tag("tr", [tag("th", name, scope="col", class_=kind) for name, kind in zip(columns, kinds, strict=True)])
    body = [tag("tr", [_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)]) for row in rows]
    whole = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", head),
        tag("tbody", body),
        data_sortable=sortable,
    )
    return scroll(whole, tall=tall)


def scroll(wide: Child, *, tall: bool = False) -> Html:
    """A box whose content scrolls sideways instead of widening the page; reachable by keyboard."""
    return tag("div", wide, class_="scroll tall" if tall else "scroll", tabindex="0")


def bar(share: float) -> Html:
    """A small bar that fills `share` of its length."""
    return tag("span", tag("i", style=f"--v:{min(max(share, 0), 1):.3f}"), class_="bar", aria_hidden="true")


def charts(*figures: Child) -> Html:
    """Figures side by side where there is room."""
    return tag("div", figures, class_="charts")


def tables(*parts: Child) -> Html:
    """Small tables side by side where there is room."""
    return tag("div", parts, class_="tables")


def notice(*paragraphs: Child, class_: str = "notice") -> Html:
    """Something the reader must not miss."""
    return tag("div", [part if isinstance(part, Html) else tag("p", part) for part in paragraphs], class_=class_)


def bullets(items: Iterable[Child]) -> Html:
    """A plain list."""
    return tag("ul", [tag("li", item) for item in items], class_="plain")


def score_cell(value: float, with_bar: bool = False) -> Cell:
    """A score between 0 and 1 with three decimals; NaN is a dash and sorts last."""
    if math.isnan(value):
        return Cell(MISSING, None)
    return Cell([bar(value) if with_bar else None, f"{value:.3f}"], value)


def _cell(cell: "Cell | Child", kind: str | None) -> Html:
    if not isinstance(cell, Cell):
        return tag("td", cell, class_=kind)
    return tag("td", cell.content, class_=kind, data_v="" if cell.sort is None else f"{cell.sort:.6g}")
