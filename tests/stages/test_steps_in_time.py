"""Boost and smoothing as steps of a small run over soundscapes: out of fold, for the test table and for later rows."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose
from pydantic import ValidationError

import outfold
from outfold.cli.outcome import print_outcome
from outfold.data.audio.rows import RowClips
from outfold.data.predictions import Predictions
from outfold.data.table import samples_from_frame
from outfold.data.targets import TargetCodec
from outfold.errors import DataError, RecipeError
from outfold.inference.in_time import KERNEL
from outfold.inference.learned_steps import learn
from outfold.inference.postprocess import apply
from outfold.metrics import get_metric
from outfold.report.loading import load_evaluation
from outfold.runs.check import check_recipe
from outfold.settings.postprocess import Step
from outfold.settings.recipe import Recipe
from outfold.settings.submit import SubmitStage
from outfold.stages.submit import submission, tell_left_out

BIRDS = ["jay", "owl", "tit"]
AUC = get_metric("macro_roc_auc", "multilabel")
GIVEN = [{"boost": {"weight": 0.8}}, {"smooth": {"kernel": list(KERNEL)}}]
LEARNED = [{"boost": {"weight": "fit"}}, {"smooth": {"kernel": "fit"}}]


def windows_of(names: list[str], count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Windows of 5 s, in which each bird calls in some soundscapes, for a while."""
    rows = []
    for name in names:
        calls = np.zeros((count, 3), dtype=int)
        for column in np.flatnonzero(rng.random(3) < 0.6):
            start = rng.integers(0, count - 4)
            calls[start : start + 5, column] = 1
        for place, here in enumerate(calls):
            seconds = {"file": name, "from": 5 * place, "to": 5 * place + 5}
            rows.append({"row_id": f"{name}_{5 * place + 5}", **seconds} | dict(zip(BIRDS, here, strict=True)))
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve soundscapes of a minute with truth, four without, and noisy vectors of their windows."""
    root, rng = tmp_path_factory.mktemp("scapes"), np.random.default_rng(0)
    known, new = [f"s{number}" for number in range(12)], [f"t{number}" for number in range(4)]
    for name in (*known, *new):
        soundfile.write(root / f"{name}.wav", rng.normal(0, 0.1, 60_000), 1000)
    tables = {"train": windows_of(known, 12, rng), "test": windows_of(new, 12, rng)}
    everything = pd.concat(tables.values())
    calls = everything[BIRDS].to_numpy()
    np.save(root / "vectors.npy", np.hstack([calls + rng.normal(0, 0.9, calls.shape), rng.normal(size=calls.shape)]))
    everything[["row_id"]].to_csv(root / "ids.csv", index=False)
    tables["train"].sample(frac=1, random_state=0).to_csv(root / "train.csv", index=False)
    tables["test"].drop(columns=BIRDS).sample(frac=1, random_state=1).to_csv(root / "test.csv", index=False)
    return root


def recipe_of(**stages: Any) -> dict[str, Any]:
    return {
        "name": "scapes",
        "data": {
            "train": "train.csv",
            "test": "test.csv",
            "id": "row_id",
            "audio": {"path": "{file}.wav", "start_s": "from", "end_s": "to"},
        },
        "task": {"kind": "multilabel", "target": BIRDS, "metric": "macro_roc_auc"},
        "folds": {"k": 3, "group": "file"},
        "stages": {
            "fit": {
                "kind": "train",
                "view": {"kind": "embedding", "vectors": "vectors.npy", "ids": "ids.csv"},
                "batch_size": 24,
                "phases": [{"name": "head", "epochs": 5, "lr": 5e-2}],
                "keep": {"best": "last"},
                "members": {"a": {}},
            },
            **stages,
        },
    }


def steps(*given: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "postprocess", "from": "fit", "steps": list(given)}


def changed_by(values: np.ndarray, written: list[dict[str, Any]], rows: pd.DataFrame) -> np.ndarray:
    """Values after steps, with clips from the rows' own columns."""
    task = Recipe.model_validate(recipe_of()).task
    return apply(values, [Step.model_validate(step) for step in written], task, clips_of(rows))


