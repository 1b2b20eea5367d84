from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from outfold.data.checks import check_data
from outfold.data.folds import FoldTable
from outfold.data.inspection import inspect_file, inspect_files
from outfold.data.label_checks import fold_findings
from outfold.data.table import samples_from_frame
from outfold.settings.data import Data
from outfold.settings.folds import Folds
from outfold.settings.task import Task


class Folder:
    """A table with photos in a folder, and faults planted in it."""

    def __init__(self, root: Path, n: int = 24) -> None:
        self.root = root
        self.rows = [{"id": f"p{i:02d}", "label": "ab"[i % 2], "patient": f"q{i}"} for i in range(n)]
        self.test = [{"id": f"t{i}"} for i in range(3)]
        (root / "images").mkdir()
        for number, row in enumerate([*self.rows, *self.test]):
            self.photo(row["id"], number)

    def path(self, name: str) -> Path:
        return self.root / "images" / f"{name}.jpg"

    def photo(self, name: str, seed: int, mode: str = "RGB") -> None:
        pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(self.path(name), "JPEG" if mode in ("RGB", "L") else "PNG")

    def check(self, *, classes=None, kind="multiclass", folds=None, on_bad_media="stop", target=("label",)):
        pd.DataFrame(self.rows).to_csv(self.root / "train.csv", index=False)
        pd.DataFrame(self.test).to_csv(self.root / "test.csv", index=False)
        data = Data(
            train="train.csv", test="test.csv", id="id", image={"path": "images/{id}.jpg"}, on_bad_media=on_bad_media
        )
        task = Task(kind=kind, target=target, metric="accuracy", classes=classes)
        return check_data(data, task, folds or Folds(k=3), self.root, workers=2)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def found(checked, text, level):
    """The only finding of this level whose sentence holds the text."""
    hits = [finding for finding in checked.findings if text in finding.what and finding.level == level]
    assert len(hits) == 1, [(finding.level, finding.what) for finding in checked.findings]
    return hits[0]


def test_sound_data_has_only_notes(folder):
    checked = folder.check()
    assert checked.ok
    assert {finding.level for finding in checked.findings} == {"note"}
    assert "24 photos: 24 JPEG RGB; all 60 x 40 pixels" in found(checked, "train: 24 photos", "note").what
    assert "2 classes: 12 rows in the smallest" in found(checked, "2 classes", "note").what
    assert len(checked.folds) == 24


