"""The command line as a process: help and errors come without loading what they do not need."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "timm", "pandas", "sklearn", "cv2", "scipy", "lightning_fabric")


def outfold(*arguments: str, code: int, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that then tells which heavy modules it loaded."""
    script = (
        "import atexit, sys; from outfold.cli import main; sys.argv[0] = 'outfold';"
        f"atexit.register(lambda: print('LOADED', [name for name in {HEAVY} if name in sys.modules], file=sys.stderr));"
        "main()"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["recipes"], ["recipes", "show", "solar-cells"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert "LOADED []" in outfold(*arguments, code=0).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "fine102"], "fine102-macro-f1"),
        (["run", "solar-cells"], "cells.csv"),
        (["run", "solar-cells", "--data", "nowhere"], "--data"),
        (["run", "solar-cells", "--set", "fit.batchsize=3"], "batch_size"),
        (["run", "solar-cells", "--profile", "smal"], "random"),
        (["check", "nowhere.yaml"], "nowhere.yaml"),
        (["predict", "nowhere", "new.csv"], "nowhere"),
        (["predict", "nowhere", "new.csv", "--out", "answer.txt"], ".csv or .parquet"),
        (["recipes", "show", "solar"], "solar-cells"),
    ],
)
def test_errors_are_sentences_and_load_nothing_heavy(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = outfold(*arguments, code=2, cwd=tmp_path)
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "LOADED []" in done.stderr
