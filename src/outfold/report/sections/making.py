"""What made the run: the environment and the effective recipe."""

from outfold.report.html import tag
from outfold.report.layout import Section, table
from outfold.report.loading import Artefacts


def making(run: Artefacts) -> Section:
    """Versions and recipe, folded away."""
    environment = run.summary.get("environment", {})
    versions = table(("", "version"), [(name, str(value)) for name, value in environment.items()], text=("", "version"))
    recipe = tag("details", tag("summary", "Effective recipe"), tag("pre", run.recipe_text, tabindex="0"))
    parts = [tag("details", tag("summary", "Environment"), versions)] if environment else []
    intro = "The same recipe, data and seed on the same machine give the same numbers."
    return Section("recipe", "Recipe", intro, [recipe, *parts])
