"""The data as the run saw it: sizes, classes, warnings, and rows that were left out."""

from collections import Counter
from collections.abc import Mapping, Sequence

from outfold.report.html import Child, Html, marked
from outfold.report.layout import Section, bar, bullets, notice, table, tables
from outfold.report.loading import Artefacts
from outfold.report.numbers import count, counted, percent

MOST_DROPPED, MOST_CLASSES = 100, 15


def data(run: Artefacts) -> Section | None:
    """Counts, warnings first."""
    if run.status != "complete":
        return None
    found = run.summary["data"]
    dropped, warnings = found["dropped"], found["warnings"]
    few = 0 < len(found["classes"]) <= MOST_CLASSES
    classes = _classes(found["classes"], found["rows"]) if few else None
    body: list[Child] = [notice(bullets(map(marked, warnings))) if warnings else None, tables(_sizes(found), classes)]
    body += [_dropped(dropped)] if dropped else []
    calm = "No warnings, no rows left out."
    said = f"{counted(len(warnings), 'warning')}, {counted(len(dropped), 'row')} left out."
    return Section("data", "Data", said if warnings or dropped else calm, body)


def _sizes(found: Mapping[str, object]) -> Html:
    groups = found["groups"]
    rows = [
        ("training rows", count(_whole(found["rows"]))),
        ("test rows", count(_whole(found["test_rows"]))),
        ("groups", "none" if groups is None else count(_whole(groups))),
    ]
    if found.get("unlabelled_rows"):
        rows.insert(2, ("rows without labels", count(_whole(found["unlabelled_rows"]))))
    classes = found["classes"]
    if isinstance(classes, Mapping) and classes:
        fewest, most = min(classes.values()), max(classes.values())
        rows.append(("classes", count(len(classes))))
        rows.append(("rows a class", f"{count(fewest)} to {count(most)}" if most > fewest else count(most)))
    return table(("", "number"), rows, text=("",), caption="Sizes")


def _classes(classes: Mapping[str, int], rows: int) -> Html:
    listed = [
        (name, count(size), [bar(size / max(rows, 1)), percent(size / max(rows, 1))]) for name, size in classes.items()
    ]
    return table(("class", "rows", "share"), listed, text=("class",), caption="Training rows by class")


def _dropped(dropped: Sequence[Mapping[str, str]]) -> Html:
    reasons = Counter(row["reason"] for row in dropped)
    listed = [(row["id"], row["reason"]) for row in dropped[:MOST_DROPPED]]
    caption = f"Rows left out: {count(len(dropped))}, for {counted(len(reasons), 'reason')}"
    if len(dropped) > len(listed):
        caption += f"; the first {len(listed)} are listed"
    return table(("id", "reason"), listed, text=("id", "reason"), caption=caption)


def _whole(value: object) -> int:
    return int(str(value))
