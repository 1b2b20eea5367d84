"""Draw photos of pasture with exact masses, laid out like the competition CSIRO Image2Biomass, to try its recipes.

    python examples/pasture_photos.py OUT --photos 200 --size 256x512 --seed 0

Each photo is a quadrat from above: soil, straw, clover and blades of grass, the left half grown unlike the right one.
What is drawn of each kind has the leaf area that its mass is made of, but leaves hide leaves, a tall sward weighs more
than it shows, and narrow blades and stalks are tougher than broad ones, so they weigh more for their area: mass = leaf
area x height / breadth x dry matter, summed over both halves. How broad they are, a pixel or a few, is fine detail, of
which a photo squeezed into a square shows less. Photos of one date share soil, light, blur, growth and dry matter, so
folds that mix dates flatter. Some photos lie on cardboard. OUT then holds

    train.csv             a row for each photo and target, as the competition gives it
    test.csv              the same of whole dates that are kept back, without everything that is measured
    train/, test/         the photos
    boxes.csv             the part of each photo on cardboard that is pasture, as `data.crops` reads it: id (the
                          image_path), left, top, right, bottom in pixels
    sample_submission.csv as the competition gives it
    solution.csv          what the test rows truly weigh, which a competition keeps to itself

Masses are whole tenths of a milligram: GDM is Green and Clover, Total is GDM and Dead, exactly.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

TARGETS = ("Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g")
COLUMNS = [
    "sample_id",
    "image_path",
    "Sampling_Date",
    "State",
    "Species",
    "Pre_GSHH_NDVI",
    "Height_Ave_cm",
    "target_name",
    "target",
]
STATES = ("NSW", "Tas", "Vic", "WA")
SPECIES = ("Ryegrass_Clover", "Phalaris_Clover", "Fescue", "Lucerne")
KINDS = ("straw", "clover", "grass")
"""From the ground up; all arrays of kinds are in this order."""
COLOURS = np.array([(205, 182, 126), (62, 122, 66), (92, 142, 54)], dtype=np.float64)
SOILS = np.array([(112, 86, 64), (142, 112, 84), (96, 84, 74), (150, 96, 66)], dtype=np.float64)
CARDBOARDS = np.array([(176, 146, 110), (192, 188, 180), (226, 224, 220), (150, 122, 92)], dtype=np.float64)
QUADRAT = 0.21
"""Square metres."""
GRAMS = np.array([45.0, 38.0, 42.0])
"""Dry grams of a square metre of leaf where the sward is as high as USUAL_HEIGHT and blades are as broad as usual."""
TALLER = np.array([0.5, 0.25, 1.0])
"""By how much of its share a mass grows with height: all of grass stands up, little of clover does."""
TOUGHER = np.array([1.0, 0.0, 1.0])
"""Powers of 1 / breadth that masses grow with: blades and stalks are narrow or broad, leaves of clover are alike."""
BREADTHS = (0.6, 1.8)
"""The least and the most, as multiples of the usual breadth."""
USUAL_HEIGHT = 8.0
"""Centimetres."""
LAYERS = 6
REACH = 16
"""Sub-pixels of drawing."""


@dataclass(frozen=True)
class Day:
    """What the photos of one sampling date share."""

    date: str
    state: str
    species: str
    soil: np.ndarray
    """RGB, 0 to 255."""
    light: np.ndarray
    """Factors of red, green and blue."""
    tint: np.ndarray
    """(3, 3): factors of each kind's colour."""
    blur: float
    """Standard deviation, in thousandths of the photo's height."""
    leaf_area: np.ndarray
    """(3,): square metres of leaf over a square metre of ground, by kind."""
    height: float
    """Centimetres."""
    dry_matter: float
    """Factor of all masses: how dry the leaves of this date are."""


@dataclass(frozen=True)
class Sward:
    """What grows in one quadrat."""

    day: Day
    leaf_area: np.ndarray
    """(2, 3): of the left and the right half, by kind."""
    height: float
    breadth: float = 1.0
    """Of blades and stalks, as a multiple of the usual one."""

    @property
    def tall(self) -> float:
        """Height as a multiple of the usual one."""
        return self.height / USUAL_HEIGHT

    def masses(self) -> dict[str, int]:
        """Each target in tenths of a milligram."""
        taller = 1 + TALLER * (self.tall - 1)
        tougher = self.breadth**-TOUGHER
        grams = (self.leaf_area * QUADRAT / 2).sum(axis=0) * GRAMS * taller * tougher * self.day.dry_matter
        dead, clover, green = (round(10_000 * float(mass)) for mass in grams)
        gdm = green + clover
        return dict(zip(TARGETS, (clover, dead, green, gdm + dead, gdm), strict=True))


