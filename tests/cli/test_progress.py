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


def test_a_mean_of_epochs_is_told_beside_the_best_epoch():
    out = io.StringIO()
    event = {"event": "combined", "job": "fit/a/fold0-seed0 fit", "how": "greedy_soup", "epochs": [3, 7], "batches": 4}
    with live(Console(file=out, width=300)) as emit:
        scores = {"before": {"valid_loss": 0.5, "r2": None}, "scores": {"valid_loss": 0.25, "r2": None}}
        emit(event | scores)
        emit(event | {"how": "average", "before": {}, "scores": {}})
    lines = [line for line in out.getvalue().splitlines() if line]
    assert lines == [
        "fit/a/fold0-seed0 fit  greedy soup of epochs 3, 7  "
        "valid 0.2500 (best epoch 0.5000)  r2 undefined (best epoch undefined)",
        "fit/a/fold0-seed0 fit  average of epochs 3, 7",
    ]


def test_the_speed_is_that_of_what_the_recipe_calls_its_samples():
    out = io.StringIO()
    epoch = {"event": "epoch", "job": "fit/a", "phase": "all", "epoch": 1, "train_loss": 0.5}
    with live(Console(file=out, width=300)) as emit:
        emit({"event": "planned", "jobs": 3, "done": 0, "megapixels": 1.0, "sample": "clip"})
        emit(epoch | {"images_per_second": 31.6, "wait_share": 0.02})
        emit(epoch | {"images_per_second": 0.43, "wait_share": 0})
    assert "(32 clips/s, 2% waiting)" in out.getvalue()
    assert "(0.4 clips/s, 0% waiting)" in out.getvalue()


def test_rows_that_are_left_out_are_named():
    out = io.StringIO()
    why = "their media cannot be used"
    event = {"event": "dropped", "table": "new", "rows": 5, "why": why}
    with live(Console(file=out, width=300)) as emit:
        reason = "x.ogg: the recording is damaged\n  got: garbage"
        emit(event | {"first": [(f"x_{end}", reason) for end in (5, 10, 15, 20)]})
        emit(event | {"rows": 1, "table": "train"})
    lines = [line for line in out.getvalue().splitlines() if line]
    assert lines == [
        f"left out 5 rows of the new table: {why}",
        *(f"    x_{end}: x.ogg: the recording is damaged" for end in (5, 10, 15)),
        "    and 2 more",
        f"left out 1 row of the train table: {why}",
    ]
