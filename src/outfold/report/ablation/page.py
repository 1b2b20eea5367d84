"""The page of an ablation: one HTML file that asks nothing of any network."""

import math

from outfold.recipe.yaml_text import inline_yaml
from outfold.report.ablation.content import Ablation, Difference, Variant
from outfold.report.ablation.figure import differences, scores, signed
from outfold.report.document import asset, document, script_element
from outfold.report.html import Child, Html, marked, tag
from outfold.report.layout import Cell, Row, Section, bullets, charts, notice, table
from outfold.report.numbers import MISSING, count, counted, metric_title, number, percent
from outfold.report.plot import figure, key

SCRIPT = "sort.js"


def page(ablation: Ablation) -> Html:
    """The page as one text."""
    sections = [_differences(ablation), _scores(ablation), _changes(ablation)]
    body = tag("body", _header(ablation), tag("main", [one.html() for one in sections]), script_element(asset(SCRIPT)))
    styles = asset("style.css") + asset("ablation/ablation.css")
    return document(f"{ablation.recipe}: ablation", body, styles=styles, script=asset(SCRIPT))


def in_words(ablation: Ablation) -> str:
    """Which variants are worse, better, or not to be told from the baseline."""
    said = []
    for verdict, words in (("worse", "worse than the baseline"), ("better", "better"), ("noise", "noise")):
        names = [variant.name for variant, found in ablation.compared if found.verdict == verdict]
        if names:
            said.append(f"{words}: {', '.join(names)}")
    return "; ".join(said) or "no variant was compared"


def _header(ablation: Ablation) -> Html:
    failed = [variant for variant in ablation.variants if variant.problem is not None]
    return tag(
        "header",
        tag("p", "outfold: ablation", class_="eyebrow"),
        tag("h1", ablation.recipe),
        tag("p", ablation.description) if ablation.description else None,
        tag("p", _sentence(ablation), class_="soft"),
        notice(
            *(f"{variant.name} did not come to an end: {variant.problem}" for variant in failed), class_="notice failed"
        )
        if failed
        else None,
    )


def _sentence(ablation: Ablation) -> str:
    folds = counted(len(ablation.baseline.by_fold), "fold")
    variants = counted(len(ablation.variants), "variant")
    words = in_words(ablation)
    score = f"{metric_title(ablation.metric)} {number(ablation.baseline.score)}"
    outcome = f"{words[0].upper()}{words[1:]}."
    return f"{variants} against a baseline of {score}, on {folds} that all share. {outcome}"


def _differences(ablation: Ablation) -> Section:
    if not ablation.compared:
        return Section("differences", "Differences", None, [tag("p", "No variant came to an end.")])
    legend = key(("accent", "better"), ("alarm", "worse"), ("neutral", "noise"))
    drawn = figure(
        "To the baseline",
        differences(ablation),
        legend,
        "Dots: folds. Bar: all common rows at once, with its interval.",
    )
    folds = figure(
        "Scores",
        scores(ablation),
        "Dots: folds. Bar: their mean, with their standard deviation. Line: the baseline's mean.",
    )
    rows = [_difference_row(variant, found) for variant, found in ablation.compared]
    columns = ("variant", "difference", "interval", "verdict", "mean by fold", "95% t interval", "rows", "groups drawn")
    judged = table(columns, rows, text=("variant",), main="difference", sortable=len(rows) > 5)
    notes = [marked(f"{variant.name}: {note}") for variant in ablation.variants for note in variant.notes]
    parts: list[Child] = [charts(drawn, folds), judged]
    return Section("differences", "Differences", _how_to_read(ablation), [*parts, bullets(notes) if notes else None])


def _how_to_read(ablation: Ablation) -> list[Child]:
    compared = len(ablation.compared)
    many = (
        f" They hold for all {compared} variants together with {percent(ablation.level)} (Bonferroni: "
        f"{ablation.each_level:.2%} each)."
        if compared > 1
        else f" It holds with {percent(ablation.level)}."
    )
    return [
        "Paired: baseline and variant are judged on the same rows. A difference is noise where its interval holds "
        "zero, or where the folds one by one point the other way. Intervals are from "
        f"{count(ablation.resamples)} bootstrap resamples of rows, or of groups where rows share one.{many} ",
        "They say nothing of what other seeds would give. The t interval is over folds, widened because folds share "
        "training rows (Nadeau and Bengio).",
    ]


def _difference_row(variant: Variant, found: Difference) -> Row:
    return [
        variant.name,
        _sorted(signed(found.pooled.value), found.pooled.value),
        f"{signed(found.pooled.low)} to {signed(found.pooled.high)}",
        tag("span", found.verdict, class_=f"verdict {found.verdict}"),
        _sorted(signed(found.folds.mean), found.folds.mean),
        f"{signed(found.folds.low)} to {signed(found.folds.high)}",
        Cell(count(found.rows), found.rows),
        Cell(count(found.units), found.units),
    ]


def _scores(ablation: Ablation) -> Section:
    complete = [ablation.baseline, *(variant for variant, _ in ablation.compared)]
    names = [name for name in ablation.baseline.scores if name != ablation.metric]
    numbers = list(ablation.baseline.by_fold)
    columns = ["variant", "all rows", "mean", "deviation", *(f"fold {fold}" for fold in numbers)]
    columns += map(metric_title, names)
    rows = [_score_row(variant, numbers, names) for variant in complete]
    intro = [
        f"{metric_title(ablation.metric)} of each recipe over its own rows, with mean and standard deviation of its "
        "folds. Models that another recipe trained with the same settings, rows and seed were taken over.",
    ]
    shown = table(columns, rows, text=("variant",), main="mean", sortable=len(rows) > 5)
    return Section("scores", "Scores", intro, [shown])


def _score_row(variant: Variant, folds: list[int], names: list[str]) -> Row:
    values = [variant.score, variant.mean, variant.deviation, *(variant.by_fold.get(fold) for fold in folds)]
    values += [variant.scores.get(name, {}).get("value") for name in names]
    return [variant.name, *(_sorted(number(value), value) for value in values)]


def _sorted(shown: str, value: float | None) -> Cell:
    """A cell that sorts by its number, and last without one."""
    return Cell(shown, value if value is not None and math.isfinite(value) else None)


def _changes(ablation: Ablation) -> Section:
    rows: list[Row] = [
        [
            variant.name,
            [tag("div", tag("code", f"{path}: {inline_yaml(value)}")) for path, value in variant.changes.items()]
            or MISSING,
        ]
        for variant in (ablation.baseline, *ablation.variants)
    ]
    intro = "What the baseline sets otherwise than the recipe, and each variant otherwise than the baseline."
    return Section("changes", "Settings", intro, [table(("variant", "settings"), rows, text=("variant", "settings"))])
