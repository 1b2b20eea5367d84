"""What the audit found: what, where, how bad, and what to do; errors first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from outfold.data.findings import Finding
from outfold.files import read_json
from outfold.report.html import Child, Html, marked, tag
from outfold.report.layout import Section, notice, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import counted
from outfold.run_folder import AUDIT

SHOWN = 20
"""Rows listed for each finding."""

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
    warned = "look at the warnings first" if levels["warning"] else "nothing spoils the scores"
    verdict = "the scores are not to be trusted" if levels["error"] else warned
    body = [part for level in TITLES for part in _level(level, [one for one in found if one["level"] == level])]
    return Section("audit", "Audit", f"{said}: {verdict}." if found else calm, body)


def _level(level: str, found: Sequence[Mapping[str, Any]]) -> list[Child]:
    """A heading and the findings of one level, each error in a box; nothing where there are none."""
    blocks = [_block(Finding.from_dict(values), int(values.get("more", 0))) for values in found]
    shown = [notice(block) for block in blocks] if level == "error" else blocks
    return [tag("h3", TITLES[level]), *shown] if found else []


def _block(finding: Finding, more: int) -> Html:
    """One finding: what it is, how bad, what to do, and its rows behind a click."""
    how_bad = tag("p", "How bad: ", marked(finding.impact)) if finding.impact else None
    to_do = tag("p", "To do: ", marked(finding.fix)) if finding.fix else None
    return tag(
        "div",
        tag("p", tag("strong", marked(finding.what[:1].upper() + finding.what[1:]))),
        how_bad,
        to_do,
        _where(finding, more),
    )


def _where(finding: Finding, more: int) -> Child:
    places = finding.places[:SHOWN]
    if not places:
        return None
    total = len(finding.places) + more
    said = counted(total, "row") + (f", the first {len(places)}" if total > len(places) else "")
    columns: list[tuple[str, list[Child]]] = [
        ("id", [tag("code", place.id) for place in places]),
        ("row", [place.row for place in places]),
        ("file", [place.file for place in places]),
        ("", [place.note for place in places]),
    ]
    used = [(name, cells) for name, cells in columns if any(cells)]
    names = [name for name, _ in used]
    rows = zip(*(cells for _, cells in used), strict=True)
    return tag("details", tag("summary", said), table(names, rows, text=names))
