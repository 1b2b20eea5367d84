"""The examples of docs/honest-scores.md run as they stand and print what the page shows."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from outfold.cli.compare import compare

PAGE = Path(__file__).parents[2] / "docs" / "honest-scores.md"


def test_the_examples_run(
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(shared_data("csiro") / "oof.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```(python|console)\n(.*?)```", PAGE.read_text(), flags=re.S)
    assert [kind for kind, _ in blocks].count("console") == 2
    for kind, text in blocks:
        if kind == "console":
            found = re.match(r"\$ (?:.*\\\n)*.*\n", text)
            assert found is not None
            command = found.group()
            assert printed(command.removeprefix("$ ")) == text.removeprefix(command)
        else:
            exec(compile(text, str(PAGE), "exec"), names)
            promised = re.findall(r"print\(.*  # (.*)", text)
            assert capsys.readouterr().out.splitlines()[: len(promised)] == promised


def printed(command: str) -> str:
    """What a command of the page prints, without spaces at the ends of lines."""
    app = typer.Typer()
    app.command()(compare)
    program, name, *arguments = shlex.split(command.replace("\\\n", ""))
    assert (program, name) == ("outfold", "compare")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return "".join(f"{line.rstrip()}\n" for line in result.output.splitlines())
