"""Lay HAM10000 out like the melanoma competition of 2020, to try the recipe `isic2020-1st` on real photos.

    python examples/kaggle_melanoma_layout.py HAM10000_FOLDER OUT

HAM10000_FOLDER holds labels.csv (columns file, image_id, lesion_id, dx, age, sex, localization) and the photos it
names. Whole lesions are dealt out: about two thirds become 2020's rows with the lesion as their patient, some of which
are kept back as the test table; the others become 2019's with its names of diagnoses and no patient (-1). OUT then
holds

    train.csv, test.csv, jpeg/train/, jpeg/test/     as the competition gives them
    isic2019/train.csv, isic2019/train/              as the community's tables of the year before
    sample_submission.csv                            as the competition gives it
    solution.csv                                     what the test rows truly are, which a competition keeps to itself

2019's table also names the lesion, as that year's own metadata did, so that two photos of one lesion can share a fold:
`--set 'folds.group=[patient_id,lesion_id]'`.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

NAMES_2020 = {"nv": "nevus", "mel": "melanoma", "bkl": "seborrheic keratosis"}
"""Diagnoses as 2020 names them; all others were not told apart there and are `unknown`."""
NAMES_2019 = {"nv": "NV", "mel": "MEL", "bkl": "BKL", "bcc": "BCC", "akiec": "AK", "vasc": "VASC", "df": "DF"}
SITES = {
    **dict.fromkeys(["back", "trunk", "abdomen", "chest"], "torso"),
    **dict.fromkeys(["lower extremity", "upper extremity"], None),
    **dict.fromkeys(["face", "neck", "scalp", "ear"], "head/neck"),
    **dict.fromkeys(["foot", "hand", "acral"], "palms/soles"),
    "genital": "oral/genital",
}
"""HAM10000's places on the body in the words of 2020; None: they are the same."""
TABLE = [
    "image_name",
    "patient_id",
    "sex",
    "age_approx",
    "anatom_site_general_challenge",
    "diagnosis",
    "benign_malignant",
    "target",
]
TEST = ["image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge"]


def years_of(lesions: pd.Series, seed: int) -> np.ndarray:
    """For each row 2020, test or 2019: 55%, 12% and 33% of the lesions, each lesion as a whole."""
    names = np.sort(lesions.unique())
    share = np.random.default_rng(seed).permutation(len(names)) / len(names)
    year = np.select([share < 0.55, share < 0.67], ["2020", "test"], "2019")
    return pd.Series(year, index=names).loc[lesions].to_numpy()


def kaggle_columns(labels: pd.DataFrame, year: np.ndarray) -> pd.DataFrame:
    """The competition's columns, with `file` and `lesion_id` beside them."""
    site = labels["localization"].map(lambda name: SITES.get(name) or name, na_action="ignore")
    earlier = year == "2019"
    melanoma = (labels["dx"] == "mel").astype(int)
    return pd.DataFrame(
        {
            "image_name": labels["image_id"],
            "patient_id": labels["lesion_id"].where(~earlier, "-1"),
            "sex": labels["sex"],
            "age_approx": labels["age"],
            "anatom_site_general_challenge": site,
            "diagnosis": labels["dx"].map(NAMES_2019).where(earlier, labels["dx"].map(NAMES_2020).fillna("unknown")),
            "benign_malignant": np.where(melanoma == 1, "malignant", "benign"),
            "target": melanoma,
            "file": labels["file"],
            "lesion_id": labels["lesion_id"],
        }
    )


def write_part(rows: pd.DataFrame, columns: list[str], table: Path, photos: Path, source: Path) -> None:
    """Write one table and copy its photos, named by image."""
    photos.mkdir(parents=True, exist_ok=True)
    rows[columns].to_csv(table, index=False)
    for file, name in zip(rows["file"], rows["image_name"], strict=True):
        shutil.copyfile(source / file, photos / f"{name}.jpg")


def main() -> None:
    """Read the arguments and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of HAM10000's labels.csv")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="decides which lesions go where")
    parser.add_argument("--lesions", type=int, help="take so many lesions only, drawn at random")
    arguments = parser.parse_args()
    labels, out = pd.read_csv(arguments.source / "labels.csv"), arguments.out
    if arguments.lesions is not None:
        names = np.random.default_rng(arguments.seed).permutation(np.sort(labels["lesion_id"].unique()))
        labels = labels[labels["lesion_id"].isin(names[: arguments.lesions])].reset_index(drop=True)
    year = years_of(labels["lesion_id"], arguments.seed)
    rows = kaggle_columns(labels, year)
    parts = {name: rows[year == name] for name in ("2020", "test", "2019")}
    out.mkdir(parents=True, exist_ok=True)
    write_part(parts["2020"], TABLE, out / "train.csv", out / "jpeg" / "train", arguments.source)
    write_part(parts["test"], TEST, out / "test.csv", out / "jpeg" / "test", arguments.source)
    (out / "isic2019").mkdir(exist_ok=True)
    own = [*TABLE, "lesion_id"]
    write_part(parts["2019"], own, out / "isic2019" / "train.csv", out / "isic2019" / "train", arguments.source)
    parts["test"][["image_name", "target"]].to_csv(out / "solution.csv", index=False)
    parts["test"][["image_name"]].assign(target=0).to_csv(out / "sample_submission.csv", index=False)
    for name, part in parts.items():
        lesions, melanoma = part["lesion_id"].nunique(), part["target"].mean()
        print(f"{name}: {len(part):,} photos of {lesions:,} lesions, {melanoma:.1%} melanoma")
    print(f"\noutfold run isic2020-1st --profile small --data {out} --set 'folds.group=[patient_id,lesion_id]'")


if __name__ == "__main__":
    main()
