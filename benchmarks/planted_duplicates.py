"""Recall and precision of the search for near-duplicates, with copies planted among real photos.

    uv run python benchmarks/planted_duplicates.py [--ham FOLDER | --table FOLDER --group COL [--split NAME]]
        [--photos 0] [--copies 100] [--sheet FILE]

Of each kind of copy 100 are planted, each from another photo, among the 2,624 solar-cell photos of the demo, or with
`--ham` among the photos of a folder with HAM10000's labels.csv (file, image_id, lesion_id), or with `--table` among
those of a folder with a labels.csv (file, and the column of `--group`). The threshold is the proposed one. A found pair
is right when one is the planted copy of the other; pairs of one lesion or group are neither right nor wrong. For
HAM10000 it also says how many pairs of one lesion lie above lower thresholds, and how many lesions with several photos
folds tear that keep these together. `--sheet` writes pictures of the false pairs.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from outfold.data.folds import make_folds
from outfold.data.media import decode_image
from outfold.data.table import Samples
from outfold.demo import load_cells
from outfold.duplicates.copies import COPIES
from outfold.duplicates.find import Duplicates, Items, find_duplicates
from outfold.duplicates.fingerprint import photo_fingerprint
from outfold.duplicates.link import link_pairs
from outfold.duplicates.outcome import summary
from outfold.settings.duplicates import Duplicates as Settings
from outfold.settings.folds import Folds

LOWER = (0.98, 0.95, 0.9, 0.85, 0.8)
"""Thresholds at which pairs of one lesion are counted; copies need a higher one."""


def photos_of(folder: Path | None, group: str, split: str | None) -> tuple[list[Path], np.ndarray]:
    """The photos of a folder's labels.csv, or its rows of one split, and the group of each.

    Without a folder, the solar cells, each a group of its own.
    """
    if folder is None:
        return list(load_cells()["file"]), np.arange(len(load_cells()))
    table = pd.read_csv(folder / "labels.csv")
    if split is not None:
        table = table[table["split"] == split]
    return [folder / name for name in table["file"]], pd.factorize(table[group])[0]


def plant(paths: list[Path], each: int, folder: Path, seed: int = 0) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """Write copies as PNG; returns their files, the photos they were made from, and their kinds."""
    rng = np.random.default_rng(seed)
    originals = rng.choice(len(paths), each * len(COPIES), replace=False)
    kinds = np.repeat(list(COPIES), each)
    files = []
    for number, (row, kind) in enumerate(zip(originals, kinds, strict=True)):
        copy = COPIES[str(kind)](decode_image(paths[row]), rng)
        files.append(folder / f"{kind}{number:05d}.png")
        cv2.imwrite(str(files[-1]), copy[:, :, ::-1])
    return files, originals, kinds


def items_from(paths: list[Path]) -> Items:
    """Rows without labels."""
    n = len(paths)
    ids = np.array([f"{row}-{path.stem}" for row, path in enumerate(paths)], dtype=object)
    return Items(ids, np.full(n, "table.csv", object), np.zeros(n, bool), tuple(paths), (None,) * n, tuple(ids))


def report(found: Duplicates, n: int, originals: np.ndarray, kinds: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Print recall by kind and precision; returns the false pairs."""
    pairs = found.pairs
    first, second = pairs["first_row"].to_numpy(), pairs["second_row"].to_numpy()
    origin = np.concatenate([np.arange(n), originals])
    planted = (second >= n) & (origin[first] == origin[second])
    there = np.isin(np.arange(len(originals)) + n, second[planted])
    for kind in COPIES:
        print(f"  {kind:13} recall {there[kinds == kind].mean():.3f}")
    akin = groups[origin[first]] == groups[origin[second]]
    false = ~planted & ~akin
    print(f"  all kinds     recall {there.mean():.3f}")
    print(f"  {akin.sum() - (planted & akin).sum()} other pairs of one group")
    print(f"  precision {planted.sum() / max(planted.sum() + false.sum(), 1):.4f}: {false.sum()} false pairs")
    return pairs[false]


