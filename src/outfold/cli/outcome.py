"""What a finished run prints: scores with intervals, where the files are, what to type next."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from outfold.cli.printing import say
from outfold.run_folder import OOF, REPORT
from outfold.work import WAIT_WORTH_SAYING


def print_outcome(folder: Path, summary: dict[str, Any], console: Console | None = None) -> None:
    """Print scores, files and next steps of a complete run."""
    console = console or Console()
    table = Table(title=f"{summary['recipe']}: out-of-fold scores", title_justify="left", title_style="bold")
    table.add_column("metric")
    table.add_column("score", justify="right")
    table.add_column("95% interval", justify="right")
    table.add_column("by fold", justify="right")
    folds: list[dict[str, Any]] = next((s["folds"] for s in reversed(summary["stages"].values()) if "folds" in s), [])
    for name, entry in summary["scores"].items():
        by_fold = " ".join(number(fold["scores"][name], 3) for fold in folds)
        table.add_row(name, number(entry["value"]), f"{number(entry['low'])} to {number(entry['high'])}", by_fold)
    console.print()
    console.print(table)
    say(console, *_cautions(summary), *_files(folder, summary))


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
                "give more --workers, or a smaller view.cache_size"
            )
    return lines


def _files(folder: Path, summary: dict[str, Any]) -> list[str]:
    files = [stage["file"] for stage in summary["stages"].values() if stage["kind"] == "submit"]
    lines = [f"out of fold  {folder / OOF}"]
    lines += [
        f"submission   {folder / file}" if file else "submission   none: the recipe has no test table" for file in files
    ]
    lines += [f"report       {folder / REPORT}", f"took         {summary['seconds']:.0f} s", "", "next"]
    return [*lines, f"  outfold predict {folder} NEW_TABLE.csv --data FOLDER    predict new rows with these models"]
