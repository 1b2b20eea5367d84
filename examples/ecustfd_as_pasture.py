"""Lay ECUSTFD, photos of food with masses, out like CSIRO Image2Biomass, to try its recipes on real photos.

    python examples/ecustfd_as_pasture.py ECUSTFD_FOLDER OUT --pairs 6 --test-share 0.2

ECUSTFD_FOLDER holds labels.csv (columns file, object_id, group_id, view, types, fruit_g, bakery_g, egg_g, weight_g,
volume_cm3) and the photos it names. A photo of a portion from above and one from the side become one picture, twice as
wide as high: each is shrunk into a square of its own. Every photo is used at most once. OUT then holds the tables and
folders of the competition, under its names where it has one for the same thing:

    Sampling_Date         the group: photos of one piece of food, alone or on a plate with another
    State, Species        fruit, bakery, egg or mixed, and the foods on the plate
    target_name           fruit_g, bakery_g and egg_g, and weight_g, which is their exact sum
    volume_cm3            what a sensor measures, in train.csv alone, as NDVI and height are there

The recipes then need other targets, and no flip that would swap the two photos, which two streams tell apart (with it,
the hardest fold lost 0.055 of weighted R2):

    outfold run csiro2025-8th --profile small --data OUT
        --set 'task.target=[fruit_g, bakery_g, egg_g, weight_g]'
        --set 'task.target_weights!={fruit_g: 0.1, bakery_g: 0.1, egg_g: 0.1, weight_g: 0.5}'
        --set 'task.identities!={weight_g: [fruit_g, bakery_g, egg_g]}'
        --set 'stage1.steps=[{zero_below: 0.1}]'
        --set 'fit.augment=[vflip, {color_jitter: {brightness: 0.2, contrast: 0.2, saturation: 0.2, p: 0.4}}]'
        --set 'fit.predict.tta=[identity, vflip]'
    outfold run csiro2025-4th --profile small --data OUT
        (the three settings of the task as above)
        --set 'fit.table.numeric=[volume_cm3]' --set 'sensors.target=[volume_cm3]'
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

PARTS = ("fruit_g", "bakery_g", "egg_g")
TARGETS = (*PARTS, "weight_g")
COLUMNS = [
    "sample_id",
    "image_path",
    "Sampling_Date",
    "State",
    "Species",
    "volume_cm3",
    "target_name",
    "target",
]
GREY = (128, 128, 128)


def pairs_of(labels: pd.DataFrame, most: int | None = None) -> pd.DataFrame:
    """Photos of a portion from above and from the side, paired in the order of their names.

    Args:
        labels: the rows of labels.csv.
        most: pairs of one portion; all that there are when None.

    Returns:
        A row for each pair: name, top, side (files), and the columns of the portion.
    """
    rows = []
    for portion, photos in labels.sort_values("file").groupby("object_id", sort=True):
        top, side = (photos.loc[photos["view"] == view, "file"].tolist() for view in ("top", "side"))
        for number, (above, beside) in enumerate(list(zip(top, side, strict=False))[:most], 1):
            known = photos.iloc[0].drop(["file", "view"]).to_dict()
            rows.append({"name": f"{portion}_{number}", "top": above, "side": beside, **known})
    return pd.DataFrame(rows)


def kind_of(masses: Sequence[float]) -> str:
    """The only part that weighs anything, or mixed."""
    present = [name.removesuffix("_g") for name, mass in zip(PARTS, masses, strict=True) if mass > 0]
    return present[0] if len(present) == 1 else "mixed"


def long_table(pairs: pd.DataFrame, folder: str) -> pd.DataFrame:
    """A row for each picture and target, in the competition's columns."""
    rows = [row for pair in pairs.to_dict("records") for row in _rows(pair, folder)]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("sample_id", ignore_index=True)