def clips_of(rows: pd.DataFrame) -> RowClips:
    return RowClips(rows["file"].to_numpy(object), rows["from"].to_numpy(float), rows["to"].to_numpy(float))


def probabilities(table: pd.DataFrame) -> np.ndarray:
    return table[[f"prob_{bird}" for bird in BIRDS]].to_numpy(np.float32)


@pytest.fixture(scope="module")
def done(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models alone."""
    out = tmp_path_factory.mktemp("models") / "run"
    outfold.run(Recipe.model_validate(recipe_of()), out, data=root, device="cpu")
    return out


def answer_of(done: Path, root: Path, out: Path, told: list[str] | None = None, **stages: Any) -> outfold.Run:
    """The same run with further stages; the models are there already."""

    def hear(event: dict[str, Any]) -> None:
        if told is not None and event["event"] == "warning":
            told.append(event["text"])

    shutil.copytree(done, out)
    return outfold.run(Recipe.model_validate(recipe_of(**stages)), out, data=root, device="cpu", emit=hear)


def test_given_steps_change_every_table_alike(done: Path, root: Path, tmp_path: Path) -> None:
    before = outfold.load_run(done)
    answer = {"kind": "submit", "from": "post"}
    run = answer_of(done, root, tmp_path / "run", post=steps(*GIVEN), answer=answer)
    train, test = (pd.read_csv(root / f"{name}.csv").set_index("row_id") for name in ("train", "test"))
    expected = changed_by(probabilities(before.oof), GIVEN, train.loc[before.oof["id"]])
    assert_allclose(probabilities(run.oof), expected, rtol=1e-6)
    scores = run.summary["stages"]["post"]["postprocess"]["scores"]
    assert scores["before"] == pytest.approx(before.score)
    assert scores["after"] == pytest.approx(run.score)
    assert scores["after"] == pytest.approx(AUC.function(run.oof[BIRDS].to_numpy(), expected))
    assert scores["after"] > scores["before"] + 0.03
    assert scores["gain"]["low"] < scores["gain"]["value"] < scores["gain"]["high"]
    assert before.predictions is not None
    assert run.predictions is not None
    later = changed_by(probabilities(before.predictions), GIVEN, test.loc[before.predictions["id"]])
    assert_allclose(probabilities(run.predictions), later, rtol=1e-6)
    submitted = pd.read_csv(tmp_path / "run" / "submission.csv")
    assert list(submitted.columns) == ["row_id", *BIRDS]
    assert submitted["row_id"].tolist() == test.index.tolist()
    assert_allclose(submitted[BIRDS], pd.DataFrame(later, before.predictions["id"]).loc[test.index], rtol=1e-6)
    again = run.predict(root / "test.csv", device="cpu")
    assert_allclose(probabilities(again), submitted[BIRDS], rtol=1e-5)


@pytest.mark.slow
def test_a_test_table_made_of_recordings(done: Path, root: Path, tmp_path: Path) -> None:
    """Windows named `<name>_<end second>`, in the order of recordings and time, answered by class."""
    stages = {"post": steps(*GIVEN), "answer": {"kind": "submit", "from": "post", "columns": {"row_id": "window"}}}
    answer_of(done, root, tmp_path / "table", **stages)
    recipe = recipe_of(**stages)
    recipe["data"]["test"] = {"recordings": {"path": "t*.wav", "window_s": 5}}
    shutil.copytree(done, tmp_path / "recordings")
    outfold.run(Recipe.model_validate(recipe), tmp_path / "recordings", data=root, device="cpu")
    by_table, by_recording = (pd.read_csv(tmp_path / one / "submission.csv") for one in ("table", "recordings"))
    assert list(by_recording.columns) == ["window", *BIRDS]
    assert by_recording["window"].tolist() == [f"t{name}_{5 * place + 5}" for name in range(4) for place in range(12)]
    assert_allclose(by_table.set_index("window").loc[by_recording["window"]], by_recording[BIRDS], rtol=1e-6)


def test_numbers_are_learned_on_other_folds(done: Path, root: Path, tmp_path: Path) -> None:
    before, run = outfold.load_run(done), answer_of(done, root, tmp_path / "run", post=steps(*LEARNED))
    record, given = run.summary["stages"]["post"]["postprocess"], [Step.model_validate(step) for step in LEARNED]
    rows = pd.read_csv(root / "train.csv").set_index("row_id").loc[run.oof["id"]]
    truth, values = run.oof[BIRDS].to_numpy(), probabilities(before.oof)
    assert [fold["fold"] for fold in record["folds"]] == [0, 1, 2]
    for fold in record["folds"]:
        held_out = (run.oof["fold"] == fold["fold"]).to_numpy()
        others = values[~held_out], truth[~held_out]
        expected = learn(*others, given, run.recipe.task, AUC, clips_of(rows[~held_out]))
        assert [Step.model_validate(step) for step in fold["steps"]] == expected
        assert fold["learned_on"] == (~held_out).sum()
        changed = changed_by(values[held_out], fold["steps"], rows[held_out])
        assert_allclose(probabilities(run.oof)[held_out], changed, rtol=1e-6)

    in_sample = AUC.function(truth, changed_by(values, record["steps"], rows))
    assert record["scores"]["in_sample"] == pytest.approx(in_sample, abs=1e-6)
    assert record["scores"]["after"] == pytest.approx(run.score)
    assert record["scores"]["after"] > record["scores"]["before"] + 0.03
    assert record["notes"] == []


def test_steps_in_any_order_and_several_of_them(done: Path, root: Path, tmp_path: Path) -> None:
    several = [GIVEN[1], {"boost": {"weight": 0.3}}, {"smooth": {"kernel": [1, 2, 1], "hop_s": 5}}]
    run, before = answer_of(done, root, tmp_path / "run", post=steps(*several)), outfold.load_run(done)
    rows = pd.read_csv(root / "train.csv").set_index("row_id").loc[before.oof["id"]]
    assert_allclose(probabilities(run.oof), changed_by(probabilities(before.oof), several, rows), rtol=1e-6)


def test_later_rows_off_the_grid_are_refused_before_models_predict(done: Path, root: Path, tmp_path: Path) -> None:
    run = answer_of(done, root, tmp_path / "run", post=steps(*GIVEN), answer={"kind": "submit", "from": "post"})
    rows = pd.read_csv(root / "test.csv")
    rows.loc[3, ["from", "to"]] += 2
    told: list[dict[str, Any]] = []
    with pytest.raises(DataError, match="off the grid"):
        run.predict(rows, root=root, device="cpu", emit=told.append)
    assert told == []


def test_rows_that_overlap_are_averaged_by_shared_seconds() -> None:
    rng, names = np.random.default_rng(0), np.array(["a", "b", "a", "a", "c"], dtype=object)
    clips = RowClips(names, np.array([0.0, 0, 2.5, 5, 1]), np.array([5.0, np.inf, 7.5, 10, 6]))
    values, task = rng.random((5, 3)), Recipe.model_validate(recipe_of()).task
    found = apply(values, [Step(overlap="mean")], task, clips)
    a0, _, a2, a3, _ = values
    assert_allclose(found[[0, 2, 3]], [(2 * a0 + a2) / 3, (a0 + 2 * a2 + a3) / 4, (a2 + 2 * a3) / 3])
    assert_allclose(found[[1, 4]], values[[1, 4]])
    endless = RowClips(names, clips.start_s, np.full(5, np.inf))
    with pytest.raises(DataError, match="a window has no end"):
        apply(values, [Step(overlap="mean")], task, endless)


def test_windows_between_those_that_are_answered(done: Path, root: Path, tmp_path: Path) -> None:
    stages = {"post": steps({"overlap": "mean"}), "answer": {"kind": "submit", "from": "post", "every_s": 10}}
    table, finer = pd.read_csv(root / "test.csv"), tmp_path / "data"
    shutil.copytree(root, finer)
    table.assign(to=table["from"] + 10).to_csv(finer / "test.csv", index=False)
    told: list[dict[str, Any]] = []
    recipe = Recipe.model_validate(recipe_of(**stages))
    shutil.copytree(done, tmp_path / "run")
    run = outfold.run(recipe, tmp_path / "run", data=finer, device="cpu", emit=told.append)
    before = outfold.load_run(done).predictions
    assert before is not None
    rows = table.set_index("row_id").loc[before["id"]].assign(to=lambda rows: rows["from"] + 10)
    expected = pd.DataFrame(changed_by(probabilities(before), [{"overlap": "mean"}], rows), before["id"])
    submitted = pd.read_csv(tmp_path / "run" / "submission.csv").set_index("row_id")
    assert len(submitted) == len(table) / 2
    assert_allclose(submitted[BIRDS], expected.loc[submitted.index], rtol=1e-5)
    # the labelled rows follow each other without sharing a second
    idle = "post: step `overlap`, out-of-fold rows: no rows of a recording overlap"
    assert idle in [event.get("text") for event in told]
    assert "mean by shared seconds" in run.report().read_text()


@pytest.mark.slow
def test_a_change_of_the_rows_times_does_the_steps_again(done: Path, root: Path, tmp_path: Path) -> None:
    answer_of(done, root, tmp_path / "run", post=steps(GIVEN[0]))
    table = pd.read_csv(root / "test.csv")
    other = tmp_path / "data"
    shutil.copytree(root, other)

    def jobs() -> list[str]:
        told: list[dict[str, Any]] = []
        recipe = Recipe.model_validate(recipe_of(post=steps(GIVEN[0])))
        outfold.run(recipe, tmp_path / "run", data=other, device="cpu", emit=told.append)
        return [event["job"] for event in told if event["event"] == "job"]

    assert jobs() == []
    table.assign(**{"from": table["from"] + 5, "to": table["to"] + 5}).to_csv(other / "test.csv", index=False)
    assert "post test" in jobs()


def said_that_nobody_knows(run: outfold.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A gain of nothing would be a false certainty: on the test table the steps find neighbours."""
    scores, told = run.summary["stages"]["post"]["postprocess"]["scores"], "what the steps gain is not known: out of"
    assert scores["gain"] is None
    assert scores["gain_not_known"] == "out of fold each row is alone in its recording"
    print_outcome(run.path, run.summary)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("post: macro_roc_auc")]
    assert told in line
    assert "+0.0000" not in line
    page = (run.path / "report.html").read_text()
    assert told in page
    assert "the difference is" not in page


