"""Made-up run folders, and a browser to look at their reports in."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chromium import Browser
from made_up_run import RunSpec

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run folder: make_run(kind="binary", rows=100, ..) -> its path."""

    def make(**settings: Any) -> Path:
        return RunSpec(**settings).write(tmp_path / f"data{len(list(tmp_path.iterdir()))}")

    return make


@pytest.fixture(scope="session")
def browser() -> str:
    """The program of an installed Chromium."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser found; looked for {', '.join(BROWSERS)}")
    return found


@pytest.fixture
def devtools(browser: str, tmp_path: Path) -> Iterator[Browser]:
    """A running browser with an empty profile, to press keys and click in."""
    started = Browser(browser, tmp_path / "browser")
    yield started
    started.close()
