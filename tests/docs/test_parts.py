"""The examples of docs/parts.md run as they stand."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "parts.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((300, 400, 3), 127, np.uint8))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)
    names: dict[str, object] = {}
    for block in blocks[:-1]:  # the last shows a run on a user's own recipe; tests/runs does that
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(blocks) >= 7
    assert names["fold"].shape == (200,)  # type: ignore[attr-defined]
    assert names["view"].shape == (224, 224, 3)  # type: ignore[attr-defined]
