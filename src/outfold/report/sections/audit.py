"""What the audit found: what, where, how bad, and what to do; errors first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from outfold.data.findings import Finding, Place
from outfold.files import read_json
from outfold.report.html import Child, Html, tag
from outfold.report.layout import Section, bullets, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import count, counted
from outfold.run_folder import AUDIT

SHOWN = 5
"""Rows listed for each finding."""

COLUMNS = ("what", "how bad", "what to do", "where")
TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


def audit(run: Artefacts) -> Section | None:
    """The findings in the run's audit.json; nothing for a run that was not audited."""
    path = run.folder / AUDIT
    if run.status != "complete" or not path.exists():
        return None
    return audit_section(read_json(path)["findings"])


def audit_section(found: Sequence[Mapping[str, Any]]) -> Section:
    """Findings as `Finding.to_dict` wrote them."""
    levels = Counter(str(values["level"]) for values in found)
    calm = "Nothing was found that would make the scores better than the truth."
    said = ", ".join(counted(levels[level], level) for level in TITLES if levels[level])
    verdict = "the scores are not to be trusted" if levels["error"] else "nothing spoils the scores for certain"
    body = [_level(level, [one for one in found if one["level"] == level]) for level in TITLES if levels[level]]
    return Section("audit", "Audit", f"{said}: {verdict}." if found else calm, body)


def _level(level: str, found: Sequence[Mapping[str, Any]]) -> Html:
    rows = [_row(Finding.from_dict(values), int(values.get("more", 0))) for values in found]
    return table(COLUMNS, rows, text=COLUMNS, caption=TITLES[level])


def _row(finding: Finding, more: int) -> Sequence[Child]:
    return (_sentence(finding.what), _sentence(finding.impact), _sentence(finding.fix or ""), _where(finding, more))


def _where(finding: Finding, more: int) -> Child:
    if not finding.places:
        return ""
    left = len(finding.places) - SHOWN + more if len(finding.places) > SHOWN else more
    listing: list[Child] = [_place(place) for place in finding.places[:SHOWN]]
    return bullets([*listing, *([f"and {count(left)} more"] if left else [])])


def _place(place: Place) -> Child:
    named = [tag("code", place.id), f" {place.row}" if place.row else ""]
    return [*named, f": {place.note}" if place.note else ""]


def _sentence(text: str) -> str:
    """The text with a capital letter, unless it begins with a name from the table."""
    return text[:1].upper() + text[1:] if text[:1].isalpha() else text
