"""The whole search on photos on disk, with a small fingerprint of the test's own."""

import cv2
import numpy as np
import pytest

from outfold.duplicates.copies import COPIES
from outfold.duplicates.find import NEAREST, Items, find_duplicates, nearest
from outfold.duplicates.outcome import rows_to_drop, summary, write_dropped, write_groups, write_pairs
from outfold.duplicates.pairs import Pairs
from outfold.errors import DataError
from outfold.settings.duplicates import Duplicates as Settings


class GreyFingerprint:
    """Mean grey thumbnail of the eight orientations."""

    identity = "grey thumbnails"

    def __call__(self, samples, progress=None):
        small = np.stack([cv2.resize(photo, (12, 12), interpolation=cv2.INTER_AREA).mean(axis=2) for photo in samples])
        turned = [np.rot90(small, turns, (1, 2)) for turns in range(4)]
        views = [*turned, *[view[:, :, ::-1] for view in turned]]
        return np.mean(views, axis=0).reshape(len(small), -1).astype(np.float32)


def scene(seed):
    rng = np.random.default_rng(seed)
    photo = cv2.resize(rng.integers(20, 200, (6, 8, 3), dtype=np.uint8), (160, 128), interpolation=cv2.INTER_CUBIC)
    for _ in range(5):
        middle = tuple(int(c) for c in rng.integers(10, 120, 2))
        cv2.circle(photo, middle, int(rng.integers(5, 25)), rng.integers(0, 255, 3).tolist(), -1)
    return photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """26 photos; one copy of each of the first six, in one kind each; and an exact copy of photo 7, twice."""
    place = tmp_path_factory.mktemp("photos")
    for row in range(26):
        cv2.imwrite(str(place / f"p{row:02d}.png"), scene(row))
    for row, (kind, copy) in enumerate(COPIES.items()):
        cv2.imwrite(str(place / f"{kind}.png"), copy(scene(row), np.random.default_rng(row)))
    for name in ("exact1", "exact2"):
        (place / f"{name}.png").write_bytes((place / "p07.png").read_bytes())
    return place


def items(folder, *, test=(), labels=None):
    paths = sorted(folder.glob("*.png"), key=lambda path: (not path.stem.startswith("p"), path.stem))
    ids = np.array([path.stem for path in paths], dtype=object)
    in_test = np.isin(ids, test)
    table = np.where(in_test, "test.csv", "train.csv").astype(object)
    return Items(ids, table, in_test, tuple(paths), labels or (None,) * len(ids), tuple(ids))


@pytest.fixture(scope="module")
def plain(folder):
    """The search without any option, run once."""
    return found(items(folder))


def found(chosen, **options):
    settings = Settings(**options.pop("settings", {}))
    return find_duplicates(chosen, settings, GreyFingerprint(), **options)


def ids(pairs):
    return set(zip(pairs["first"], pairs["second"], strict=True))


PLANTED = {(f"p{row:02d}", kind) for row, kind in enumerate(COPIES)}
EXACT = {("p07", "exact1"), ("p07", "exact2"), ("exact1", "p07"), ("exact2", "p07"), ("exact1", "exact2")}


def test_finds_planted_copies_and_nothing_else(plain):
    result = plain
    near = ids(result.pairs[~result.pairs["exact"]])
    assert near <= PLANTED
    assert len(near) >= 5
    exact = result.pairs[result.pairs["exact"]]
    assert len(exact) == 2
    assert ids(exact) <= EXACT
    assert (exact["similarity"] == 1).all()
    sizes = np.bincount(result.groups)
    assert sorted(sizes[sizes > 1].tolist()) == [2] * len(near) + [3]
    assert any("2 within train" in line for line in summary(result))


def test_again_gives_the_same(folder, plain):
    once, again = plain, found(items(folder), workers=3)
    assert once.pairs.equals(again.pairs)
    assert once.proposal == again.proposal


