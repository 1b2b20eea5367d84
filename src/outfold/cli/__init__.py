"""The command line: reads arguments, calls one function, prints. Nothing heavy is imported before it is needed."""

import sys

import typer

from outfold.cli.ablate import ablate
from outfold.cli.audit import audit
from outfold.cli.check import check
from outfold.cli.compare import compare
from outfold.cli.demo import demo
from outfold.cli.diagnose import diagnose
from outfold.cli.duplicates import duplicates
from outfold.cli.folds import folds
from outfold.cli.init import init
from outfold.cli.predict import predict
from outfold.cli.prepare import prepare
from outfold.cli.recipes import recipes_app
from outfold.cli.report import report
from outfold.cli.review import review_app
from outfold.cli.run import run
from outfold.errors import OutfoldError

app = typer.Typer(
    name="outfold",
    help="From a table of labelled images or recordings to predictions that win; every score is out of fold.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command()(init)
app.command()(check)
app.command()(folds)
app.command()(duplicates)
app.command()(audit)
app.command()(prepare)
app.command()(run)
app.command()(predict)
app.command()(report)
app.command()(compare)
app.command()(diagnose)
app.command()(ablate)
app.add_typer(review_app, name="review")
app.add_typer(recipes_app, name="recipes")


def main() -> None:
    """Run the command line; errors the user can mend end with exit code 2."""
    try:
        app()
    except OutfoldError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