def lesions(found: Duplicates, n: int, groups: np.ndarray) -> None:
    """Print how many pairs of one lesion and of two lie above some thresholds, and how many lesions folds then tear.

    Args:
        found: with a threshold below all that are tried.
        n: photos; the rest are planted.
        groups: lesion of each photo.
    """
    pairs = found.pairs[(found.pairs["second_row"] < n)]
    sizes = np.bincount(groups)
    there = int((sizes * (sizes - 1) // 2).sum())
    random = torn_lesions(np.arange(n), groups)
    print(f"  {there:,} pairs of one lesion; folds that know of none tear {random:.1%} of lesions with several photos")
    for threshold in LOWER:
        above = pairs[pairs["similarity"] >= threshold]
        first, second = above["first_row"].to_numpy(), above["second_row"].to_numpy()
        same = int((groups[first] == groups[second]).sum())
        torn = torn_lesions(link_pairs(n, first, second), groups)
        print(f"  similarity {threshold}: {same:,} pairs of one lesion, {len(above) - same:,} of two; {torn:.1%} torn")


def torn_lesions(linked: np.ndarray, groups: np.ndarray) -> float:
    """Share of the lesions with several photos that five folds tear when linked rows share a fold."""
    samples = Samples(pd.DataFrame({"linked": linked}), np.arange(len(linked)).astype(str).astype(object), None, "id")
    fold = make_folds(Folds(k=5, group=("linked",)), samples).fold
    torn = pd.Series(fold).groupby(groups).nunique() > 1
    return float(torn.sum() / (np.bincount(groups) > 1).sum())


def write_sheet(false: pd.DataFrame, paths: tuple[Path, ...], place: Path, most: int = 24) -> None:
    """False pairs side by side, the most similar first."""
    rows = []
    for pair in false.nlargest(most, "similarity").itertuples():
        sides = [cv2.resize(decode_image(paths[row]), (150, 150)) for row in (pair.first_row, pair.second_row)]
        picture = np.hstack([*sides, np.full((150, 10, 3), 255, np.uint8)])
        rows.append(cv2.putText(picture, f"{pair.similarity:.3f}", (4, 14), 0, 0.45, (255, 255, 0)))
    if rows:
        rows += [np.full_like(rows[0], 255)] * (-len(rows) % 4)
        sheet = np.vstack([np.hstack(rows[start : start + 4]) for start in range(0, len(rows), 4)])
        cv2.imwrite(str(place), sheet[:, :, ::-1])


def main() -> None:
    """Plant, search, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--ham", type=Path, help="folder of HAM10000")
    source.add_argument("--table", type=Path, help="folder of other photos, with a labels.csv")
    parser.add_argument("--group", default="label", help="column of --table; pairs within a group are not judged")
    parser.add_argument("--split", help="only rows with this in column split of --table")
    parser.add_argument("--photos", type=int, default=0, help="only this many photos, drawn at random")
    parser.add_argument("--copies", type=int, default=100, help="copies of each kind")
    parser.add_argument("--sheet", type=Path, help="picture file for the false pairs")
    arguments = parser.parse_args()
    ham = arguments.ham
    paths, groups = photos_of(ham or arguments.table, "lesion_id" if ham else arguments.group, arguments.split)
    if arguments.photos:
        kept = np.sort(np.random.default_rng(1).choice(len(paths), arguments.photos, replace=False))
        paths, groups = [paths[row] for row in kept], groups[kept]
    settings = Settings()
    with tempfile.TemporaryDirectory() as place:
        files, originals, kinds = plant(paths, arguments.copies, Path(place))
        items = items_from(paths + files)
        started = time.perf_counter()
        steps: dict[str, float] = {}

        def emit(event: dict) -> None:
            steps[event["what"]] = time.perf_counter() - started

        fingerprint = photo_fingerprint(settings.backbone, settings.weights, settings.size)
        found = find_duplicates(items, settings, fingerprint, workers=2, emit=emit)
        print(f"{len(paths):,} photos, {len(files)} copies planted, {time.perf_counter() - started:.0f} s")
        print("  finished after: " + ", ".join(f"{what} {seconds:.0f} s" for what, seconds in steps.items()))
        for line in summary(found):
            print(f"  {line}")
        print(f"  threshold {found.proposal.threshold:.4f}, expected false pairs {found.proposal.false:.1f}")
        false = report(found, len(paths), originals, kinds, groups)
        if ham is not None:
            lower = settings.model_copy(update={"threshold": min(LOWER)})
            lesions(find_duplicates(items, lower, fingerprint, workers=2), len(paths), groups)
        if arguments.sheet is not None:
            write_sheet(false, items.paths, arguments.sheet)


if __name__ == "__main__":
    main()
