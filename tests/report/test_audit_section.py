import json

from outfold.data.findings import Finding, Place
from outfold.report.sections.audit import SHOWN, audit_section

FINDINGS = [
    Finding("note", "a note about `<script>`", rule="a"),
    Finding(
        "error",
        "rows leak",
        tuple(Place(f"t.csv:{row}", f"<b>{row}</b>", note="patient p&q") for row in range(30)),
        "mend `folds.csv`",
        "b",
        "30 rows of 60",
    ),
]


def html(findings, limit=None):
    stored = json.loads(json.dumps([one.to_dict(limit) for one in findings]))
    return audit_section(stored).html()


def test_errors_come_first_with_rows_and_what_to_do():
    page = html(FINDINGS)
    assert "1 error, 1 note: the scores are not to be trusted." in page
    assert page.index("Rows leak") < page.index("A note about")
    for words in ("How bad: 30 rows of 60", "To do: mend <code>folds.csv</code>", f"30 rows, the first {SHOWN}"):
        assert words in page
    assert "t.csv:19" in page
    assert "t.csv:20" not in page


def test_text_from_the_table_stays_text():
    page = html(FINDINGS)
    assert "<script>" not in page
    assert "<b>" not in page
    assert "patient p&amp;q" in page


def test_rows_that_were_not_kept_are_counted():
    assert "30 rows, the first 4" in html(FINDINGS, limit=4)


def test_nothing_found_is_said():
    assert "Nothing was found" in html([])
    assert "nothing spoils the scores" in html(FINDINGS[:1])
