import io

from rich.console import Console

from outfold.cli.progress import live


def test_cells_that_training_never_saw_are_told_once_a_column():
    out = io.StringIO()
    with live(Console(file=out, width=300)) as emit:
        for fold in range(2):
            cells = {"name body region": 3, "number age": 1}
            emit({"event": "unfamiliar", "folder": f"run/a/fold{fold}-seed0", "rows": 18, "cells": cells})
    lines = [line for line in out.getvalue().splitlines() if line]
    assert [line.startswith("warning: ") for line in lines] == [True, True]
    assert "3 of 18 cells in column 'body region'" in lines[0]
    assert "fold0-seed0" in lines[0]
    assert "1 of 18 cells in column 'age'" in lines[1]
