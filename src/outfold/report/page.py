"""The page as a whole: one HTML file that asks nothing of any network."""

from pathlib import Path

from outfold.files import write_text
from outfold.report.document import asset, document, script_element
from outfold.report.html import Html, tag
from outfold.report.layout import Section
from outfold.report.loading import Artefacts, load_artefacts
from outfold.report.sections.audit import audit
from outfold.report.sections.classes import classes
from outfold.report.sections.data import data
from outfold.report.sections.ensemble import ensemble
from outfold.report.sections.headline import headline
from outfold.report.sections.labels import labels
from outfold.report.sections.making import making
from outfold.report.sections.postprocess import postprocess
from outfold.report.sections.probabilities import probabilities
from outfold.report.sections.pseudo_labels import pseudo_labels
from outfold.report.sections.regression import regression
from outfold.report.sections.samples import samples
from outfold.report.sections.scores import scores
from outfold.report.sections.time import time
from outfold.report.sections.timeline import timeline
from outfold.report.sections.training import training
from outfold.run_folder import REPORT

SCRIPT = "sort.js"


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
    """The page about what was loaded; only photos and recordings are still read, below `root`."""
    shown = sections(run, root)
    top = headline(run, [(section.anchor, section.title) for section in shown])
    body = tag(
        "body", top, tag("main", [section.html() for section in shown]), _footer(run), script_element(asset(SCRIPT))
    )
    title = f"{run.recipe.name}: outfold report"
    return document(title, body, styles=asset("style.css"), script=asset(SCRIPT))


def sections(run: Artefacts, root: Path) -> list[Section]:
    """The parts of the page that have something to say, in reading order."""
    parts = (
        scores(run),
        ensemble(run),
        postprocess(run),
        audit(run),
        training(run),
        pseudo_labels(run),
        classes(run),
        labels(run),
        probabilities(run),
        regression(run),
        timeline(run),
        samples(run, root),
        data(run),
        time(run),
        making(run),
    )
    return [part for part in parts if part is not None]


def _footer(run: Artefacts) -> Html:
    made = f"Run and report by outfold {run.summary.get('environment', {}).get('outfold', '')}".rstrip()
    return tag("footer", f"{made}; files in ", tag("code", str(run.folder.resolve())))