def day_of(number: int, seed: int) -> Day:
    """One of the sampling dates."""
    rng = np.random.default_rng([seed, 0, number])
    when = date(2015, 1, 10) + timedelta(days=23 * number + int(rng.integers(0, 20)))
    return Day(
        date=f"{when.year}/{when.month}/{when.day}",
        state=STATES[number % len(STATES)],
        species=str(rng.choice(SPECIES)),
        soil=rng.choice(SOILS) * rng.uniform(0.85, 1.15),
        light=rng.uniform(0.88, 1.08) * rng.uniform(0.97, 1.03, 3),
        tint=rng.uniform(0.95, 1.05, (len(KINDS), 3)),
        blur=rng.uniform(0, 3),
        leaf_area=np.array([0.5, 0.25, 0.8]) * rng.lognormal(0, [0.5, 0.8, 0.4]),
        height=USUAL_HEIGHT * rng.lognormal(0, 0.35),
        dry_matter=rng.lognormal(0, 0.4),
    )


def sward_of(day: Day, rng: np.random.Generator) -> Sward:
    """A quadrat of that date."""
    patchy = rng.lognormal(0, [0.5, 0.6, 0.5]) * rng.lognormal(0, 0.5, (2, len(KINDS)))
    leaf_area = np.minimum(day.leaf_area * patchy, 4)
    leaf_area[:, KINDS.index("clover")] *= rng.random() < 0.6
    height = np.clip(day.height * rng.lognormal(0, 0.4), 2, 40)
    breadth = np.exp(rng.uniform(*np.log(BREADTHS)))
    return Sward(day, leaf_area, float(height), float(breadth))


