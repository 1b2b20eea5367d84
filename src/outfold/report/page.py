"""The page as a whole: one HTML file that asks nothing of any network."""

import base64
import hashlib
from pathlib import Path

from outfold.files import write_text
from outfold.report.html import Html, join, tag, void
from outfold.report.layout import Section
from outfold.report.loading import Artefacts, load_artefacts
from outfold.report.sections.classes import classes
from outfold.report.sections.data import data
from outfold.report.sections.headline import headline
from outfold.report.sections.labels import labels
from outfold.report.sections.making import making
from outfold.report.sections.probabilities import probabilities
from outfold.report.sections.regression import regression
from outfold.report.sections.samples import samples
from outfold.report.sections.scores import scores
from outfold.report.sections.time import time
from outfold.report.sections.training import training
from outfold.run_folder import REPORT


def write_report(run_folder: Path, *, root: Path | None = None) -> Path:
    """Write RUN/report.html about a run in whatever state it is, and return its path.

    Args:
        run_folder: the folder of a run that is complete, failed or still going on.
        root: folder that the recipe's media lie in; the one the run used when not given.

    Raises:
        RunError: it is no run folder, a file of a complete run is missing or damaged, or the page cannot be written.
    """
    run = load_artefacts(run_folder)
    return write_text(run_folder / REPORT, page(run, root or Path(run.summary.get("data", {}).get("root", "."))))


def page(run: Artefacts, root: Path) -> Html:
    """The page about what was loaded; only photos are still read, below `root`."""
    shown = sections(run, root)
    top = headline(run, [(section.anchor, section.title) for section in shown])
    body = tag("body", top, tag("main", [section.html() for section in shown]), _footer(run), _script())
    return join(Html("<!doctype html>\n"), tag("html", _head(run), body, lang="en"), "\n")


def sections(run: Artefacts, root: Path) -> list[Section]:
    """The parts of the page that have something to say, in reading order."""
    parts = (
        scores(run),
        training(run),
        classes(run),
        labels(run),
        probabilities(run),
        regression(run),
        samples(run, root),
        data(run),
        time(run),
        making(run),
    )
    return [part for part in parts if part is not None]


def _head(run: Artefacts) -> Html:
    return tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=_policy()),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{run.recipe.name}: outfold report"),
        tag("style", Html(_asset("style.css"))),
    )


def _policy() -> str:
    """Allows nothing but what the page brings along: its own script by its hash, styles, and images as data."""
    digest = base64.b64encode(hashlib.sha256(_asset("sort.js").encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _script() -> Html:
    return tag("script", Html(_asset("sort.js")))


def _footer(run: Artefacts) -> Html:
    made = f"Run and report by outfold {run.summary.get('environment', {}).get('outfold', '')}".rstrip()
    return tag("footer", f"{made}; files in ", tag("code", str(run.folder.resolve())))


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