def test_rows_that_are_alone(done: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weak labels of whole files: a boost only scales, nothing is smoothed, and nothing can be learned."""
    alone = tmp_path / "data"
    shutil.copytree(root, alone)
    table = pd.read_csv(root / "train.csv")
    table[table["from"] == 30].to_csv(alone / "train.csv", index=False)
    recipe = recipe_of(post=steps(*GIVEN), answer={"kind": "submit", "from": "post"})
    recipe["folds"]["k"] = 2
    told: list[dict[str, Any]] = []
    run = outfold.run(Recipe.model_validate(recipe), tmp_path / "run", data=alone, device="cpu", emit=told.append)
    notes = run.summary["stages"]["post"]["postprocess"]["notes"]
    assert notes == [f"step `{name}`: each row is alone in its recording" for name in ("boost", "smooth")]
    warnings = [event["text"] for event in told if event["event"] == "warning"]
    alone_out_of_fold = "out-of-fold rows: each row is alone in its recording"
    assert warnings == [f"post: step `{name}`, {alone_out_of_fold}" for name in ("boost", "smooth")]
    fit = outfold.load_run(run.path).summary["stages"]["fit"]
    assert run.score == pytest.approx(fit["score"])  # an order that stays
    said_that_nobody_knows(run, capsys)
    for step in LEARNED:
        recipe["stages"]["post"] = steps(step)
        with pytest.raises(RecipeError, match=r"nothing of step `\w+` can be learned: out of fold each row is alone"):
            outfold.run(Recipe.model_validate(recipe), tmp_path / "other", data=alone, device="cpu")


def told_by_check(recipe: dict[str, Any], root: Path) -> str:
    return " ".join(finding.what for finding in check_recipe(Recipe.model_validate(recipe), root).findings)


def test_what_is_refused_before_anything_is_trained(root: Path, tmp_path: Path) -> None:
    torn = recipe_of(post=steps(GIVEN[0]))
    torn["folds"] = {"k": 3, "duplicates": "ignore"}
    with pytest.raises(DataError, match=r"folds tear recordings[\s\S]*in fold 0[\s\S]*folds\.group"):
        outfold.run(Recipe.model_validate(torn), tmp_path / "torn", data=root, device="cpu")
    assert "folds tear recordings" in told_by_check(torn, root)
    assert "folds tear recordings" not in told_by_check(recipe_of(post=steps(*LEARNED)), root)
    off = recipe_of(post=steps({"smooth": {"kernel": [1, 2, 1], "hop_s": 4}}))
    with pytest.raises(DataError, match="off the grid"):
        outfold.run(Recipe.model_validate(off), tmp_path / "off", data=root, device="cpu")
    assert "off the grid" in told_by_check(off, root)
    far = recipe_of(post=steps({"smooth": {"kernel": "fit", "hop_s": 2.5}}))
    far["stages"]["post"]["steps"][0]["smooth"]["kernel"] = [1, 2, 1]
    told: list[dict[str, Any]] = []
    outfold.run(Recipe.model_validate(far), tmp_path / "far", data=root, device="cpu", emit=told.append)
    assert "no row has a neighbour that counts" in "".join(e["text"] for e in told if e["event"] == "warning")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": {"train": "train.csv", "id": "row_id"}}, r"stage 'post': step `boost` .* set data\.audio"),
        ({"task": {"kind": "regression", "target": BIRDS, "metric": "rmse"}}, "stage 'post': .* this is a regression"),
        (
            {"ranks": {"kind": "blend", "from": ["fit"], "method": "rank_mean"}, "from": "ranks"},
            "'ranks' gives ranks, and steps in time change probabilities",
        ),
        ({"folds": {"full": True}, "steps": LEARNED}, "predicts nothing out of fold to learn from"),
        ({"steps": [{"multiply": {"jay": 2}}]}, "step `multiply` changes values of a regression"),
    ],
)
def test_recipes_that_cannot_be(change: dict[str, Any], told: str) -> None:
    recipe = recipe_of(**({"ranks": change["ranks"]} if "ranks" in change else {}))
    post = steps(*change.get("steps", GIVEN))
    recipe["stages"]["post"] = post | ({"from": change["from"]} if "from" in change else {})
    recipe |= {name: change[name] for name in ("data", "task", "folds") if name in change}
    with pytest.raises(ValidationError, match=told):
        Recipe.model_validate(recipe)


def test_full_data_are_changed_without_a_score(root: Path, tmp_path: Path) -> None:
    recipe = recipe_of(post=steps(*GIVEN), answer={"kind": "submit", "from": "post"})
    recipe["folds"] = {"full": True}
    run = outfold.run(Recipe.model_validate(recipe), tmp_path / "run", data=root, device="cpu")
    plain = pd.read_parquet(next((run.path / "stages" / "fit" / "a").glob("*/test.parquet")))
    rows = pd.read_csv(root / "test.csv").set_index("row_id").loc[plain["id"]]
    probability = 1 / (1 + np.exp(-plain[BIRDS].to_numpy(np.float64)))
    expected = pd.DataFrame(changed_by(probability, GIVEN, rows), plain["id"], BIRDS)
    submitted = pd.read_csv(run.path / "submission.csv").set_index("row_id")
    assert_allclose(submitted, expected.loc[submitted.index], rtol=1e-4)
    assert "scores" not in run.summary["stages"]["post"]["postprocess"]


def test_an_answer_every_so_many_seconds(done: Path, root: Path, tmp_path: Path) -> None:
    told: list[str] = []
    answer = {"kind": "submit", "from": "fit", "every_s": 15, "columns": {"row_id": "window"}}
    answer_of(done, root, tmp_path / "run", told, answer=answer)
    submitted, rows = pd.read_csv(tmp_path / "run" / "submission.csv"), pd.read_csv(root / "test.csv")
    assert submitted["window"].tolist() == rows.loc[rows["from"] % 15 == 0, "row_id"].tolist()
    assert told == ["answer: 32 of 48 windows begin between the multiples of 15 s and are not answered"]
    record = json.loads((tmp_path / "run" / "stages" / "answer" / "file.json").read_text())
    assert (record["rows"], record["left_out"]) == (16, 32)


def test_later_windows_are_answered_as_the_run_does(done: Path, root: Path, tmp_path: Path) -> None:
    """What is left out is told of, and windows that do not fit are refused before anything is predicted."""
    answer = {"kind": "submit", "from": "fit", "every_s": 10, "columns": {"row_id": "window"}}
    run = answer_of(done, root, tmp_path / "run", answer=answer)
    later, told = pd.read_csv(root / "test.csv"), []
    found = run.predict(later, root=root, device="cpu", as_submission=True, emit=told.append)
    assert found["window"].tolist() == later.loc[later["from"] % 10 == 0, "row_id"].tolist()
    warnings = [event["text"] for event in told if event["event"] == "warning"]
    assert warnings == ["answer: 24 of 48 windows begin between the multiples of 10 s and are not answered"]
    told.clear()
    for starts, problem in (
        ([5, 15, 25], "no window of a recording"),
        ([5, 10, 15, 17.5, 22.5], "no window begins at 20"),
    ):
        rows = later.iloc[: len(starts)].assign(**{"file": "t0", "from": starts, "to": np.add(starts, 5)})
        with pytest.raises(DataError, match=rf"stage 'answer', `every_s: 10`: {problem}"):
            run.predict(rows, root=root, device="cpu", as_submission=True, emit=told.append)
        assert told == []
        assert len(run.predict(rows, root=root, device="cpu")) == len(starts)
        told.clear()


def test_of_long_tables_too_only_answered_windows_are_there(root: Path) -> None:
    rows = pd.read_csv(root / "test.csv").iloc[:4]
    rows = rows.assign(**{"file": "t0", "from": [0, 5, 10, 15], "to": [5, 10, 15, 20]})
    recipe = recipe_of(answer={"kind": "submit", "from": "fit", "every_s": 10})
    recipe["data"]["long"] = {"row": "cell", "name": "bird", "value": "heard"}
    data = Recipe.model_validate(recipe).data
    long = rows.merge(pd.DataFrame({"bird": BIRDS}), how="cross")
    long = long.assign(cell=long["row_id"] + "/" + long["bird"])
    samples = samples_from_frame(long, data, root, targets=BIRDS)
    stage, told = Recipe.model_validate(recipe).stages["answer"], []
    assert isinstance(stage, SubmitStage)
    predictions = Predictions(samples.ids, np.zeros((4, 3), np.float32), tuple(BIRDS), "probability")
    task = Recipe.model_validate(recipe).task
    codec = TargetCodec.fit(task, pd.DataFrame(np.eye(3, dtype=int), columns=BIRDS))
    answer = submission(predictions, samples, codec, task, stage, data)
    assert answer["cell"].tolist() == long["cell"][long["from"] % 10 == 0].tolist()
    assert tell_left_out("answer", stage, samples, told.append) == 2


def test_answers_that_no_window_begins_at_are_refused(done: Path, root: Path, tmp_path: Path) -> None:
    answer = {"kind": "submit", "from": "fit", "every_s": 8}
    with pytest.raises(DataError, match=r"stage 'answer', `every_s: 8`: no window begins at 8 s of"):
        answer_of(done, root, tmp_path / "run", answer=answer)


def test_files_whose_columns_would_have_one_name(done: Path, root: Path, tmp_path: Path) -> None:
    answer = {"kind": "submit", "from": "fit", "columns": {"row_id": "owl"}}
    with pytest.raises(RecipeError, match="two columns of its file would be called 'owl'"):
        answer_of(done, root, tmp_path / "run", answer=answer)


def test_the_report_draws_recordings_along_time(done: Path) -> None:
    evaluation = load_evaluation(done)
    assert evaluation.clips is not None
    assert set(evaluation.clips.recording) == {f"s{number}.wav" for number in range(12)}
    table = pd.read_parquet(done / "oof.parquet")
    assert (table["clip_end_s"] - table["clip_start_s"] == 5).all()
    assert "Timelines" in (done / "report.html").read_text()
