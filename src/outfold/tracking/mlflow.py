"""MLflow: the run as a run of an experiment, in a SQLite file beside the run folder unless the recipe says where."""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from outfold.settings.recipe import Recipe
from outfold.tracking.figures import parameters_of

SQLITE = "sqlite:///"
AT_ONCE = 100
"""Parameters in one call; MLflow takes no more."""
NOT_IN_A_NAME = re.compile(r"[^\w.\- :/]")


class Book:
    """An MLflow run; parameters and metrics are written through its client, artefacts are copied."""

    def __init__(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self.client: Any = None
        self.id = ""

    def start(self, recipe: Recipe, folder: Path, known: str | None) -> str:
        """See `Tracker.start`."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # not how a database is made
        track = recipe.track
        assert track is not None
        store = track.uri or f"{SQLITE}{folder.parent / 'mlflow.db'}"
        self.client = MlflowClient(tracking_uri=store)
        if known is not None and self._reopened(known):
            return known
        tags = {"outfold.recipe": recipe.name, "outfold.folder": str(folder), "mlflow.note.content": recipe.description}
        run = self.client.create_run(
            self._experiment(track.project, store), run_name=track.name or folder.name, tags=tags
        )
        self.id = run.info.run_id
        parameters = [Param(_named(name), str(value)) for name, value in parameters_of(recipe).items()]
        for part in _parts(parameters):
            self.client.log_batch(self.id, params=part)
        return self.id

    def epoch(self, model: str, epoch: int, figures: Mapping[str, float]) -> None:
        """See `Tracker.epoch`."""
        self._log({f"{model}/{name}": value for name, value in figures.items()}, epoch)

    def scores(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """See `Tracker.scores`."""
        self._log(figures, 0)
        for path in files:
            self.client.log_artifact(self.id, str(path))

    def finish(self, *, failed: bool) -> None:
        """See `Tracker.finish`."""
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")

    def _reopened(self, known: str) -> bool:
        """Whether the run of an earlier process is still there; it goes on then."""
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

        try:
            run = self.client.get_run(known)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return False
            raise
        if run.info.lifecycle_stage != "active":
            return False
        self.client.update_run(known, status="RUNNING")
        self.id = known
        return True

    def _experiment(self, name: str, store: str) -> str:
        """The experiment's id; one that is made in a SQLite file keeps its artefacts beside it."""
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        beside = None
        if store.startswith(SQLITE):  # MLflow itself would put them into the working folder
            beside = (Path(store.removeprefix(SQLITE)).resolve().parent / "mlflow-artifacts" / _named(name)).as_uri()
        return self.client.create_experiment(name, artifact_location=beside)

    def _log(self, figures: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_named(name), value, now, step) for name, value in figures.items()]
        for part in _parts(metrics):
            self.client.log_batch(self.id, metrics=part)


def _named(name: str) -> str:
    """The name with nothing in it that MLflow refuses."""
    return NOT_IN_A_NAME.sub("_", name)


def _parts(items: Sequence[Any]) -> Iterator[list[Any]]:
    return (list(items[start : start + AT_ONCE]) for start in range(0, len(items), AT_ONCE))
