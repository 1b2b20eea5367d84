"""What a finished run prints: scores with intervals, where the files are, what to type next."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from outfold.cli.printing import print_table, say
from outfold.run_folder import OOF, REPORT
from outfold.work import WAIT_WORTH_SAYING


def print_outcome(folder: Path, summary: dict[str, Any], console: Console | None = None) -> None:
    """Print scores, files and next steps of a complete run."""
    console = console or Console()
    if summary["scores"]:
        _print_scores(console, summary)
    _print_targets(console, _final(summary))
    say(console, *_after_models(summary), *_cautions(summary), *_files(folder, summary))


def _print_scores(console: Console, summary: dict[str, Any]) -> None:
    """The table of scores out of fold."""
    table = Table(title=f"{summary['recipe']}: out-of-fold scores", title_justify="left", title_style="bold")
    table.add_column("metric")
    table.add_column("score", justify="right")
    table.add_column("95% interval", justify="right")
    table.add_column("by fold", justify="right")
    folds: list[dict[str, Any]] = _final(summary).get("folds", [])
    for name, entry in summary["scores"].items():
        by_fold = " ".join(number(fold["scores"][name], 3) for fold in folds)
        table.add_row(name, number(entry["value"]), _interval(entry), by_fold)
    console.print()
    console.print(table)


def _final(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary of the stage whose scores are the run's."""
    scored = [stage for stage in summary["stages"].values() if "folds" in stage]
    return next((stage for stage in reversed(scored) if stage["scores"] == summary["scores"]), {})


def _print_targets(console: Console, stage: dict[str, Any]) -> None:
    """Scores by target of a regression of several."""
    targets: dict[str, Any] = stage.get("targets", {})
    if not targets:
        return
    columns = [part for name in next(iter(targets.values())) for part in (name, "95% interval")]
    rows = [
        [target, *(text for entry in scores.values() for text in (number(entry["value"]), _interval(entry)))]
        for target, scores in targets.items()
    ]
    print_table(console, "by target", ["target", *columns], rows, words=("target",))
    console.print()


def _after_models(summary: dict[str, Any]) -> list[str]:
    """What steps after the models gained, and declared sums that predictions break."""
    lines = []
    for name, stage in summary["stages"].items():
        scores = stage.get("postprocess", {}).get("scores")
        if scores:
            what = f"{scores['metric']} {number(scores['before'])} before, {number(scores['after'])} after"
            lines.append(f"{name}: {what}{_gain(scores)}")
    for total, one in _final(summary).get("identities", {}).items():
        if one["rows"]:
            off = f"off by {number(one['mean'])} on average, {number(one['largest'])} at most"
            lines.append(f"{total} = {' + '.join(one['parts'])} does not hold in predictions: {off}")
    return lines


def _gain(scores: dict[str, Any]) -> str:
    """What steps gained, with its interval, or why that is not known."""
    if scores["gain"] is None:
        return f"; what the steps gain is not known: {scores['gain_not_known']}"
    gain, low, high = (_signed(scores["gain"][part]) for part in ("value", "low", "high"))
    return f", {gain} ({low} to {high})"


def _interval(entry: dict[str, float | None]) -> str:
    return f"{number(entry['low'])} to {number(entry['high'])}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def number(value: float | None, digits: int = 4) -> str:
    """A score with so many digits, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.{digits}f}"


def _cautions(summary: dict[str, Any]) -> list[str]:
    data = summary["data"]
    lines = [f"warning: {warning}" for warning in data["warnings"]]
    found = summary.get("audit", {})
    lines += [f"audit {level}: {what}" for level in ("error", "warning") for what in found.get(f"{level}s", [])]
    if data["dropped"]:
        lines.append(
            f"warning: {len(data['dropped'])} rows were left out because of their media; the report lists them"
        )
    for name, stage in summary["stages"].items():
        if stage.get("wait_share", 0) > WAIT_WORTH_SAYING:
            lines.append(
                f"note: {name} spent {stage['wait_share']:.0%} of its time waiting for data; "
                "give more --workers; the report says what else helps"
            )
    return lines


def _files(folder: Path, summary: dict[str, Any]) -> list[str]:
    files = [stage["file"] for stage in summary["stages"].values() if stage["kind"] == "submit"]
    lines = [f"out of fold  {folder / OOF}"] if summary["score"] is not None else ["out of fold  nothing: no score"]
    lines += [
        f"submission   {folder / file}" if file else "submission   none: the recipe has no test table" for file in files
    ]
    lines += [f"report       {folder / REPORT}", f"took         {summary['seconds']:.0f} s", "", "next"]
    later = "RECORDINGS --out FILE.csv" if summary["data"].get("recordings") else "NEW_TABLE.csv --data FOLDER"
    return [*lines, f"  outfold predict {folder} {later}    predict new rows with these models"]
