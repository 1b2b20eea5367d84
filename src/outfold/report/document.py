"""A whole page that works on its own: nothing is asked of any network, and no script runs but the page's own."""

import base64
import hashlib
from pathlib import Path

from outfold.report.html import Html, join, tag, void


def document(title: str, body: Html, *, styles: str, script: str) -> Html:
    """The page as one text.

    Args:
        title: for the browser's window.
        body: the body element; it holds the script where it is to run, see `script_element`.
        styles: all style sheets, one after another.
        script: the page's own script; the policy in the head allows this text and no other.
    """
    head = tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(styles)),
    )
    return join(Html("<!doctype html>\n"), tag("html", head, body, lang="en"), "\n")


def script_element(script: str) -> Html:
    """The script as an element."""
    return tag("script", Html(script))


def asset(name: str) -> str:
    """A style sheet or script of this package, by its path in it."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Allows the script by its hash, styles, and images and sound as data."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