def _rows(pair: dict[str, object], folder: str) -> Iterator[dict[str, object]]:
    tenths = [round(10 * float(str(pair[part]))) for part in PARTS]
    masses = dict(zip(TARGETS, [grams / 10 for grams in (*tenths, sum(tenths))], strict=True))
    if masses["weight_g"] != pair["weight_g"]:
        raise SystemExit(f"{pair['name']}: the parts add up to {masses['weight_g']} g, not to {pair['weight_g']} g")
    for target, grams in masses.items():
        yield {
            "sample_id": f"{pair['name']}__{target}",
            "image_path": f"{folder}/{pair['name']}.jpg",
            "Sampling_Date": pair["group_id"],
            "State": kind_of([masses[part] for part in PARTS]),
            "Species": pair["types"],
            "volume_cm3": pair["volume_cm3"],
            "target_name": target,
            "target": grams,
        }


def side_by_side(top: np.ndarray, side: np.ndarray, size: int) -> np.ndarray:
    """Two photos, uint8 (h, w, 3) of any shape, as one of (size, 2 * size, 3)."""
    return np.concatenate([squared(top, size), squared(side, size)], axis=1)


def squared(photo: np.ndarray, size: int) -> np.ndarray:
    """A photo in the middle of a grey square, its longer side as long as the square's."""
    height, width = (max(1, round(side * size / max(photo.shape[:2]))) for side in photo.shape[:2])
    inner = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    top, left = (size - height) // 2, (size - width) // 2
    return cv2.copyMakeBorder(
        inner, top, size - height - top, left, size - width - left, cv2.BORDER_CONSTANT, value=GREY
    )


def kept_back(groups: pd.Series, share: float, seed: int) -> np.ndarray:
    """Bool (n,): rows of whole groups, drawn at random until there are at least this share of the rows."""
    drawn = np.random.default_rng(seed).permutation(np.sort(groups.unique()))
    sizes = np.array([int((groups == name).sum()) for name in drawn])
    before = np.cumsum(sizes) - sizes
    return groups.isin(drawn[before < share * len(groups)]).to_numpy()


def write_pictures(pairs: pd.DataFrame, source: Path, folder: Path, size: int) -> None:
    """Paste and write the pictures of some pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    for pair in pairs.to_dict("records"):
        photos = [cv2.imread(str(source / pair[view])) for view in ("top", "side")]
        picture = side_by_side(photos[0], photos[1], size)
        cv2.imwrite(str(folder / f"{pair['name']}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])


def main() -> None:
    """Read the arguments and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of ECUSTFD's labels.csv")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--pairs", type=int, help="of one portion at most; all that there are when not given")
    parser.add_argument("--size", type=int, default=256, help="height of a picture in pixels; it is twice as wide")
    parser.add_argument("--test-share", type=float, default=0.2, help="share of pictures that are kept back, by group")
    parser.add_argument("--seed", type=int, default=0, help="decides which groups are kept back")
    given = parser.parse_args()
    out = given.out
    pairs = pairs_of(pd.read_csv(given.source / "labels.csv"), given.pairs)
    back = kept_back(pairs["group_id"], given.test_share, given.seed)
    tables = {}
    for folder, rows in (("train", pairs[~back]), ("test", pairs[back])):
        write_pictures(rows, given.source, out / folder, given.size)
        tables[folder] = long_table(rows, folder)
        groups, grams = rows["group_id"].nunique(), rows["weight_g"].mean()
        print(f"{folder}: {len(rows):,} pictures of {groups} groups, {grams:.0f} g in the mean")
    tables["train"].to_csv(out / "train.csv", index=False)
    tables["test"][["sample_id", "image_path", "target_name"]].to_csv(out / "test.csv", index=False)
    tables["test"][["sample_id", "target"]].to_csv(out / "solution.csv", index=False)
    tables["test"][["sample_id"]].assign(target=0.0).to_csv(out / "sample_submission.csv", index=False)


if __name__ == "__main__":
    main()
