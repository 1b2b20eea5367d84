"""What `outfold check` looks at: the recipe's metrics, its data, and what the run would cost."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from outfold.data.checks import Checked, Progress, check_data
from outfold.data.findings import Finding, finding_of
from outfold.errors import RecipeError
from outfold.metrics import get_metric
from outfold.recipe.schema import Recipe

Estimate = Callable[[Recipe, Checked], Iterable[str]]
"""Sentences about the time, memory and disk that a run would take."""


def check_recipe(
    recipe: Recipe,
    root: Path,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    estimate: Estimate | None = None,
) -> Checked:
    """Check everything that a run of the recipe would need.

    Args:
        recipe: the effective recipe.
        root: data root, absolute.
        workers: threads that open files.
        progress: is told (table, files done, files in all).
        estimate: says what the run would cost; asked only when nothing stands in the run's way.
    """
    findings = _metric_findings(recipe)
    checked = check_data(recipe.data, recipe.task, recipe.folds, root, workers=workers, progress=progress)
    checked = replace(checked, findings=(*findings, *checked.findings))
    if estimate is None or not checked.ok:
        return checked
    costs = tuple(Finding("note", sentence) for sentence in estimate(recipe, checked))
    return replace(checked, findings=(*checked.findings, *costs))


def _metric_findings(recipe: Recipe) -> list[Finding]:
    findings = []
    for name in (recipe.task.metric, *recipe.task.metrics):
        try:
            get_metric(name, recipe.task.kind)
        except RecipeError as error:
            findings.append(finding_of(error))
    return findings
