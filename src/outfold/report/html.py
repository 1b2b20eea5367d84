"""Markup that is safe by construction: text becomes markup only by being escaped.

A `str` is text and is escaped wherever it enters a tag; `Html` is markup, and only this module's functions make it.
Data therefore cannot become markup unless somebody writes `Html(data)`.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Html(str):
    """A piece of finished markup."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"
"""What a tag may hold: text, markup, nothing, or several of them."""
Attribute: TypeAlias = str | float | bool | None


def text(content: str) -> Html:
    """Text as markup; characters that HTML cannot hold (controls, lone surrogates) show as U+FFFD."""
    return Html(content) if isinstance(content, Html) else Html(escape(_CONTROL.sub("\ufffd", content), quote=True))


def join(*children: Child) -> Html:
    """Children one after another."""
    return Html("".join(_flat(children)))


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element.

    Args:
        name: of the element.
        children: text is escaped, markup is not.
        attributes: `class_` is written as class, other underscores as hyphens; None and False are left out, True
            stands without a value.
    """
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{opening}>{join(*children)}</{name}>")


def void(name: str, /, **attributes: Attribute) -> Html:
    """An element that holds nothing and has no closing tag: img, meta, br."""
    return Html(f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>")


def marked(content: str) -> Html:
    """Text as markup, with names in backquotes set as code; both are escaped."""
    return join(*(tag("code", part) if place % 2 else part for place, part in enumerate(content.split("`"))))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, str):
            yield text(child)
        elif child is not None:
            yield from _flat(child)
