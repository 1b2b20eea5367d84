"""`outfold diagnose`: what each member of a run adds, how alike members are, and which of them carries a shift."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outfold.cli.printing import print_table, say

if TYPE_CHECKING:
    from rich.console import Console

MOST_IN_MATRIX = 12
"""With more members the matrix does not fit a terminal; the pairs that are most alike are listed instead."""
MOST_PAIRS = 10


def diagnose(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run of at least two members.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Folder of the run's tables, for the groups of test rows [default: the run's own]."
        ),
    ] = None,
    *,
    json: Annotated[Path | None, typer.Option("--json", help="Also write what was found to this JSON file.")] = None,
) -> None:
    """Look at the members of a run: scores, what each adds to the blend, how alike they rank, train against test.

    Nothing is trained. Writes diagnosis.json into the run folder and shows it in report.html.
    """
    from rich.console import Console

    from outfold.files import write_json
    from outfold.report import write_report
    from outfold.runs.diagnose import write_diagnosis

    console = Console()
    found = write_diagnosis(run, root=data)
    report = write_report(run, root=data)
    print_diagnosis(found, console)
    say(console, "", f"report       {report}")
    if json is not None:
        write_json(json, found)


def print_diagnosis(found: Mapping[str, Any], console: "Console") -> None:
    """Print what `outfold.runs.diagnose` found."""
    _print_members(found, console)
    _print_likeness(found, console)
    _print_divergence(found, console)
    _print_adversarial(found, console)
    say(console, *(f"note: {note}" for note in found["notes"]))


def _print_members(found: Mapping[str, Any], console: "Console") -> None:
    drawn = "rows" if found["groups"] is None else f"rows in {found['groups']:,} groups"
    members, blend = found["members"], found["blend"]
    rows = [
        (one["name"], _number(one["score"]["value"]), _range(one["score"]), f"{one['weight']:.3f}") for one in members
    ]
    rows.append((f"all, by {found['method']}", _number(blend["value"]), _range(blend), ""))
    title = f"{found['metric']} on {found['rows']:,} {drawn}"
    print_table(console, title, ("", "score", "95% interval", "weight"), rows)
    if found["learning"] is not None:
        gain = found["learning"]["gain_over_mean"]
        said = (
            f"learning the weights: {_number(gain['value'], '+')} ({_range(gain, '+')}) over the plain mean, nested; "
        )
        say(console, said + f"in sample the blend would seem to score {_number(found['learning']['in_sample'])}")
    console.print()
    gains = [
        (one["name"], _number(one["gain"]["value"], "+"), _range(one["gain"], "+"), _number(one["importance"], "+"))
        for one in members
    ]
    title = "what each adds: score of all minus score of the others, and its share in telling test rows"
    print_table(console, title, ("", "adds", "95% interval", "tells test"), gains)
    helps, harms = ([one["name"] for one in members if _surely(one, found, sign)] for sign in (1, -1))
    say(console, f"adds beyond chance: {', '.join(helps) or 'none alone'}")
    say(console, *([f"takes away beyond chance: {', '.join(harms)}"] if harms else []), "")


def _surely(member: Mapping[str, Any], found: Mapping[str, Any], sign: int) -> bool:
    """Whether the whole interval of a member's gain is on the side of better (1) or of worse (-1)."""
    side = sign if found["greater_is_better"] else -sign
    ends = [member["gain"][name] for name in ("low", "high")]
    return None not in ends and min(side * end for end in ends) > 0


def _print_likeness(found: Mapping[str, Any], console: "Console") -> None:
    names = [one["name"] for one in found["members"]]
    matrix = found["rank_correlation"]
    if len(names) <= MOST_IN_MATRIX:
        numbers = [str(place) for place in range(1, len(names) + 1)]
        rows = [
            (number, name, *(_number(value, digits=3) for value in line))
            for number, name, line in zip(numbers, names, matrix, strict=True)
        ]
        title = "rank correlation (Spearman); the less, the more a blend can gain"
        print_table(console, title, ("", "", *numbers), rows)
    else:
        pairs = [(matrix[i][j], names[i], names[j]) for i in range(len(names)) for j in range(i)]
        most = sorted(pairs, key=lambda pair: 2.0 if pair[0] is None else -pair[0])[:MOST_PAIRS]
        listed = [(one, other, _number(value, digits=3)) for value, one, other in most]
        print_table(console, "rank correlation (Spearman) of the members most alike", ("", "", "r"), listed)
    console.print()


def _print_divergence(found: Mapping[str, Any], console: "Console") -> None:
    known = [(one["name"], part) for one, part in zip(found["members"], found["divergence"], strict=True) if part]
    if not known:
        return
    rows = [
        (
            name,
            " - ".join(pair["outputs"]),
            *(_number(pair[key], "+", 2) for key in ("train", "test")),
            _number(pair["limit"], digits=2),
        )
        for name, part in known
        for pair in part["pairs"]
        if pair["flagged"]
    ]
    if rows:
        title = "outputs whose correlation differs between training and test rows by more than chance"
        print_table(console, title, ("", "outputs", "train", "test", "chance"), rows, words=("", "outputs"))
    else:
        say(console, "correlations between outputs: none differs between training and test rows by more than chance")
    hidden = sum(part["flagged"] for _, part in known) - len(rows)
    say(console, *([f"and {hidden} more pairs, see diagnosis.json"] if hidden else []), "")


def _print_adversarial(found: Mapping[str, Any], console: "Console") -> None:
    if found["adversarial"] is None:
        return
    auc, part = found["adversarial"]["auc"], found["adversarial"]
    said = f"adversarial validation: ROC-AUC {_number(auc['value'], digits=3)} ({_range(auc, digits=3)})"
    said += f" for telling {part['test_rows']:,} test rows from {part['train_rows']:,} training rows; "
    said += "members see the two tables differently" if part["alarming"] else "nothing tells them apart"
    say(console, said)


def _number(value: float | None, sign: str = "", digits: int = 4) -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def _range(estimate: Mapping[str, float | None], sign: str = "", digits: int = 4) -> str:
    if estimate["low"] is None:
        return "-"
    return f"{_number(estimate['low'], sign, digits)} to {_number(estimate['high'], sign, digits)}"
