"""`outfold compare`: whether one run is better than another or was lucky, and how far a leaderboard would scatter."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from outfold.cli.options import names_in, weights_in
from outfold.cli.printing import print_table, say

if TYPE_CHECKING:
    from rich.console import Console

    from outfold.metrics import Comparison, Leaderboard, Ranks
    from outfold.runs.compare import Compared

FEW_UNITS = 20
"""With fewer rows or groups to draw from, percentile intervals come out too narrow."""

Side = Annotated[Path, typer.Argument(help="A run folder, or a CSV or parquet table of predictions.")]


def compare(
    run_a: Side,
    run_b: Side,
    *,
    metric: Annotated[str | None, typer.Option(help="What to compare by; the runs' own metric when not given.")] = None,
    column: Annotated[
        str | None, typer.Option(help="Target columns to compare on; all when not given.", metavar="COL[,COL..]")
    ] = None,
    target_weights: Annotated[
        str | None,
        typer.Option(help="Weights for weighted_r2; the runs' own when not given.", metavar="COL=W[,COL=W..]"),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of groups, drawn as a whole; the runs' own when not given.")
    ] = None,
    id_column: Annotated[str, typer.Option("--id", help="Tables: the column that identifies a row.")] = "id",
    prefix_a: Annotated[
        str | None, typer.Option(help="Table A: what prediction columns begin with; pred_ or prob_ when not given.")
    ] = None,
    prefix_b: Annotated[str | None, typer.Option(help="Table B: likewise.")] = None,
    n_test: Annotated[
        int | None, typer.Option(min=2, help="Rows of the leaderboard's test set; as many as are common if not given.")
    ] = None,
    public: Annotated[float, typer.Option(help="Share of the test set that the public leaderboard shows.")] = 0.3,
    split: Annotated[
        Literal["group", "row"], typer.Option(help="What is dealt out to public and private: whole groups or rows.")
    ] = "group",
    teams: Annotated[
        int | None, typer.Option(min=2, help="Also let so many equally good models compete on the leaderboard.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples, and simulated leaderboards.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Decides all draws.")] = 0,
) -> None:
    """Compare two runs or tables of predictions on their common rows, and simulate a leaderboard.

    Rows are aligned by id. Tables name their predictions as a run's oof.parquet does: pred_<target> for a regression,
    prob_<class> else. Both sides may be the same table with two prefixes.
    """
    from rich.console import Console

    from outfold.runs.compare import compare_sides
    from outfold.runs.sides import Reading

    reading = Reading(
        metric=metric,
        columns=tuple(names_in([column or ""])),
        target_weights=weights_in(names_in([target_weights or ""]), "--target-weights", "COL=W, e.g. Dry_Total_g=0.5"),
        group=group,
        id=id_column,
        prefixes=(prefix_a, prefix_b),
    )
    compared = compare_sides(
        run_a,
        run_b,
        reading,
        n_test=n_test,
        public_share=public,
        split=split,
        teams=teams,
        n_resamples=resamples,
        seed=seed,
    )
    print_compared(compared, (_title(run_a, prefix_a), _title(run_b, prefix_b)), Console())


def print_compared(compared: "Compared", names: tuple[str, str], console: "Console") -> None:
    """Print scores, their difference, a verdict, and the leaderboard.

    Args:
        compared: what was found.
        names: what the user calls A and B.
        console: where to print.
    """
    say(console, *(f"{side} = {name}" for side, name in zip("AB", names, strict=True)), *_notes(compared), "")
    _print_scores(compared, console)
    say(console, verdict(compared.comparison), "")
    _print_boards(compared, console)


def verdict(comparison: "Comparison") -> str:
    """The comparison in one sentence."""
    probability = comparison.probability
    if isnan(probability):
        return (
            "Nothing can be said about chance: there is one group only, or no resample on which the metric is defined."
        )
    if comparison.difference.low == comparison.difference.high == 0:
        return "A and B score the same."
    better, sure = ("B", probability) if probability >= 0.5 else ("A", 1 - probability)
    shown = ">0.99" if sure > 0.995 else f"{sure:.2f}"
    chance = (
        "the difference could be chance"
        if comparison.difference.low <= 0 <= comparison.difference.high
        else "chance alone rarely makes such a difference"
    )
    return f"{better} is better with probability {shown}; {chance}."


def _notes(compared: "Compared") -> list[str]:
    """What was left out, and what a reader must know of the comparison."""
    pair, notes = compared.pair, []
    if compared.target_weights:
        notes.append("weights: " + ", ".join(f"{name} {weight:g}" for name, weight in compared.target_weights.items()))
    elif compared.metric.reweighted is not None and len(pair.outputs) > 1:
        notes.append("note: all targets count alike; give --target-weights where they do not")
    for side, count in zip("AB", pair.left_out, strict=True):
        if count:
            notes.append(f"note: {count:,} rows of {side} are not in the other and were left out")
    if pair.in_other_folds:
        notes.append(
            f"note: {pair.in_other_folds:,} common rows are in another fold of B than of A; "
            "part of the difference is that of the folds"
        )
    units = compared.comparison.units
    if 1 < units < FEW_UNITS:
        notes.append(f"note: {units} {'rows' if pair.groups is None else 'groups'} are few; intervals are too narrow")
    if units > 1 and compared.comparison.undefined:
        notes.append(f"note: {compared.metric.name} is not defined on {compared.comparison.undefined:,} resamples")
    return notes


def _print_scores(compared: "Compared", console: "Console") -> None:
    found, pair = compared.comparison, compared.pair
    drawn = "rows" if pair.groups is None else f"rows in {found.units:,} groups"
    rows = [
        (name, _number(estimate.value, sign), _range(estimate.low, estimate.high, sign))
        for name, estimate, sign in (("A", found.a, ""), ("B", found.b, ""), ("B - A", found.difference, "+"))
    ]
    title = f"{compared.metric.name} on {found.rows:,} common {drawn}"
    print_table(console, title, ("", "score", "95% interval"), rows)


def _print_boards(compared: "Compared", console: "Console") -> None:

    from outfold.metrics import disagreement

    board = compared.boards[0]
    title = f"95% of scores on simulated leaderboards of {board.rows:,} rows, {board.public_rows:,} of them public"
    rows = [(name, *_board_ranges(scores)) for name, scores in zip("AB", compared.boards, strict=True)]
    print_table(console, title, ("", "public", "private", "public - private"), rows)
    share = disagreement(*compared.boards)
    say(console, f"Public and private part put A and B in different order in {share:.0%} of them.")
    if board.undefined:
        say(console, f"note: {board.undefined:,} of them are left out, the metric is not defined there")
    if compared.ranks is not None:
        console.print()
        _print_ranks(compared.ranks, console)


def _board_ranges(board: "Leaderboard") -> list[str]:
    from outfold.metrics import middle

    parts = ((board.public, ""), (board.private, ""), (board.gap, "+"))
    return [_range(*middle(scores), sign) for scores, sign in parts]


def _print_ranks(ranks: "tuple[Ranks, Ranks]", console: "Console") -> None:

    from outfold.metrics import middle

    rows = []
    for name, simulated in zip(("a test set each", "one test set"), ranks, strict=True):
        scores = (simulated.first, simulated.median, simulated.last, simulated.winner_private)
        low, high = middle(simulated.winner_rank)
        rows.append((name, *map(_number, scores), f"{low:,.0f} to {high:,.0f}"))
    title = f"{ranks[0].teams:,} models as good as A: mean public scores by rank, and the first one's private end"
    print_table(console, title, ("", "first", "median", "last", "its private", "its rank, 95%"), rows)
    explanation = (
        "A test set each: an upper bound on luck. "
        "One test set: all teams share it and differ from each other as B does from A."
    )
    say(console, explanation)


def _number(value: float, sign: str = "") -> str:
    """A score with four digits, or a dash where there is none."""
    return "-" if isnan(value) else f"{value:{sign}.4f}"


def _range(low: float, high: float, sign: str = "") -> str:
    return "-" if isnan(low) else f"{_number(low, sign)} to {_number(high, sign)}"


def _title(path: Path, prefix: str | None) -> str:
    return str(path) if prefix is None else f"{path}, columns {prefix}*"
