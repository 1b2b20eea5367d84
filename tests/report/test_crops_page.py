"""The page of crop boxes before its script runs: what it holds, says and leaves out."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from outfold.data.crops import Box
from outfold.report.review import write_crop_review
from outfold.report.review.crops import CropReview


@pytest.fixture
def photos(tmp_path: Path) -> list[tuple[str, str, Path]]:
    """Five photos of 90 x 60 pixels."""
    found = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (60, 90, 3), np.uint8)).save(path)
        found.append(("train.csv", f"p{number}", path))
    return found


def write(
    tmp_path: Path, photos: list[tuple[str, str, Path]], **options: Any
) -> tuple[CropReview, str, dict[str, Any]]:
    written = write_crop_review(tmp_path / "crops.html", photos, **{"title": "Plots", **options})
    text = written.path.read_text(encoding="utf-8")
    data = re.search(r'id="data"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert data is not None
    return written, text, json.loads(data[1])


def test_photos_carry_their_own_size_and_their_boxes(photos: list[tuple[str, str, Path]], tmp_path: Path) -> None:
    written, text, data = write(tmp_path, photos, boxes={"p3": Box(1, 2, 80, 60), "other": Box(0, 0, 5, 6)})
    assert [(one["id"], one["width"], one["height"]) for one in data["photos"]] == [(f"p{n}", 90, 60) for n in range(5)]
    assert [one["box"] for one in data["photos"]] == [None, None, None, [1, 2, 80, 60], None]
    assert data["kept"] == [["other", 0, 0, 5, 6]]
    assert (written.shown, written.preset, written.left_out, written.faults) == (5, 1, 0, ())
    assert "1 earlier box of photos that are not shown" in text


def test_photos_without_a_box_come_first_where_there_is_no_room(
    photos: list[tuple[str, str, Path]], tmp_path: Path
) -> None:
    known = {"p0": Box(0, 0, 9, 9), "p2": Box(0, 0, 8, 8)}
    written, text, data = write(tmp_path, photos, boxes=known, most=4)
    assert [one["id"] for one in data["photos"]] == ["p0", "p1", "p3", "p4"]
    assert data["kept"] == [["p2", 0, 0, 8, 8]]
    assert written.left_out == 1
    assert "1 further photo is not shown." in text


def test_faults_are_said_and_no_box_is_lost(photos: list[tuple[str, str, Path]], tmp_path: Path) -> None:
    photos[1][2].write_text("text")
    known = {"p1": Box(0, 0, 9, 9), "p2": Box(0, 0, 91, 9)}
    written, text, data = write(tmp_path, photos, boxes=known)
    assert [one["id"] for one in data["photos"]] == ["p0", "p2", "p3", "p4"]
    assert data["kept"] == [["p1", 0, 0, 9, 9]]
    assert data["photos"][1]["box"] is None
    assert "not an image" in written.faults[0]
    assert "right is 91, but the photo is 90 pixels wide" in written.faults[1]
    assert "2 photos of 5 with a fault" in text


def test_an_id_of_two_tables_is_shown_once(photos: list[tuple[str, str, Path]], tmp_path: Path) -> None:
    _, text, data = write(tmp_path, [*photos, ("test.csv", "p0", photos[0][2])])
    assert len(data["photos"]) == 5
    assert "1 id come" not in text
    assert "in several tables" in text


def test_large_photos_are_embedded_small(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 3000, 3), np.uint8)).save(path)
    _, _, data = write(tmp_path, [("train", "large", path)])
    assert (data["photos"][0]["width"], data["photos"][0]["height"]) == (3000, 1500)
    import base64
    import io

    small = Image.open(io.BytesIO(base64.b64decode(data["photos"][0]["image"].partition(",")[2])))
    assert small.size == (640, 320)


def test_nothing_in_the_page_comes_from_a_network_or_is_markup(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(path)
    hostile = "</script><script>alert(1)</script><!--"
    _, text, data = write(tmp_path, [(hostile, hostile, path)], title=hostile)
    assert data["photos"][0]["id"] == hostile
    assert text.count("<script") == 2
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src &#x27;none&#x27;" in text
