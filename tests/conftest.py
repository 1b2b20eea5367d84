"""Fixtures shared by all tests."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before anything imports torch: processes that share the cores must not each start a thread a core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(os.environ.get("OUTFOLD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Returns the folder of a real data set by name, or skips the test where it is not present."""

    def find(name: str) -> Path:
        folder = SHARED_DATA / name
        if not folder.is_dir():
            pytest.skip(f"real data set {name!r} is not present; set OUTFOLD_TEST_DATA to the folder that holds it")
        return folder

    return find


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("OUTFOLD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder as a user has it: 90 photos of three colours, train.csv with labels and sites, test.csv."""
    import cv2
    import numpy as np
    import pandas as pd

    root = tmp_path_factory.mktemp("shapes")
    (root / "images").mkdir()
    generator = np.random.default_rng(0)
    rows = []
    for number in range(90):
        label = ["red", "green", "blue"][number % 3]
        photo = generator.integers(0, 90, (40, 48, 3), dtype=np.uint8)
        photo[10:30, 12:36, 2 - number % 3] += 120
        cv2.imwrite(str(root / "images" / f"p{number:03d}.png"), photo)
        rows.append({"photo": f"p{number:03d}", "colour": label, "site": f"s{number // 6}", "is_red": number % 3 == 0})
    table = pd.DataFrame(rows)
    table["amount"] = table["colour"].map({"red": 10.0, "green": 20.0, "blue": 35.0}) + generator.normal(0, 1, 90)
    table[:72].to_csv(root / "train.csv", index=False)
    table[72:][["photo"]].to_csv(root / "test.csv", index=False)
    return root


@pytest.fixture
def tiny_recipe() -> dict[str, Any]:
    """A recipe for `shapes` with a tiny network that trains in a second."""
    return {
        "name": "tiny",
        "data": {"train": "train.csv", "test": "test.csv", "id": "photo", "image": {"path": "images/{photo}.png"}},
        "task": {"kind": "multiclass", "target": "colour", "metric": "macro_f1", "metrics": ["accuracy", "log_loss"]},
        "folds": {"k": 3, "group": "site", "stratify": "colour"},
        "stages": {
            "fit": {
                "kind": "train",
                "backbone": "test_efficientnet",
                "weights": "none",
                "view": {"size": 32, "resize": "squash"},
                "augment": ["hflip", {"color_jitter": 0.1}],
                "batch_size": 8,
                "phases": [{"name": "all", "epochs": 3, "lr": 3e-3, "schedule": "cosine", "warmup_epochs": 0.5}],
                "predict": {"tta": ["identity", "hflip"]},
                "members": {"a": {}},
            },
            "answer": {"kind": "submit", "from": "fit"},
        },
    }


CALLS = {"low": 500.0, "middle": 1200.0, "high": 2800.0}
"""Hz of the calls in `calls`."""
CALL_RATE = 8000


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of recordings: 36 calls of three kinds in noise, train.csv; and soundscapes of 8 s each.

    train.csv has name, kind, also (a list of kinds that may be heard too, as text) and site. soundscapes/s0.wav to
    s2.wav hold a call every 2 s; solution.csv says which: row_id, low, middle, high. later/ holds one more soundscape.
    """
    import numpy as np
    import pandas as pd
    import soundfile

    root, generator = tmp_path_factory.mktemp("calls"), np.random.default_rng(0)

    def sound(kind: str, seconds: float) -> np.ndarray:
        time = np.arange(round(seconds * CALL_RATE)) / CALL_RATE
        beats = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
        return 0.3 * beats * np.sin(2 * np.pi * CALLS[kind] * time) + generator.normal(0, 0.05, len(time))

    for folder in ("train", "soundscapes", "later"):
        (root / folder).mkdir()
    rows, kinds = [], list(CALLS)
    for number in range(36):
        kind = kinds[number % 3]
        soundfile.write(root / "train" / f"c{number:02d}.wav", sound(kind, 1.0 + number % 4), CALL_RATE)
        also = [kinds[(number + 1) % 3]] if number % 6 == 0 else []
        rows.append({"name": f"c{number:02d}", "kind": kind, "also": str(also), "site": f"s{number // 4}"})
    pd.DataFrame(rows).to_csv(root / "train.csv", index=False)
    truth = []
    for place, name in enumerate(["soundscapes/s0", "soundscapes/s1", "soundscapes/s2", "later/s3"]):
        heard = [kinds[(place + step) % 3] for step in range(4)]
        soundfile.write(root / f"{name}.wav", np.concatenate([sound(kind, 2.0) for kind in heard]), CALL_RATE)
        for step, kind in enumerate(heard):
            row_id = f"{Path(name).name}_{2 * step + 2}"
            truth.append({"row_id": row_id, **{one: int(one == kind) for one in kinds}})
    pd.DataFrame(truth).to_csv(root / "solution.csv", index=False)
    return root


@pytest.fixture
def calls_recipe(calls_settings: dict[str, Any]) -> dict[str, Any]:
    """A recipe for `calls` that a test may change."""
    return copy.deepcopy(calls_settings)


@pytest.fixture(scope="session")
def calls_settings() -> dict[str, Any]:
    """A recipe for `calls` with a tiny network that trains in a second."""
    mel = {"sample_rate": CALL_RATE, "n_fft": 256, "window": 256, "hop": 250, "mels": 32, "subtract": -20, "divide": 40}
    return {
        "name": "calls",
        "data": {
            "train": "train.csv",
            "test": {"recordings": {"path": "soundscapes/*.wav", "window_s": 2}},
            "id": "name",
            "audio": {"path": "train/{name}.wav"},
        },
        "task": {"kind": "multiclass", "target": "kind", "metric": "accuracy"},
        "folds": {"k": 3, "stratify": "kind"},
        "stages": {
            "fit": {
                "kind": "train",
                "backbone": "test_efficientnet",
                "weights": "none",
                "view": {"kind": "audio", "mel": mel, "window_s": 2, "span_s": 3, "channels": "ramp"},
                "augment": ["gain", {"spec_augment": {"frequency_width": 0.05}}],
                "batch_size": 8,
                "phases": [{"name": "all", "epochs": 20, "lr": 5e-3, "schedule": "cosine"}],
                "members": {"a": {}},
            },
            "answer": {"kind": "submit", "from": "fit"},
        },
    }