def test_every_kind_of_bad_file_is_named(folder):
    folder.path("p03").unlink()
    folder.path("p04").write_bytes(b"")
    folder.path("p05").write_text("not a photo")
    whole = folder.path("p06").read_bytes()
    folder.path("p06").write_bytes(whole[: len(whole) // 2])
    folder.photo("p07", 7, mode="RGBA")
    whole = folder.path("p07").read_bytes()
    folder.path("p07").write_bytes(whole[: len(whole) // 2])
    folder.path("t1").unlink()
    checked = folder.check()
    assert not checked.ok
    missing = [finding for finding in checked.findings if "missing" in finding.what]
    assert [place.row for finding in missing for place in finding.places] == ["train.csv:5", "test.csv:3"]
    assert missing[0].places[0].id == "p03"
    assert missing[0].places[0].file == "images/p03.jpg"
    assert [place.id for place in found(checked, "empty", "error").places] == ["p04"]
    assert [place.id for place in found(checked, "unreadable", "error").places] == ["p05"]
    damaged = found(checked, "truncated", "error")
    assert [place.id for place in damaged.places] == ["p06", "p07"]
    assert "cut short" in damaged.places[0].note
    assert "on_bad_media: drop" in damaged.fix


def test_bad_files_that_are_dropped_are_warnings(folder):
    folder.path("p03").unlink()
    checked = folder.check(on_bad_media="drop")
    assert checked.ok
    assert found(checked, "missing", "warning").places[0].id == "p03"
    assert "p03" not in set(checked.folds.ids)


def test_repeated_and_missing_ids_do_not_hide_other_faults(folder):
    folder.rows[2]["id"] = "p01"
    folder.rows[8]["id"] = ""
    folder.path("p05").write_bytes(b"")
    checked = folder.check()
    repeated = found(checked, "given more than once: p01", "error")
    assert [place.row for place in repeated.places] == ["train.csv:3", "train.csv:4"]
    assert not checked.ok
    folder.rows[8]["id"] = "p08"
    assert found(folder.check(), "empty", "error").places[0].id == "p05"


def test_ids_missing(tmp_path):
    (tmp_path / "train.csv").write_text("id,label\nx,1\n,2\ny,1\n")
    data, task = Data(train="train.csv", id="id"), Task(kind="multiclass", target="label", metric="accuracy")
    checked = check_data(data, task, Folds(k=2), tmp_path)
    assert [place.row for place in found(checked, "without an id", "error").places] == ["train.csv:3"]


def test_labels_missing_or_not_allowed(folder):
    folder.rows[0]["label"], folder.rows[1]["label"] = None, "c"
    checked = folder.check(classes=("a", "b"))
    assert [place.row for place in found(checked, "without a label", "error").places] == ["train.csv:2"]
    wrong = found(checked, "not among the classes a, b", "error")
    assert (wrong.places[0].id, wrong.places[0].note) == ("p01", "label 'c'")


@pytest.mark.parametrize(("kind", "words"), [("regression", "a finite number"), ("multilabel", "0 or 1")])
def test_numbers_that_are_none(folder, kind, words):
    for number, row in enumerate(folder.rows):
        row["label"] = str(number % 2)
    folder.rows[4]["label"] = "seven"
    assert found(folder.check(kind=kind), words, "error").places[0].id == "p04"


def test_a_target_column_that_is_not_there(folder):
    checked = folder.check(target=("lable",))
    assert "did you mean 'label'" in found(checked, "no column 'lable'", "error").fix


def test_classes_too_small_for_the_folds(folder):
    folder.rows[0]["label"] = folder.rows[1]["label"] = "rare"
    assert "rare (2)" in found(folder.check(), "fewer rows than the 3 folds", "warning").what
    stratified = folder.check(folds=Folds(k=3, stratify="label"))
    assert "'rare' (2)" in found(stratified, "too few rows for 3 folds", "error").what


def test_a_group_that_swallows_a_class(folder):
    for row in folder.rows[:4]:
        row |= {"label": "c", "patient": "one"}
    for row in folder.rows[10:]:
        row["patient"] = "huge"
    checked = folder.check(folds=Folds(k=3, group="patient"))
    swallowed = found(checked, "all rows of class c (4)", "warning")
    assert "one group holds them all" in swallowed.what
    assert [place.id for place in swallowed.places] == ["p00", "p01", "p02", "p03"]
    assert "14 rows, 58% of the table" in found(checked, "one group holds 14", "warning").what


def test_too_few_groups(folder):
    for number, row in enumerate(folder.rows):
        row["patient"] = f"q{number % 2}"
    assert not folder.check(folds=Folds(k=3, group="patient")).ok


def test_equal_files(folder):
    folder.path("p10").write_bytes(folder.path("p01").read_bytes())  # labels a and b
    folder.path("p12").write_bytes(folder.path("p02").read_bytes())  # both a
    folder.path("t0").write_bytes(folder.path("p05").read_bytes())
    checked = folder.check()
    clash = found(checked, "different labels", "warning")
    assert [(place.id, place.note) for place in clash.places] == [("p01", "label b"), ("p10", "label a")]
    assert "share a fold" in found(checked, "same label", "note").what
    overlap = found(checked, "also in the training table", "warning")
    assert (overlap.places[0].id, overlap.places[0].note) == ("t0", "same file as id p05 of the training table")
    places = [checked.findings.index(finding) for finding in (clash, found(checked, "same label", "note"), overlap)]
    assert places == sorted(places)
    loose = folder.check(folds=Folds(k=3, duplicates="ignore"))
    assert "leaks" in found(loose, "same label", "warning").what


def test_ids_of_both_tables(folder):
    folder.test[0]["id"] = "p00"
    assert found(folder.check(), "1 id of the test table also", "warning").places[0].row == "test.csv:2"


def test_paths_that_leave_the_root_and_tables_that_are_not_there(folder):
    folder.rows[3]["id"] = "../../etc/passwd"
    checked = folder.check()
    assert "train.csv:5" in found(checked, "leaves the data root", "error").what
    task = Task(kind="multiclass", target="label", metric="accuracy")
    checked = check_data(Data(train="none.csv", id="id"), task, Folds(), folder.root)
    assert checked.train is None
    assert not checked.ok


def test_several_sources_each_with_its_faults(tmp_path):
    (tmp_path / "one.csv").write_text("id,label\nx,1\ny,2\n")
    (tmp_path / "two.csv").write_text("id,label\ny,1\nz,2\n")
    data = Data(train=("one.csv", "two.csv", "three.csv"), id="id")
    checked = check_data(data, Task(kind="multiclass", target="label", metric="accuracy"), Folds(k=2), tmp_path)
    repeated = found(checked, "given more than once: y", "error")
    assert [place.row for place in repeated.places] == ["one.csv:3", "two.csv:2"]
    assert "three.csv" in found(checked, "three.csv", "error").what


def test_modes_sizes_and_orientation(folder):
    folder.photo("p00", 0, mode="L")
    folder.photo("p01", 1, mode="RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(folder.path("p02"), exif=exif)
    what = found(folder.check(), "train: 24 photos", "note").what
    for words in (
        "22 JPEG RGB",
        "1 JPEG L",
        "1 PNG RGBA",
        "2 sizes, shorter side 20 to 40",
        "EXIF orientation: 1",
        "over white: 1",
    ):
        assert words in what


def test_fold_findings_on_plain_arrays():
    samples = samples_from_frame(pd.DataFrame({"id": range(6)}), Data(train="t", id="id"), Path())
    table = FoldTable(samples.ids, np.array([0, 0, 0, 1, 1, 1]))
    member = np.array([[1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 1]], dtype=bool).T
    assert [finding.level for finding in fold_findings(table, ["a", "b"], member, samples)] == ["note"]
    member[2] = [True, False]
    assert (
        "all rows of class b (2) are in fold 1 (by chance)" in fold_findings(table, ["a", "b"], member, samples)[0].what
    )
    table = FoldTable(samples.ids, np.array([0, 0, 1, 1, 2, 2]))
    what = [finding.what for finding in fold_findings(table, ["a", "b"], member[[0, 4, 1, 5, 2, 3]], samples)]
    assert what[0] == "fold 2 has no row of 1 class: b"


def test_a_folder_in_place_of_a_file(tmp_path):
    assert inspect_file(tmp_path).fault == "unreadable"


def test_files_are_inspected_once_and_progress_is_told(folder):
    told = []
    paths = [folder.path("p00"), folder.path("p01"), folder.path("p00")]
    files = inspect_files(paths, workers=2, progress=lambda done, total: told.append((done, total)))
    assert files[0] is files[2]
    assert told == [(1, 2), (2, 2)]
    assert files[0].info.width == 60
