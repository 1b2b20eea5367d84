"""`outfold ablate`: what each part of a recipe is worth, and which differences are noise."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outfold.cli.options import DataRoot, Device, Overrides, Profile, RecipeName, Workers, names_in
from outfold.cli.printing import print_table, say

if TYPE_CHECKING:
    from rich.console import Console

    from outfold.report.ablation import Ablation, Variant


def ablate(
    recipe: RecipeName,
    vary: Annotated[
        str, typer.Option(help="A YAML file of variants, or the name of one that comes with outfold.", metavar="FILE")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of all runs; runs/NAME-ablation when not given.")] = None,
    data: DataRoot = Path(),
    overrides: Overrides = None,
    profile: Profile = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run these variants; all when not given.", metavar="NAME[,NAME..]")
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Run variants of a recipe against a baseline, on the same folds with the same seeds, and compare them.

    FILE holds `baseline: {path: value}` and `variants: {name: {path: value}}`. Each recipe is a run below --out; the
    same command goes on where a stopped one left off, and what is done is not done again.
    """
    from outfold.recipe.study import load_study

    study = load_study(recipe, vary, overrides=overrides or [], profile=profile, only=names_in(only or []))
    folder = out or Path("runs") / f"{study.baseline.name}-ablation"

    from outfold.recipe.files import require_files

    require_files(study.baseline, data.resolve())

    from rich.console import Console

    from outfold.cli.progress import live
    from outfold.runs.ablate import ablate as run_study

    with live() as emit:
        ablation = run_study(study, folder, root=data.resolve(), device=device, workers=workers, emit=emit)
    print_ablation(ablation, folder, Console())
    if any(variant.problem for variant in ablation.variants):
        raise typer.Exit(1)


def print_ablation(ablation: "Ablation", folder: Path, console: "Console") -> None:
    """Print a row a recipe, what is noise, and where the files are."""
    from outfold.report.ablation import in_words
    from outfold.runs.ablated import PAGE, RECORD, TABLE

    columns = ("variant", "score", "mean by fold", "difference", "interval", "verdict")
    rows = [_row(variant) for variant in (ablation.baseline, *ablation.variants)]
    title = f"{ablation.recipe}: {ablation.metric} out of fold, and differences to the baseline on the same rows"
    console.print()
    print_table(console, title, columns, rows, words=("variant", "verdict"), folded=("variant",))
    compared = len(ablation.compared)
    together = f" for all {compared} together (Bonferroni)" if compared > 1 else ""
    words = in_words(ablation)
    say(
        console,
        f"{words[0].upper()}{words[1:]}.",
        f"Intervals hold with {ablation.level:.0%}{together}; they are from {ablation.resamples:,} paired bootstrap "
        "resamples, and say nothing of other seeds.",
        *(f"note: {variant.name}: {note}" for variant in ablation.variants for note in variant.notes),
        *(f"error: {variant.name}: {variant.problem}" for variant in ablation.variants if variant.problem),
        f"models trained  {sum(variant.trained for variant in (ablation.baseline, *ablation.variants))}",
        f"page            {folder / PAGE}",
        f"table           {folder / TABLE}, {folder / RECORD}",
    )


def _row(variant: "Variant") -> tuple[str, ...]:
    by_fold = f"{_number(variant.mean)} \u00b1 {_number(variant.deviation)}"
    found = variant.difference
    if found is None:
        outcome = ("", "", "failed" if variant.problem else "")
    else:
        low, high = _number(found.pooled.low, "+"), _number(found.pooled.high, "+")
        outcome = (_number(found.pooled.value, "+"), f"{low} to {high}", found.verdict)
    return variant.name, _number(variant.score), by_fold, *outcome


def _number(value: float, sign: str = "") -> str:
    return "-" if isnan(value) else f"{value:{sign}.4f}"
