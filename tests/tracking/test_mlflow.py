"""MLflow for real: a run in a SQLite store, read back by MLflow's own client."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Runs = Callable[..., list[dict[str, Any]]]


def client(folder: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")


def runs_of(folder: Path, project: str = "outfold") -> list[Any]:
    book = client(folder)
    return book.search_runs([book.get_experiment_by_name(project).experiment_id])


@pytest.mark.slow
def test_parameters_epochs_scores_and_files_are_read_back(tracked: Runs, tmp_path: Path) -> None:
    tracked("mlflow")
    (run,) = runs_of(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "run"
    assert run.data.params["stages.fit.phases.0.lr"] == "0.003"
    assert run.data.params["data.image.path"] == "images/{photo}.png"
    assert run.data.params["folds.only"] == "[0, 1]"

    history = pd.read_csv(tmp_path / "run" / "stages" / "fit" / "a" / "fold1-seed0" / "history.csv")
    told = client(tmp_path).get_metric_history(run.info.run_id, "fit/a/fold1-seed0/macro_f1")
    assert [point.step for point in told] == history["epoch"].tolist()
    assert [point.value for point in told] == history["macro_f1"].tolist()

    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    for name, score in summary["scores"].items():
        for place, end in (("score", "value"), ("score_low", "low"), ("score_high", "high")):
            assert run.data.metrics[f"{place}/{name}"] == score[end]
    assert run.data.metrics["fit/a/oof/macro_f1"] == summary["stages"]["fit"]["members"]["a"]["score"]
    files = {file.path for file in client(tmp_path).list_artifacts(run.info.run_id)}
    assert files == {"recipe.yaml", "summary.json", "report.html"}
    kept = tmp_path / "mlflow-artifacts" / "outfold" / run.info.run_id / "artifacts" / "report.html"
    assert kept.read_bytes() == (tmp_path / "run" / "report.html").read_bytes()


@pytest.mark.slow
def test_a_stopped_run_goes_on_in_the_same_entry(tracked: Runs, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tracked("mlflow", stop="epoch")
    (run,) = runs_of(tmp_path)
    assert run.info.status == "FAILED"
    tracked("mlflow")
    (again,) = runs_of(tmp_path)
    assert again.info.run_id == run.info.run_id
    assert again.info.status == "FINISHED"
    told = client(tmp_path).get_metric_history(run.info.run_id, "fit/a/fold0-seed0/train_loss")
    assert sorted(point.step for point in told) == [1, 2]  # the first, stopped before it was told, comes at the end


@pytest.mark.slow
def test_another_recipe_in_the_folder_is_another_entry_with_all_epochs(tracked: Runs, tmp_path: Path) -> None:
    track = {"to": "mlflow", "project": "seeds", "name": "mine", "uri": f"sqlite:///{tmp_path / 'kept' / 'mlflow.db'}"}
    (tmp_path / "kept").mkdir()
    tracked(track)
    events = tracked(track, predict={"tta": ["identity"]})
    assert not [event for event in events if event["event"] == "epoch"]
    second, first = runs_of(tmp_path / "kept", "seeds")
    assert first.info.artifact_uri.startswith((tmp_path / "kept" / "mlflow-artifacts" / "seeds").as_uri())
    assert second.info.run_name == first.info.run_name == "mine"
    assert second.data.params["stages.fit.predict.tta"] == '["identity"]'
    trained = [name for name in first.data.metrics if "/fold" in name]
    assert {"fit/a/fold0-seed0/lr", "fit/a/fold1-seed0/valid_loss"} < set(trained)
    assert {name: second.data.metrics[name] for name in trained} == {name: first.data.metrics[name] for name in trained}


@pytest.mark.slow
def test_an_entry_that_was_deleted_is_opened_anew(tracked: Runs, tmp_path: Path) -> None:
    tracked("mlflow")
    client(tmp_path).delete_run(runs_of(tmp_path)[0].info.run_id)
    tracked("mlflow")
    (run,) = runs_of(tmp_path)
    assert "fit/a/fold0-seed0/train_loss" in run.data.metrics


def test_names_that_mlflow_refuses() -> None:
    from outfold.tracking.mlflow import _named

    assert _named("score/AUC, 2020 (ranks)") == "score/AUC_ 2020 _ranks_"