def draw(sward: Sward, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A photo of the quadrat, float32 RGB (height, width, 3) of 0 to 255, without noise."""
    high, width = size
    photo = ground(sward.day.soil, size, rng)
    shade = 0.2 + 0.5 * np.exp(-sward.tall)  # the ground of a tall sward is darker
    photo = np.ascontiguousarray(photo * (1 - 0.4 * (1 - shade)), dtype=np.uint8)
    for layer, (kind, half) in layers():
        strokes, thickness = STROKES[kind](sward, high, rng)
        area = sward.leaf_area[half, KINDS.index(kind)] * high * width / 2
        count = rng.poisson(area / stroke_area(strokes, thickness) / LAYERS)
        roots = rng.uniform((half * width / 2, -0.05 * high), ((half + 1) * width / 2, 1.05 * high), (count, 2))
        tone = COLOURS[KINDS.index(kind)] * sward.day.tint[KINDS.index(kind)]
        tone = tone * (shade + (1 - shade) * layer / (LAYERS - 1))
        shapes = roots[:, None] + strokes[rng.integers(0, len(strokes), count)]
        stroke(photo, shapes, thickness, tone, rng)
    sigma = sward.day.blur * high / 1000
    light = sward.day.light * rng.uniform(0.95, 1.05) * falloff(size, 0.12, rng)[..., None]
    lit = photo * light.astype(np.float32)
    return cv2.GaussianBlur(lit, (0, 0), sigma) if sigma > 0.1 else lit


def layers() -> Iterator[tuple[int, tuple[str, int]]]:
    """What is drawn after what: from the ground up, each kind in each half."""
    for layer in range(LAYERS):
        for kind in KINDS:
            for half in (0, 1):
                yield layer, (kind, half)


def grass(sward: Sward, high: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Bent blades that lean up the photo, longer in a tall sward: (64, 3, 2) offsets, and a thickness."""
    length = high * 0.13 * sward.tall * rng.uniform(0.6, 1.4, 64)
    angle = rng.normal(-np.pi / 2, 0.7, 64)
    bend = angle + rng.normal(0, 0.35, 64)
    first, second = (np.stack([np.cos(turn), np.sin(turn)], axis=-1) for turn in (angle, bend))
    middle = first * length[:, None] / 2
    points = np.stack([np.zeros((64, 2)), middle, middle + second * length[:, None] / 2], axis=1)
    return points, max(1, high * 0.009 * sward.breadth)


def straw(sward: Sward, high: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Straight stalks that lie in any direction."""
    length, angle = high * sward.tall**0.5 * rng.uniform(0.06, 0.2, 64), rng.uniform(0, 2 * np.pi, 64)
    end = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * length[:, None]
    return np.stack([np.zeros((64, 2)), end], axis=1), max(1, high * 0.008 * sward.breadth)


def clover(sward: Sward, high: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Leaves of three: short thick strokes from one point."""
    angle = rng.uniform(0, 2 * np.pi, 64)[:, None] + np.arange(3) * 2 * np.pi / 3
    tips = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * high * 0.014 * sward.tall**0.5
    centre = np.zeros((64, 1, 2))
    points = np.concatenate([tips[:, :1], centre, tips[:, 1:2], centre, tips[:, 2:]], axis=1)
    return points, max(2, high * 0.02 * sward.tall**0.5)


STROKES = {"straw": straw, "clover": clover, "grass": grass}


def stroke_area(strokes: np.ndarray, thickness: float) -> float:
    """Mean leaf area of strokes in square pixels; parts that are drawn over each other count once."""
    if strokes.shape[1] == 5:
        return 3 * np.linalg.norm(strokes[:, 0], axis=-1).mean() * thickness + np.pi * thickness**2 / 2
    return float(np.linalg.norm(np.diff(strokes, axis=1), axis=-1).sum(axis=1).mean() * thickness)


def stroke(photo: np.ndarray, shapes: np.ndarray, thickness: float, tone: np.ndarray, rng: np.random.Generator) -> None:
    """Draw strokes (n, points, 2) in a few shades of a colour, each in whole pixels that are right in the mean."""
    for part in np.array_split(np.round(shapes * REACH).astype(np.int32), 4):
        colour = np.clip(tone * rng.uniform(0.8, 1.2), 0, 255).tolist()
        width = int(thickness + rng.random())
        cv2.polylines(photo, list(part), False, colour, width, cv2.LINE_AA, REACH.bit_length() - 1)


def ground(colour: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Crumbled soil, float (height, width, 3)."""
    rough = sum(weight * clouds(size, step, rng) for step, weight in ((2, 0.08), (8, 0.08), (40, 0.06)))
    return np.clip(colour * (1 + rough[..., None]), 0, 255)


def clouds(size: tuple[int, int], step: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of deviation about 1 whose lumps are `step` pixels wide, (height, width)."""
    high, width = size
    coarse = rng.standard_normal((high // step + 2, width // step + 2), dtype=np.float32)
    return cv2.resize(coarse, (width, high), interpolation=cv2.INTER_CUBIC)


def falloff(size: tuple[int, int], most: float, rng: np.random.Generator) -> np.ndarray:
    """Light that falls off across a photo, factors (height, width) about 1."""
    down, right = rng.uniform(-most, most, 2)
    return 1 + down * np.linspace(-1, 1, size[0])[:, None] + right * np.linspace(-1, 1, size[1])[None]


Box = tuple[int, int, int, int]


def on_cardboard(pasture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Box]:
    """The pasture, smaller and a little tilted, on cardboard that shows on one side or several; and where it lies."""
    high, width = pasture.shape[:2]
    margin = np.where(rng.random(4) < 0.65, rng.uniform(0.03, 0.16, 4), -0.04)  # left, top, right, bottom
    margin[rng.integers(0, 4)] = rng.uniform(0.04, 0.16)
    left, top, right, bottom = margin * (width, high, width, high)
    inner = np.array([width - left - right, high - top - bottom])
    centre = np.array([left, top]) + inner / 2
    turn = np.deg2rad(rng.normal(0, 0.6))
    cosine, sine = np.cos(turn), np.sin(turn)
    scale = inner / (width, high)
    matrix = np.array([[cosine * scale[0], -sine * scale[1]], [sine * scale[0], cosine * scale[1]]])
    shift = centre - matrix @ np.array([width / 2, high / 2])
    placed = np.concatenate([matrix, shift[:, None]], axis=1)
    there = cv2.warpAffine(np.ones((high, width), np.float32), placed, (width, high), flags=cv2.INTER_LINEAR)
    shrunk = cv2.warpAffine(pasture, placed, (width, high), flags=cv2.INTER_AREA)
    paper = rng.choice(CARDBOARDS) * rng.uniform(0.85, 1.05) * (1 + 0.012 * clouds((high, width), 16, rng)[..., None])
    paper = paper * falloff((high, width), 0.1, rng)[..., None]
    reach = inner / 2 * cosine
    box = np.round([*np.maximum(centre - reach, 0), *np.minimum(centre + reach, (width, high))]).astype(int)
    return shrunk + (1 - there[..., None]) * paper, (int(box[0]), int(box[1]), int(box[2]), int(box[3]))


def photograph(
    sward: Sward, size: tuple[int, int], borders: float, rng: np.random.Generator
) -> tuple[np.ndarray, Box | None]:
    """The finished photo, uint8 RGB (height, width, 3), and its part that is pasture where some of it is cardboard."""
    photo, box = draw(sward, size, rng), None
    if rng.random() < borders:
        photo, box = on_cardboard(photo, rng)
    noisy = photo + 2.5 * rng.standard_normal(photo.shape, dtype=np.float32)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8), box


def long_rows(name: str, folder: str, sward: Sward, rng: np.random.Generator) -> list[dict[str, object]]:
    """The rows of one photo in the competition's columns."""
    cover = 1 - np.exp(-0.9 * sward.leaf_area[:, 1:].sum(axis=1))
    ndvi = np.clip(0.2 + 0.65 * cover.mean() + rng.normal(0, 0.07), 0.16, 0.91)
    shared = {
        "image_path": f"{folder}/{name}.jpg",
        "Sampling_Date": sward.day.date,
        "State": sward.day.state,
        "Species": sward.day.species,
        "Pre_GSHH_NDVI": round(float(ndvi), 2),
        "Height_Ave_cm": round(sward.height * float(rng.lognormal(0, 0.1)), 4),
    }
    masses = sward.masses()
    return [
        {"sample_id": f"{name}__{target}", **shared, "target_name": target, "target": masses[target] / 10_000}
        for target in TARGETS
    ]


def write_photos(
    out: Path, photos: int, size: tuple[int, int], seed: int, *, borders: float = 0.3, dates: int = 0, test: float = 0.2
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the whole layout.

    Args:
        out: folder to write.
        photos: of both tables.
        size: height and width in pixels.
        seed: decides everything.
        borders: share of photos on cardboard.
        dates: sampling dates; one for 12 photos when 0.
        test: share of dates that are kept back.

    Returns:
        The rows of the training and of the test table, with everything that is known.
    """
    rng = np.random.default_rng([seed, 1])
    days = [day_of(number, seed) for number in range(dates or max(4, photos // 12))]
    names = [f"ID{number:010d}" for number in rng.choice(2**31, photos, replace=False)]
    kept_back = set(rng.permutation(len(days))[: round(test * len(days))].tolist())
    tables: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    boxes = []
    for folder in tables:
        (out / folder).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        own = np.random.default_rng([seed, 2, number])
        folder = "test" if number % len(days) in kept_back else "train"
        sward = sward_of(days[number % len(days)], own)
        photo, box = photograph(sward, size, borders, own)
        cv2.imwrite(str(out / folder / f"{name}.jpg"), photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        tables[folder] += long_rows(name, folder, sward, own)
        boxes += [] if box is None else [(f"{folder}/{name}.jpg", *box)]
    pd.DataFrame(boxes, columns=["id", "left", "top", "right", "bottom"]).to_csv(out / "boxes.csv", index=False)
    return write_tables(out, tables["train"], tables["test"])


def write_tables(
    out: Path, train: Sequence[dict[str, object]], test: Sequence[dict[str, object]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the competition's tables; rows in the order of their ids."""
    tables = (pd.DataFrame(rows, columns=COLUMNS) for rows in (train, test))
    ours, kept_back = (table.sort_values("sample_id", ignore_index=True) for table in tables)
    ours.to_csv(out / "train.csv", index=False)
    kept_back[["sample_id", "image_path", "target_name"]].to_csv(out / "test.csv", index=False)
    kept_back[["sample_id", "target"]].to_csv(out / "solution.csv", index=False)
    kept_back[["sample_id"]].assign(target=0.0).to_csv(out / "sample_submission.csv", index=False)
    return ours, kept_back


def _size(text: str) -> tuple[int, int]:
    high, _, width = text.partition("x")
    return int(high), int(width)


def main() -> None:
    """Read the arguments and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--photos", type=int, default=200, help="of both tables")
    parser.add_argument("--size", type=_size, default=(256, 512), metavar="HxW", help="height x width in pixels")
    parser.add_argument("--seed", type=int, default=0, help="decides everything")
    parser.add_argument("--borders", type=float, default=0.3, help="share of photos on cardboard")
    parser.add_argument("--dates", type=int, default=0, help="sampling dates; one for 12 photos when not given")
    parser.add_argument("--test-share", type=float, default=0.2, help="share of dates that are kept back")
    given = parser.parse_args()
    train, test = write_photos(
        given.out,
        given.photos,
        given.size,
        given.seed,
        borders=given.borders,
        dates=given.dates,
        test=given.test_share,
    )
    for name, rows in (("train", train), ("test", test)):
        one = rows[rows["target_name"] == "Dry_Total_g"]
        dates, total = one["Sampling_Date"].nunique(), one["target"].mean()
        print(f"{name}: {len(one):,} photos of {dates} dates, {total:.1f} g in the mean")


if __name__ == "__main__":
    main()
