"""Live progress in a terminal: one bar for the photos, one for all the training, a line an epoch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from outfold.cli.printing import say
from outfold.report.numbers import counted, duration
from outfold.settings.nouns import ROW
from outfold.stages.base import Emit

HIDDEN = ("phase", "epoch", "train_loss", "valid_loss", "lr", "seconds", "images_per_second", "wait_share")


@contextmanager
def live(console: Console | None = None) -> Iterator[Emit]:
    """Show events as they come; where the output is no terminal, only the lines are printed."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console or Console(),
        speed_estimate_period=300,
        transient=True,
    )
    display = Display(progress)
    try:
        with progress:
            yield display
    except KeyboardInterrupt as interruption:
        trains = ": the same command goes on from the last finished epoch" if display.trains else ""
        progress.console.print(f"interrupted{trains}")
        raise typer.Exit(130) from interruption


class Display:
    """Turns events into bars and lines."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.before: dict[str, TaskID] = {}
        self.all: TaskID | None = None
        self.foreseen = self.finished = 0.0
        self.trains = False
        self.sample = ROW.sample
        self.unfamiliar: set[str] = set()
        self.warned: set[str] = set()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event; kinds without a method of their own are for the log alone."""
        show = getattr(self, f"_{event['event']}", None)
        if show is not None:
            show(event)

    def line(self, text: str) -> None:
        """Print one line above the bars, as it is: brackets in names are no markup."""
        say(self.progress.console, text)

    def _photos(self, event: dict[str, Any]) -> None:
        self._bar(f"photos of the {event['table']} table", event)

    def _recordings(self, event: dict[str, Any]) -> None:
        self._bar(f"recordings of the {event['table']} table", event)

    def _joined(self, event: dict[str, Any]) -> None:
        self.line(
            f"{event['rows']:,} rows of the {event['table']} table have the media of others, whose labels they join"
        )

    def _embedding(self, event: dict[str, Any]) -> None:
        self._bar(f"vectors of the {event['table']} table", event)

    def _bar(self, title: str, event: dict[str, Any], key: str | None = None) -> None:
        """Move one of the bars of what comes before training; `key` names a bar whose title changes."""
        name = key or title
        if name not in self.before:
            self.before[name] = self.progress.add_task(title, total=event["total"])
        self.progress.update(self.before[name], completed=event["done"], description=title)

    def _warning(self, event: dict[str, Any]) -> None:
        """Once a text: members of one batch size meet the same things."""
        if event["text"] not in self.warned:
            self.warned.add(event["text"])
            self.line(f"warning: {event['text']}")

    def _unfamiliar(self, event: dict[str, Any]) -> None:
        """Once a column: the models of other folds meet much the same cells."""
        for key, cells in event["cells"].items():
            if key not in self.unfamiliar:
                self.unfamiliar.add(key)
                column = key.partition(" ")[2]
                self.line(
                    f"warning: {cells} of {event['rows']} cells in column {column!r} hold what the rows that "
                    f"{event['folder']} learned from never had; they are read as missing"
                )

    def _crops(self, event: dict[str, Any]) -> None:
        boxes, whole = event["boxes"], event["whole"]
        self.line(f"photos of the {event['table']} table: {boxes:,} cut to their boxes, {whole:,} whole")

    def _dropped(self, event: dict[str, Any]) -> None:
        rows, first = event["rows"], event.get("first", [])[:3]
        self.line(f"left out {rows:,} {'row' if rows == 1 else 'rows'} of the {event['table']} table: {event['why']}")
        for name, reason in first:
            self.line(f"    {name}: {reason.splitlines()[0]}")
        if first and rows > len(first):
            self.line(f"    and {rows - len(first):,} more")

    def _duplicates(self, event: dict[str, Any]) -> None:
        self._bar(f"duplicates: {event['what']}", event)

    def _folds(self, event: dict[str, Any]) -> None:
        self._bar(f"folds: best imbalance {event['best']:.4f}", event, key="folds")

    def _duplicates_found(self, event: dict[str, Any]) -> None:
        for text in (*event["lines"], *(f"wrote {path}" for path in event["files"])):
            self.line(text)

    def _predicting(self, event: dict[str, Any]) -> None:
        self.line(foretold(event))
        self._all(event, title="predicting")

    def _all(self, event: dict[str, Any], title: str = "all") -> None:
        """The bar of all that is to be done, in place of those of what came before."""
        for task in self.before.values():
            self.progress.remove_task(task)
        self.before.clear()  # the audit at the end brings bars of its own
        self.foreseen = max(event["megapixels"], 1e-9)
        self.all = self.progress.add_task(title, total=self.foreseen)

    def _planned(self, event: dict[str, Any]) -> None:
        self.trains, self.sample = True, event["sample"]
        done = f", {event['done']} of them done before" if event["done"] else ""
        self.line(f"{event['jobs']} jobs{done}")
        self._all(event)

    def _job(self, event: dict[str, Any]) -> None:
        if self.all is not None:
            self.progress.update(self.all, description=event["job"])

    def _work(self, event: dict[str, Any]) -> None:
        if self.all is not None:
            self.progress.advance(self.all, event["megapixels"])

    def _job_done(self, event: dict[str, Any]) -> None:
        """Epochs that were resumed or not needed count as done: the bar goes to where the plan says it is."""
        self.finished += event["megapixels"]
        if self.all is not None:
            self.progress.update(self.all, completed=self.finished)

    def _resumed(self, event: dict[str, Any]) -> None:
        self.line(f"{event['job']}: going on after epoch {event['epoch']}")

    def _epoch(self, event: dict[str, Any]) -> None:
        scores = {k: v for k, v in event.items() if k not in HIDDEN and isinstance(v, float)}
        losses = f"loss {event['train_loss']:.4f}"
        if "valid_loss" in event:
            losses += f", valid {event['valid_loss']:.4f}"
        judged = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        rate = event["images_per_second"]
        speed = f"{rate:.{0 if rate >= 10 else 1}f} {self.sample}s/s, {event['wait_share']:.0%} waiting"
        self.line(f"{event['job']}  {event['phase']} epoch {event['epoch']}  {losses}  {judged}  ({speed})")

    def _combined(self, event: dict[str, Any]) -> None:
        """What a mean of weights scores, beside the best epoch alone."""
        epochs, before = ", ".join(map(str, event["epochs"])), event["before"]
        scores = "  ".join(
            f"{name.replace('valid_loss', 'valid')} {_figure(value)} (best epoch {_figure(before[name])})"
            for name, value in event["scores"].items()
        )
        self.line(f"{event['job']}  {event['how'].replace('_', ' ')} of epochs {epochs}  {scores}".rstrip())

    def _variant(self, event: dict[str, Any]) -> None:
        """Another run begins, with a bar of its own."""
        for task in list(self.progress.task_ids):
            self.progress.remove_task(task)
        self.before.clear()
        self.all, self.finished, self.trains = None, 0.0, False
        self.line(f"{event['name']} ({event['number']} of {event['of']})")

    def _variant_failed(self, event: dict[str, Any]) -> None:
        self.line(f"error: {event['name']} did not come to an end: {event['reason']}")

    def _borrowed(self, event: dict[str, Any]) -> None:
        if event["jobs"]:
            self.line(f"{event['jobs']} jobs taken over from the other variants")

    def _tracked(self, event: dict[str, Any]) -> None:
        self.line(f"told to {event['to']} as {event['id']}")

    def _tracker_failed(self, event: dict[str, Any]) -> None:
        self.line(f"warning: {event['to']} is told no more of this run: {event['reason']}")

    def _adapting(self, event: dict[str, Any]) -> None:
        rows, models = f"{event['rows']:,} rows", f"{event['models']} model{'s' if event['models'] > 1 else ''}"
        self.line(f"{event['stage']}: {models} go on training with these {rows}, about {event['seconds']:.0f} s")
        if self.all is not None:
            self.foreseen += event["megapixels"]
            self.progress.update(self.all, total=self.foreseen)

    def _labelled(self, event: dict[str, Any]) -> None:
        self.line(f"{event['stage']}  {event['students']}: {event['what']}")

    def _audit(self, event: dict[str, Any]) -> None:
        self.line("auditing data, folds and predictions")

    def _report(self, event: dict[str, Any]) -> None:
        self.line("writing the report")


def _figure(value: float | None) -> str:
    """Four places, or a word where a score is no number."""
    return "undefined" if value is None else f"{value:.4f}"


def foretold(event: dict[str, Any]) -> str:
    """What predicting will take, in a line."""
    what = f"{counted(event['rows'], 'row')} by {counted(event['models'], 'model')}"
    if event["processes"] > 1:
        what += f" in {event['processes']} processes"
    if event["seconds"] is None:
        return what
    return f"{what}: {duration(event['seconds'])} at the pace of the run's own predictions"
