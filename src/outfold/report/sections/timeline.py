"""Recordings along time: what was predicted, second by second, beside what is there."""

import numpy as np

from outfold.report.html import Child, Html, tag
from outfold.report.layout import Section, charts
from outfold.report.loading import Artefacts
from outfold.report.numbers import counted, number
from outfold.report.plot import LEFT, RIGHT, WIDTH, Scale, drawing, figure, key, nice_ticks, path_of, short, tick_texts
from outfold.report.timelines import Lane, Timeline, timelines

TITLE, HEIGHT, GAP = 18, 34, 10
"""Units of the drawing that a lane has for its name, for its curve, and below."""
AXIS = 42


def timeline(run: Artefacts) -> Section | None:
    """Drawings of the recordings with the largest loss, where rows are windows of recordings."""
    evaluation = run.evaluation
    if evaluation is None or evaluation.clips is None or evaluation.ranks or evaluation.codec.kind == "regression":
        return None
    found = timelines(evaluation, evaluation.clips)
    if not found:
        return None
    intro = (
        f"The {counted(len(found), 'recording')} of several rows with the largest loss, out of fold. Classes that are "
        "there come first, then those that are not and got the highest probabilities."
    )
    legend = key(("accent", "probability of a class that is there"), ("alarm", "of one that is not"))
    shading = key(("accent square", "seconds in which the class is there"))
    return Section("timeline", "Timelines", intro, [tag("div", legend, shading), charts(*map(_figure, found))])


def _figure(one: Timeline) -> Html:
    height = len(one.lanes) * (TITLE + HEIGHT + GAP) + AXIS
    across = Scale(float(one.start_s[0]), float(one.end_s.max()), LEFT, WIDTH - RIGHT)
    lanes = [_lane(lane, one, across, place * (TITLE + HEIGHT + GAP)) for place, lane in enumerate(one.lanes)]
    drawn = drawing(WIDTH, height, f"Probabilities along {one.recording}", lanes, _time_axis(across, height))
    return figure(one.recording, drawn, f"{counted(len(one.start_s), 'row')}, cross-entropy {number(one.loss)} a row")


def _lane(lane: Lane, one: Timeline, across: Scale, top: float) -> Html:
    """A class: its name, the seconds in which it is there, and its probability from 0 to 1."""
    up = Scale(0, 1, top + TITLE + HEIGHT, top + TITLE)
    marks: list[Child] = [tag("text", lane.name, x=LEFT, y=short(top + TITLE - 5))]
    for value in (0, 1):
        level = float(up(value))
        marks.append(tag("path", d=f"M{LEFT} {short(level)}H{WIDTH - RIGHT}", class_="grid"))
        marks.append(tag("text", str(value), x=LEFT - 7, y=short(level + 4), text_anchor="end", class_="tick"))
    marks += [_shade(*stretch, across, up) for stretch in _stretches(lane, one)]
    colour = "accent" if lane.present.any() else "alarm"
    return tag("g", marks, tag("path", d=_steps(lane, one, across, up), class_=f"line {colour}"))


def _stretches(lane: Lane, one: Timeline) -> list[tuple[float, float]]:
    """From when to when the class is there without a break, in seconds."""
    rows = np.flatnonzero(lane.present)
    apart = (np.diff(rows) > 1) | (one.start_s[rows[1:]] > one.end_s[rows[:-1]])
    parts = np.split(rows, np.flatnonzero(apart) + 1)
    return [(float(one.start_s[part[0]]), float(one.end_s[part[-1]])) for part in parts if len(part)]


def _shade(start_s: float, end_s: float, across: Scale, up: Scale) -> Html:
    left, right = across([start_s, end_s])
    return tag("rect", x=short(left), y=short(up(1)), width=short(right - left), height=HEIGHT, class_="band")


def _steps(lane: Lane, one: Timeline, across: Scale, up: Scale) -> str:
    """A level for each row, joined where the next row begins at its end."""
    apart = 2 * np.flatnonzero(one.start_s[1:] > one.end_s[:-1]) + 2
    x = np.column_stack([one.start_s, one.end_s]).ravel()
    y = np.repeat(lane.probability.astype(np.float64), 2)
    return path_of(across(np.insert(x, apart, np.nan)), up(np.insert(y, apart, np.nan)))


def _time_axis(across: Scale, height: float) -> Html:
    base = height - AXIS
    marks: list[Child] = [tag("path", d=f"M{LEFT} {base}H{WIDTH - RIGHT}", class_="axis")]
    ticks = nice_ticks(across.low, across.high)
    for value, written in zip(ticks, tick_texts(ticks), strict=True):
        marks.append(tag("text", written, x=short(across(value)), y=base + 17, text_anchor="middle", class_="tick"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    marks.append(tag("text", "seconds", x=short(middle), y=height - 6, text_anchor="middle", class_="name"))
    return tag("g", marks)
