"""The members of the answer: what each scores and adds, how alike they rank, and whether they see the test table."""

from collections.abc import Mapping, Sequence
from typing import Any

from outfold.data.findings import listed
from outfold.files import read_json
from outfold.report.html import Child, Html, marked, tag
from outfold.report.layout import Cell, Section, bullets, charts, notice, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import count, counted, metric_title, number
from outfold.report.plot import WIDTH, Scale, drawing, figure, short, widened
from outfold.run_folder import DIAGNOSIS

MOST_WRITTEN = 8
"""With more members than this, the numbers in the heat map would be too small to read."""
MOST_LABELLED = 24
STRONGEST = 0.55
"""Opacity of the strongest cell, on which text can still be read."""


def ensemble(run: Artefacts) -> Section | None:
    """What diagnosis.json holds; nothing where it is not there or is about an earlier state of the run."""
    path = run.folder / DIAGNOSIS
    if run.status != "complete" or not path.exists():
        return None
    found = read_json(path)
    return ensemble_section(found) if found["run_score"] == run.summary.get("score") else None


def ensemble_section(found: Mapping[str, Any]) -> Section:
    """A diagnosis as `outfold.runs.diagnose` wrote it."""
    drawn = "rows" if found["groups"] is None else counted(found["groups"], "group")
    method = found["method"].replace("_", " ")
    intro = (
        f"{counted(len(found['members']), 'member')}, blended by {method}. What a member adds is the blend's score "
        f"minus that of the others. Intervals are over {drawn}, all on the same resamples."
    )
    body: list[Child] = [_members(found), _learning(found), charts(_gains(found), _likeness(found))]
    body += [*_adversarial(found), *_divergence(found)]
    notes = [marked(note[:1].upper() + note[1:] + ".") for note in found["notes"]]
    return Section("ensemble", "Ensemble", intro, [*body, bullets(notes) if notes else None])


def _members(found: Mapping[str, Any]) -> Html:
    title = metric_title(found["metric"])
    rows: list[Sequence[Cell | Child]] = [
        (
            str(place),
            one["name"],
            _cell(one["score"]["value"]),
            _range(one["score"]),
            _cell(one["weight"], digits=3),
            _cell(one["gain"]["value"], sign=True),
            _range(one["gain"], sign=True),
            _cell(one["importance"], sign=True, digits=3),
        )
        for place, one in enumerate(found["members"], 1)
    ]
    columns = ("no.", "member", title, "95% interval", "weight", "adds", "its interval", "tells test")
    caption = f"Members; together {number(found['blend']['value'])}, 95% interval {_range(found['blend'])}"
    return table(columns, rows, text=("member",), main="adds", caption=caption, sortable=len(rows) > 5)


def _learning(found: Mapping[str, Any]) -> Child:
    """What learned weights are worth; nothing where none were learned."""
    part = found["learning"]
    if part is None:
        return None
    gain = part["gain_over_mean"]
    return tag(
        "p",
        "The weights are learned, and each fold was blended with those learned on the others. Against the plain mean "
        f"this changed the score by {_signed(gain['value'])} (95% interval {_range(gain, sign=True)}). Judged on the "
        f"rows that they were learned on, the blend would have seemed to score {number(part['in_sample'])}.",
    )


def _gains(found: Mapping[str, Any]) -> Html:
    """One line a member: what it adds, with its interval; zero as a rule."""
    gains = [one["gain"] for one in found["members"]]
    known = [0.0, *(value for gain in gains for value in gain.values() if value is not None)]
    low, high = widened(min(known), max(known))
    step = 24 if len(gains) <= 12 else 17
    bottom = 14 + step * len(gains)
    x = Scale(low - 0.05 * (high - low), high + 0.05 * (high - low), 34, WIDTH - 12)
    zero = short(x(0.0))
    marks: list[Child] = [tag("path", d=f"M{zero} 8V{bottom}", class_="rule")]
    for place, (one, gain) in enumerate(zip(found["members"], gains, strict=True)):
        y = 14 + step * (place + 0.5)
        marks.append(tag("text", str(place + 1), x=24, y=short(y + 4), text_anchor="end", class_="tick"))
        if gain["low"] is not None:
            marks.append(
                tag("path", d=f"M{short(x(gain['low']))} {short(y)}H{short(x(gain['high']))}", class_="whisker")
            )
        if gain["value"] is not None:
            name = tag("title", f"{one['name']}: {_signed(gain['value'])}")
            marks.append(tag("path", name, d=f"M{short(x(gain['value']))} {short(y)}h0", class_="dots accent"))
    marks.append(tag("path", d=f"M{short(x.start)} {bottom}H{short(x.stop)}", class_="axis"))
    marks += [
        tag("text", written, x=short(x(value)), y=bottom + 18, text_anchor="middle", class_="tick")
        for value, written in x.labels()
    ]
    side = "Right" if found["greater_is_better"] else "Left"
    drawn = drawing(WIDTH, bottom + 26, "What each member adds to the blend, with 95% intervals", marks)
    note = f"{side} of the dashed line the blend is better with the member; numbers as in the table."
    return figure("What each member adds", drawn, note)


