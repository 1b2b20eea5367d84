"""What made the run: how its stages build on each other, the environment and the effective recipe."""

from collections.abc import Iterator, Mapping
from typing import Any

from outfold.report.html import tag
from outfold.report.layout import Section, bullets, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import metric_title, number
from outfold.settings.adapt import AdaptStage
from outfold.settings.serve import ServeStage
from outfold.settings.train import TrainStage


def making(run: Artefacts) -> Section:
    """Versions and recipe, folded away."""
    environment = run.summary.get("environment", {})
    versions = table(("", "version"), [(name, str(value)) for name, value in environment.items()], text=("", "version"))
    recipe = tag("details", tag("summary", "Effective recipe"), tag("pre", run.recipe_text, tabindex="0"))
    parts = [tag("details", tag("summary", "Environment"), versions)] if environment else []
    chained = list(_chained(run)) if run.status == "complete" else []
    intro = "The same recipe, data and seed on the same machine give the same numbers."
    return Section("recipe", "Recipe", intro, [bullets(chained) if chained else None, recipe, *parts])


def _chained(run: Artefacts) -> Iterator[str]:
    """A sentence on each stage that stands in for another or goes on from it."""
    stages: Mapping[str, Mapping[str, Any]] = run.summary["stages"]
    for name, stage in run.recipe.stages.items():
        entry = stages.get(name, {})
        if isinstance(stage, TrainStage) and stage.target:
            judged = f"{metric_title(entry['metric'])} {number(entry['score'])} out of fold"
            yield f"{name} is an auxiliary stage: it predicts {', '.join(stage.target)} ({judged})."
        if isinstance(stage, ServeStage):
            yield (
                f"{name} is {stage.source} as it serves, with inputs that {stage.inputs} predicts: "
                f"{number(entry['score'])}, where {stage.source} has {number(entry['given_inputs']['score'])} on the "
                "inputs that training tables give."
            )
        if isinstance(stage, AdaptStage):
            starts = ", ".join(f"{member} from fold {start['fold']}" for member, start in entry["start"].items())
            yield (
                f"{name} is test-time training: models of {stage.source} go on with the rows to predict, as "
                f"{stage.labels} labels them; for the test table and later rows {starts}."
            )
