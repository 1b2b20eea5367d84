"""`outfold audit`: what would make a score better than the truth, in a recipe's data or in a finished run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from outfold.cli.findings import SHOWN, Everything, print_findings
from outfold.cli.options import Overrides, Profile, Workers


def audit(
    subject: Annotated[
        str, typer.Argument(help="A recipe file, the name of a built-in recipe, or a run folder.", metavar="RECIPE|RUN")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Folder that relative paths start from [default: the working folder; of a run, its own]."
        ),
    ] = None,
    *,
    overrides: Overrides = None,
    profile: Profile = None,
    workers: Workers = None,
    embed: Annotated[
        bool, typer.Option("--embed", help="Also compare embeddings of the photos; takes minutes the first time.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the findings to this JSON file.")] = None,
    everything: Everything = False,
) -> None:
    """Look for leaks, for things that tell the target, for drift, and for faults of finished predictions.

    Nothing is trained. Exits with 1 when there is an error among the findings, with 0 otherwise.
    """
    from outfold.errors import RecipeError

    folder = Path(subject)
    if folder.is_dir() and (overrides or profile):
        raise RecipeError(f"{subject} is a run, whose recipe is settled", fix="leave out --set and --profile")

    from outfold.recipe.load import load_recipe

    recipe = None if folder.is_dir() else load_recipe(subject, overrides=overrides or [], profile=profile)

    from rich.console import Console

    from outfold.cli.progress import live
    from outfold.files import write_json
    from outfold.runs.audit import audit_recipe, audit_run
    from outfold.work import default_workers

    console = Console()
    with live(console) as emit:
        options: dict[str, Any] = {"embed": embed, "workers": workers or default_workers(), "emit": emit}
        if recipe is None:
            name, findings = str(folder), audit_run(folder, root=data, **options)
        else:
            name, findings = recipe.name, audit_recipe(recipe, (data or Path()).resolve(), **options)
    stop = any(finding.level == "error" for finding in findings)
    worst = {finding.level for finding in findings}
    verdict = "nothing that spoils a score" if not worst & {"error", "warning"} else "look at the warnings first"
    verdict = "scores are not to be trusted" if stop else verdict
    print_findings(findings, f"{name}: {verdict}", console, limit=None if everything else SHOWN)
    if json is not None:
        write_json(json, {"subject": name, "findings": [finding.to_dict() for finding in findings]})
    if stop:
        raise typer.Exit(1)