def _likeness(found: Mapping[str, Any]) -> Html:
    """A heat map of rank correlations; the weakest colour is the least alike pair."""
    matrix, members = found["rank_correlation"], found["members"]
    known = [value for i, line in enumerate(matrix) for j, value in enumerate(line) if i != j and value is not None]
    least = min(known, default=0.0)
    left, top, size = 30, 8, 352
    side = size / len(members)
    marks: list[Child] = []
    for i, line in enumerate(matrix):
        for j, value in enumerate(line):
            if value is None:
                continue
            x, y = left + side * j, top + side * i
            title = tag("title", f"{members[i]['name']}, {members[j]['name']}: {value:.3f}")
            shade = STRONGEST * (value - least) / max(1 - least, 1e-9)
            box: dict[str, Any] = {"x": short(x), "y": short(y), "width": short(side), "height": short(side)}
            marks.append(tag("rect", title, class_="cell", fill_opacity=f"{0.04 + max(shade, 0):.3f}", **box))
            if len(members) <= MOST_WRITTEN and i != j:
                written = {"x": short(x + side / 2), "y": short(y + side / 2 + 4), "text_anchor": "middle"}
                marks.append(tag("text", f"{value:.2f}", class_="tick", **written))
    every = -(-len(members) // MOST_LABELLED)
    for place in range(0, len(members), every):
        middle = side * (place + 0.5)
        label = str(place + 1)
        marks.append(tag("text", label, x=left - 7, y=short(top + middle + 4), text_anchor="end", class_="tick"))
        marks.append(tag("text", label, x=short(left + middle), y=top + size + 16, text_anchor="middle", class_="tick"))
    drawn = drawing(WIDTH, top + size + 24, f"Rank correlations of {len(members)} members", marks)
    note = f"From {least:.3f}, the palest, to 1. Members that rank alike add little to each other."
    return figure("Rank correlation (Spearman)", drawn, note)


def _adversarial(found: Mapping[str, Any]) -> list[Child]:
    part = found["adversarial"]
    if part is None:
        return []
    auc = part["auc"]
    said = (
        f"A classifier that sees all members' predictions tells {counted(part['test_rows'], 'test row')} from "
        f"{count(part['train_rows'])} training rows with ROC-AUC {number(auc['value'])} ({_range(auc)}); 0.5 is "
        "not at all. "
    )
    how = (
        "Each test row was predicted by as many models as an out-of-fold one, so smoother means are no difference. "
        "The column \u201ctells test\u201d says how much of the AUC goes when a member is shuffled; members that agree "
        "share it."
    )
    if not part["alarming"]:
        return [tag("h3", "Train against test"), tag("p", said, "The members see both tables alike. ", how)]
    told = [(one["name"], one["importance"] or 0.0) for one in found["members"]]
    worst = max(importance for _, importance in told)
    most = [name for name, importance in sorted(told, key=lambda pair: -pair[1]) if importance > worst / 2]
    advice = f"Expect another score on the test table. It is carried by {listed(most, 3)}: look at the blend without. "
    return [tag("h3", "Train against test"), notice(said + advice + how)]


def _divergence(found: Mapping[str, Any]) -> list[Child]:
    """Flagged pairs of outputs, or that there are none."""
    parts = [(one["name"], part) for one, part in zip(found["members"], found["divergence"], strict=True) if part]
    if not parts:
        return []
    rows = [
        (name, *pair["outputs"], *(_signed(pair[key], 2) for key in ("train", "test")), f"{pair['limit']:.2f}")
        for name, part in parts
        for pair in part["pairs"]
        if pair["flagged"]
    ]
    title = tag("h3", "Correlations between outputs")
    if not rows:
        return [title, tag("p", "In no member do they differ between training and test rows by more than chance.")]
    total = sum(part["flagged"] for _, part in parts)
    caption = f"{counted(total, 'pair')} whose correlation differs by more than chance"
    caption += f"; {len(rows)} are listed" if total > len(rows) else ""
    columns = ("member", "output", "and", "training", "test", "by chance")
    return [title, table(columns, rows, text=("member", "output", "and"), caption=caption, tall=len(rows) > 24)]


def _cell(value: float | None, *, sign: bool = False, digits: int = 4) -> Cell:
    if value is None:
        return Cell(number(None), None)
    return Cell(_signed(value, digits) if sign else number(value) if digits == 4 else f"{value:.{digits}f}", value)


def _signed(value: float | None, digits: int = 4) -> str:
    """A difference with its sign: +0.0123."""
    return number(None) if value is None else f"{value:+.{digits}f}".replace("-", "\u2212")


def _range(estimate: Mapping[str, float | None], *, sign: bool = False) -> str:
    if estimate["low"] is None:
        return number(None)
    return " to ".join(_signed(estimate[end]) if sign else number(estimate[end]) for end in ("low", "high"))
