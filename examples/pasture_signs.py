"""What each mechanism of the pasture systems is worth on drawn pasture, as differences of scores of the same photos.

    python examples/pasture_signs.py OUT --seeds 0,1,2,3

For each seed it draws a pasture (`pasture_photos.py`), half of whose photos lie on cardboard, and runs
`pasture_signs.yaml` on it with its two profiles. A table then tells of every mechanism

    crops        the photos as they are, or cut to their boxes
    two streams  the photo squeezed into a square, or its halves through one network
    torn dates   folds of whole dates, or folds that deal every date out: what is gained is not true
    measured     NDVI and height beside the photo, as they were measured
    predicted    the same models, fed with what another one tells of NDVI and height from the photo

weighted R2 out of fold without and with it, and the difference with its 95% interval over sampling dates, once for all
seeds together and then for each.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pasture_photos

import outfold
from outfold import metrics
from outfold.runs.member_files import read_member

RECIPE = Path(__file__).with_suffix(".yaml")
SIGNS = {
    "crops": ("whole", "halves"),
    "two streams": ("squeezed", "halves"),
    "torn dates": ("halves", "torn"),
    "measured": ("halves", "measured"),
    "predicted, for the mean": ("blind", "predicted"),
    "predicted, for measured": ("measured", "predicted"),
    "predicted, for none": ("halves", "predicted"),
}
"""Of each mechanism: the predictions without it and with it."""


@dataclass(frozen=True)
class Judged:
    """Out-of-fold predictions of the same photos.

    Attributes:
        metric: what they are judged by.
        target: float64 (n, k), grams.
        dates: (n,), the groups that intervals are drawn over.
        predictions: by name, float64 (n, k).
    """

    metric: metrics.Metric
    target: np.ndarray
    dates: np.ndarray
    predictions: dict[str, np.ndarray]

    def score(self, name: str) -> float:
        """Weighted R2 of a prediction."""
        return float(self.metric.function(self.target, self.predictions[name]))

    def sign(self, mechanism: str) -> metrics.Comparison:
        """What a mechanism changes, with intervals over dates."""
        without, with_it = (self.predictions[name] for name in SIGNS[mechanism])
        return metrics.compare(self.metric, self.target, without, with_it, self.dates)


def draw(folder: Path, seed: int, photos: int, size: tuple[int, int]) -> None:
    """Draw a pasture, 16 photos a date, and noise that says nothing of them."""
    train, _ = pasture_photos.write_photos(folder, photos, size, seed, borders=0.5, dates=photos // 16, test=0)
    ids = train["image_path"].drop_duplicates()
    ids.to_csv(folder / "noise.csv", index=False)
    np.save(folder / "noise.npy", np.random.default_rng(seed).standard_normal((len(ids), 4), dtype=np.float32))


def judge(folder: Path, runs: Path) -> Judged:
    """Run the recipe and its profiles on a drawn pasture, and read what they predict out of fold.

    Args:
        folder: as `draw` wrote it.
        runs: folder of the three runs; those that are there already are not run again.
    """
    base, whole, torn = (
        outfold.run(RECIPE, runs / (profile or "base"), data=folder, profile=profile, device="cpu")
        for profile in (None, "whole", "torn")
    )
    ids = base.oof["id"].to_numpy(object)
    dates = pd.read_csv(folder / "train.csv").drop_duplicates("image_path").set_index("image_path")["Sampling_Date"]
    return Judged(
        metric=metrics.metric_of(base.recipe.task),
        target=base.oof[list(base.recipe.task.target)].to_numpy(np.float64),
        dates=dates.loc[ids].to_numpy(object),
        predictions={
            "whole": own(whole, "photo/halves", ids),
            "squeezed": own(base, "photo/squeezed", ids),
            "halves": own(base, "photo/halves", ids),
            "torn": own(torn, "photo/halves", ids),
            "measured": own(base, "readings/main", ids),
            "predicted": own(base, "served/main", ids),
            "blind": own(base, "blind/main", ids),
        },
    )


def own(run: outfold.Run, member: str, ids: np.ndarray) -> np.ndarray:
    """What a member predicts out of fold of these ids, float64 (n, k)."""
    return read_member(run.path, run.summary, member, "regression").own(ids).astype(np.float64)


def together(parts: Sequence[Judged]) -> Judged:
    """The photos of several pastures as one table."""
    return Judged(
        metric=parts[0].metric,
        target=np.concatenate([one.target for one in parts]),
        dates=np.concatenate([[f"{number} {date}" for date in one.dates] for number, one in enumerate(parts)]),
        predictions={name: np.concatenate([one.predictions[name] for one in parts]) for name in parts[0].predictions},
    )


def lines(parts: Sequence[Judged]) -> Iterator[str]:
    """The table, as Markdown."""
    yield "| mechanism | without | with | difference, interval over dates | by seed |"
    yield "| --- | --- | --- | --- | --- |"
    whole = together(parts)
    for mechanism in SIGNS:
        found = whole.sign(mechanism)
        value, low, high = found.difference
        by_seed = ", ".join(f"{one.sign(mechanism).difference.value:+.3f}" for one in parts)
        scores = f"{found.a.value:.3f} | {found.b.value:.3f}"
        yield f"| {mechanism} | {scores} | {value:+.3f} [{low:+.3f}, {high:+.3f}] | {by_seed} |"


def main() -> None:
    """Draw, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for photos and runs")
    parser.add_argument("--seeds", default="0,1,2,3", help="of the pastures, with commas between")
    parser.add_argument("--photos", type=int, default=320, help="of each pasture, test table included")
    given = parser.parse_args()
    parts = []
    for seed in map(int, given.seeds.split(",")):
        folder = given.out / f"pasture-{seed}"
        draw(folder, seed, given.photos, (192, 384))
        parts.append(judge(folder, given.out / f"runs-{seed}"))
    print("\n".join(lines(parts)))


if __name__ == "__main__":
    main()
