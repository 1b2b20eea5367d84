"""What the review pages are made of: buttons that keys press, the bar at the top, the list at the side."""

from collections.abc import Sequence

from outfold.report.html import Html, tag


def button(action: str, words: str, keys: str, hint: str | None = None) -> Html:
    """A button and the keys that press it, separated by spaces."""
    mark = tag("kbd", hint or keys, aria_hidden="true")
    return tag("button", words, " ", mark, type="button", data_action=action, aria_keyshortcuts=keys)


def top_bar(filters: Sequence[tuple[str, str]], what: str, download: Html) -> Html:
    """How far the review is, what is shown, and the way out.

    Args:
        filters: names for the script, and words.
        what: the filters choose among.
        download: the button that saves the table.
    """
    buttons = [
        tag("button", words, " ", tag("span", class_="count"), type="button", data_filter=name)
        for name, words in filters
    ]
    return tag(
        "div",
        tag(
            "div",
            tag("p", id="progress", role="status"),
            tag("p", id="storage", class_="soft"),
            tag("div", tag("i"), class_="meter", aria_hidden="true"),
            class_="progress",
        ),
        tag("div", buttons, class_="filters", role="group", aria_label=what),
        download,
        class_="bar-top",
    )


def movement(what: str) -> Html:
    """Buttons to go through the list and to take back."""
    buttons = [
        button("previous", "Previous", "ArrowLeft K", "←"),
        button("next", "Next", "ArrowRight J", "→"),
        button("undo", "Undo", "Z"),
    ]
    return tag("div", buttons, role="group", aria_label=what)


def item_list(what: str) -> Html:
    """The list of all items; the script fills it."""
    return tag("nav", tag("ol", id="list"), class_="list", aria_label=what)


def facts() -> Html:
    """The line above what is looked at: its place in the list, and what is known of it."""
    return tag("div", tag("h2", id="place"), tag("p", id="facts"), class_="facts")
