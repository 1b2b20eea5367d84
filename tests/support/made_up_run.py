"""A writer of small, realistic run folders, without training anything."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from outfold.data.targets import TargetCodec, natural_key
from outfold.metrics import get_metric, interval, score
from outfold.settings.task import Task

METRICS = {
    "multiclass": ("macro_f1", "accuracy", "log_loss"),
    "binary": ("roc_auc", "average_precision", "log_loss"),
    "multilabel": ("macro_roc_auc", "macro_f1"),
    "regression": ("rmse", "mae", "r2"),
}


@dataclass
class RunSpec:
    """What a made-up run looks like; `write` puts it on disk and returns the run folder."""

    kind: str = "multiclass"
    rows: int = 300
    labels: Sequence[str] = ("oat", "rye", "wheat", "barley")
    folds: int = 3
    epochs: Sequence[tuple[str, int]] = (("head", 2), ("all", 6))
    members: Sequence[str] = ("b0",)
    seeds: Sequence[int] = (0,)
    groups: bool = False
    ids: Sequence[str] | None = None
    photos: int | None = None
    """How many of the rows' photos exist; all when None."""
    wait_share: float = 0.03
    warnings: Sequence[str] = ()
    dropped: Sequence[dict[str, str]] = ()
    name: str = "made-up"
    noise: float = 1.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def write(self, root: Path) -> Path:
        """Write table, photos and run below `root`."""
        run = root / "run"
        run.mkdir(parents=True)
        ids = np.array(self.ids or [f"plot{row:04d}" for row in range(self.rows)], dtype=object)
        truth = self._truth()
        task = Task(kind=self.kind, target=tuple(truth.columns), metric=METRICS[self.kind][0])
        codec = TargetCodec.fit(task, truth)
        target = codec.encode(truth)
        prediction = self._prediction(target)
        fold = np.arange(self.rows) % self.folds
        group = fold + self.folds * (np.arange(self.rows) // 12) if self.groups else None
        self._write_data(root, ids, truth)
        self._write_recipe(run, task)
        (run / "target.json").write_text(json.dumps(codec.to_dict()))
        columns = {"id": ids, "fold": fold} | ({} if group is None else {"group": group})
        pd.DataFrame(columns).to_csv(run / "folds.csv", index=False)
        prefix = "pred_" if self.kind == "regression" else "prob_"
        outputs = pd.DataFrame(prediction, columns=[prefix + output for output in codec.outputs])
        oof = pd.concat([pd.DataFrame({"id": ids, "fold": fold}), truth, outputs], axis=1)
        oof.to_parquet(run / "oof.parquet", index=False)
        summary = self._summary(root, codec, target, prediction, fold, group)
        self._write_histories(run)
        (run / "summary.json").write_text(json.dumps(summary))
        events = [
            {"time": 1.5, "event": "started", "recipe": self.name},
            {"time": 9.0, "event": "job", "job": "fit/b0"},
        ]
        (run / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + '{"time": 9.5, "ev')
        return run

    def _truth(self) -> pd.DataFrame:
        if self.kind in ("multiclass", "binary"):
            chances = 1 / np.arange(1, len(self.labels) + 1)
            drawn = self.rng.choice(len(self.labels), self.rows, p=chances / chances.sum())
            drawn[: len(self.labels)] = np.arange(len(self.labels))
            return pd.DataFrame({"crop": np.array(self.labels, dtype=object)[drawn]})
        shape = (self.rows, len(self.labels))
        if self.kind == "multilabel":
            return pd.DataFrame((self.rng.random(shape) < 0.25).astype(int), columns=list(self.labels))
        return pd.DataFrame(np.exp(self.rng.normal(size=shape)) * 120, columns=list(self.labels))

    def _prediction(self, target: np.ndarray) -> np.ndarray:
        noise = self.rng.normal(size=target.shape) * self.noise
        if self.kind == "regression":
            return (target * 0.8 + 30 + 20 * noise).astype(np.float32)
        logits = 3.2 * (target - 0.5) + 1.2 * noise
        if self.kind == "multiclass":
            raised = np.exp(2 * logits)
            return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    def _write_data(self, root: Path, ids: np.ndarray, truth: pd.DataFrame) -> None:
        pd.concat([pd.DataFrame({"plot": ids}), truth], axis=1).to_csv(root / "train.csv", index=False)
        (root / "images").mkdir()
        for row in range(self.rows if self.photos is None else self.photos):
            image = np.zeros((120, 160, 3), dtype=np.uint8) + np.array(
                [(37 * row) % 256, 120, (91 * row) % 256], dtype=np.uint8
            )
            cv2.circle(image, (40 + row % 80, 60), 25, (240, 240, 220), -1)
            path = root / "images" / f"{ids[row]}.jpg"
            if not path.exists():
                path.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())

    def _write_recipe(self, run: Path, task: Task) -> None:
        phases = [{"name": name, "epochs": epochs} for name, epochs in self.epochs]
        recipe = {
            "name": self.name,
            "description": "A run that never happened.",
            "data": {"train": "train.csv", "id": "plot", "image": {"path": "images/{plot}.jpg"}},
            "task": {"kind": self.kind, "target": list(task.target), "metric": task.metric},
            "folds": {"k": self.folds} | ({"group": ["field"]} if self.groups else {}),
            "stages": {
                "fit": {
                    "kind": "train",
                    "phases": phases,
                    "seeds": list(self.seeds),
                    "members": {member: {"backbone": "tf_efficientnet_b0"} for member in self.members},
                },
                "answer": {"kind": "submit", "from": "fit"},
            },
        }
        (run / "recipe.yaml").write_text(json.dumps(recipe, indent=1))  # JSON is YAML

    def _summary(
        self,
        root: Path,
        codec: TargetCodec,
        target: np.ndarray,
        prediction: np.ndarray,
        fold: np.ndarray,
        group: np.ndarray | None,
    ) -> dict[str, Any]:
        names = METRICS[self.kind]
        kind = self.kind

        def of(rows: np.ndarray) -> dict[str, float]:
            return {name: score(name, kind, target[rows], prediction[rows]) for name in names}

        scores = {}
        for name, value in of(np.arange(self.rows)).items():
            low, high = interval(get_metric(name, kind), target, prediction, groups=group, n_resamples=200)
            scores[name] = {"value": value, "low": low, "high": high}
        main = scores[names[0]]["value"]
        total = sum(epochs for _, epochs in self.epochs)
        jobs = [
            {
                "fold": k,
                "seed": seed,
                "score": main,
                "epochs": total,
                "best_epoch": total - k % 2,
                "seconds": 61.5 + k,
                "wait_share": self.wait_share,
            }
            for seed in self.seeds
            for k in range(self.folds)
        ]
        by_fold = [
            {"fold": k, "rows": int((fold == k).sum()), "score": of(fold == k)[names[0]], "scores": of(fold == k)}
            for k in range(self.folds)
        ]
        fit = {
            "kind": "train",
            "score": main,
            "scores": scores,
            "seconds": 184.2,
            "wait_share": self.wait_share,
            "folds": by_fold,
            "members": {member: {"score": main, "scores": scores, "jobs": jobs} for member in self.members},
        }
        counts: dict[str, int] = {}
        if kind == "multilabel":
            counts = {name: int(total) for name, total in zip(codec.outputs, target.sum(axis=0), strict=True)}
        elif kind != "regression":
            full = np.hstack([1 - target, target]) if kind == "binary" else target
            classes = sorted(map(str, codec.classes), key=natural_key) if kind == "multiclass" else codec.classes
            counts = {str(name): int(total) for name, total in zip(classes, full.sum(axis=0), strict=True)}
        return {
            "recipe": self.name,
            "task": kind,
            "metric": names[0],
            "score": main,
            "scores": scores,
            "stages": {"fit": fit, "answer": {"kind": "submit"}},
            "environment": {
                "python": "3.11.9",
                "outfold": "0.1.0",
                "torch": "2.15.0",
                "device": "cpu (x86_64)",
                "threads": 2,
            },
            "data": {
                "root": str(root),
                "rows": self.rows,
                "test_rows": 40,
                "dropped": list(self.dropped),
                "classes": counts,
                "groups": None if group is None else len(np.unique(group)),
                "warnings": list(self.warnings),
            },
            "seconds": 201.7,
            "status": "complete",
        }

    def _write_histories(self, run: Path) -> None:
        phases = [name for name, epochs in self.epochs for _ in range(epochs)]
        epoch = np.arange(1, len(phases) + 1)
        for member in self.members:
            for seed in self.seeds:
                for k in range(self.folds):
                    wobble = self.rng.normal(size=(3, len(epoch))) * 0.03
                    table = {
                        "phase": phases,
                        "epoch": epoch,
                        "train_loss": 1.4 / epoch**0.5 + wobble[0],
                        "lr": 1e-3 / epoch,
                        "images_per_second": 70.0 + k,
                        "wait_share": self.wait_share,
                        "valid_loss": 1.5 / epoch**0.35 + 0.1 * k + wobble[1],
                        METRICS[self.kind][0]: 0.9 - 0.5 / epoch - 0.02 * k + wobble[2],
                        "seconds": 7.5,
                    }
                    folder = run / "stages" / "fit" / member / f"fold{k}-seed{seed}"
                    folder.mkdir(parents=True)
                    pd.DataFrame(table).to_csv(folder / "history.csv", index=False)
