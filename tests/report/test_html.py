from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from outfold.report.html import join, tag, text, void


class Reader(HTMLParser):
    """Collects what a browser would see: tags and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.content = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.content += data


@given(st.text())
def test_any_text_stays_text_in_content_and_in_attributes(content: str) -> None:
    reader = Reader()
    reader.feed(tag("p", content, title=content))
    reader.close()
    assert reader.tags == ["p"]
    assert [name for name, _ in reader.attributes] == ["title"]
    assert len(reader.content) == len(content)
    tag("p", content, title=content).encode("utf-8")


def test_markup_is_escaped_once_and_only_once() -> None:
    assert tag("b", "a < b & c", tag("i", "<script>")) == "<b>a &lt; b &amp; c<i>&lt;script&gt;</i></b>"
    assert text(text("<")) == "&lt;"


def test_controls_and_lone_surrogates_become_replacement_characters() -> None:
    assert text("a\x00b\ud800c") == "a\ufffdb\ufffdc"


def test_attributes_are_named_and_left_out_as_html_wants() -> None:
    assert void("img", class_="x", data_v=0, hidden=True, alt=None, open=False) == '<img class="x" data-v="0" hidden>'


def test_children_may_be_nested_lists_and_nothing() -> None:
    assert join("a", ["b", [None, "c"]]) == "abc"