def test_decisions_part_and_join(folder):
    decisions = {("exact1", "p07"): "different", ("p20", "p21"): "same", ("flipped", "p03"): "unsure"}
    result = found(items(folder), decisions=decisions)
    group = dict(zip(result.items.ids, result.groups, strict=True))
    assert group["p20"] == group["p21"]
    assert group["flipped"] == group["p03"]
    assert ("p20", "p21") in ids(result.pairs)
    words = dict(
        zip(zip(result.pairs["first"], result.pairs["second"], strict=True), result.pairs["decision"], strict=True)
    )
    assert words["p03", "flipped"] == "unsure"
    assert group["exact1"] != group["p07"] or group["exact2"] == group["p07"]


def test_across_train_and_test_with_conflicting_labels(folder):
    base = items(folder, test=("turned", "exact1"))
    labels = tuple(
        None if t else ("odd" if name in ("flipped", "exact2") else "even")
        for name, t in zip(base.ids, base.test, strict=True)
    )
    result = found(items(folder, test=("turned", "exact1"), labels=labels))
    turned = result.pairs[(result.pairs["second"] == "turned")].iloc[0]
    assert (turned["first_table"], turned["second_table"]) == ("train.csv", "test.csv")
    assert not turned["conflict"]
    conflicts = result.pairs[result.pairs["conflict"]]
    assert ("p03", "flipped") in ids(conflicts)
    assert result.pairs["conflict"].tolist() == sorted(result.pairs["conflict"], reverse=True)
    dropped = rows_to_drop(result)
    names = {result.items.ids[one.row]: result.items.ids[one.kept] for one in dropped}
    assert not {"turned", "exact1"} & set(names)
    assert len([one for one in dropped if one.conflict]) >= 1


def test_files(plain, tmp_path):
    import pandas as pd

    result = plain
    pairs = pd.read_csv(write_pairs(tmp_path / "pairs.csv", result))
    columns = "first second first_table second_table similarity exact label_first label_second conflict"
    assert list(pairs.columns[:9]) == columns.split()
    groups = pd.read_csv(write_groups(tmp_path / "groups.csv", result))
    assert groups["id"].tolist() == result.items.ids.tolist()
    assert groups["group"].tolist() == result.groups.tolist()
    dropped = pd.read_csv(write_dropped(tmp_path / "dropped.csv", result, rows_to_drop(result)))
    assert set(dropped["kept"]) <= set(groups["id"])
    assert len(dropped) == len(groups) - groups["group"].nunique()


def test_an_unreadable_photo_is_counted(folder, tmp_path):
    base = items(folder)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no photo")
    more = Items(
        np.append(base.ids, "broken"), np.append(base.table, "train.csv"), np.append(base.test, False),
        (*base.paths, broken), (*base.labels, None), (*base.names, "train.csv:99"),
    )  # fmt: skip
    result = found(more)
    assert list(result.bad) == [len(base)]
    assert any("1 photo cannot be read" in line and "train.csv:99" in line for line in summary(result))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_photos_take_fixed_thresholds(folder, count):
    base = items(folder)
    few = Items(
        base.ids[:count],
        base.table[:count],
        base.test[:count],
        base.paths[:count],
        base.labels[:count],
        base.names[:count],
    )
    result = found(few)
    assert not len(result.pairs)
    assert result.groups.tolist() == list(range(count))


def test_a_threshold_of_ones_own(folder):
    assert not len(
        found(items(folder), settings={"threshold": 1.0, "cosine": 0.99}).pairs.query("not exact and similarity < 1")
    )


def test_the_preferred_source_must_exist(plain):
    with pytest.raises(DataError, match=r"preferred source[\s\S]*2019[\s\S]*train.csv"):
        rows_to_drop(plain, "2019")


def test_nearest_keeps_what_is_near_to_either():
    first, second = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 2, 3, 2, 3, 3])
    similarity = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32)
    kept, left_out = nearest(Pairs(first, second, similarity), 4, 1)
    assert list(zip(kept.first, kept.second, strict=True)) == [(0, 1), (0, 2), (0, 3)]
    assert left_out == 3
    assert nearest(Pairs(first, second, similarity), 4, NEAREST)[1] == 0
