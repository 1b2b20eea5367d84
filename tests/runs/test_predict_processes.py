"""Later rows predicted by several processes: the numbers of one, or an error and no file, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file

import outfold
from outfold.cli.predict import predict
from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions
from outfold.data.table import Samples
from outfold.data.targets import TargetCodec
from outfold.errors import OutfoldError, TrainingError, WorkerError
from outfold.runs import processes
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.stages.sharing import Slice

FAULTY = """
import os, signal, time
from pathlib import Path

from outfold.stages import sharing

HERE = Path(__file__).parent


def killed_once(piece, slot, emit):
    return _killed(piece, slot, emit, 1)


def killed_twice(piece, slot, emit):
    return _killed(piece, slot, emit, 2)


def _killed(piece, slot, emit, times):
    def tell(event):
        emit(event)
        if getattr(piece, "start", 1) == 0 and len(list(HERE.glob("death*"))) < times:
            (HERE / f"death{len(list(HERE.glob('death*')))}").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return sharing.perform(piece, slot, tell)


def slow(piece, slot, emit):
    (HERE / f"working{os.getpid()}").touch()
    while True:
        emit({"event": "work", "megapixels": 0.0})
        time.sleep(0.05)
"""


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module whose functions stand for `perform` in other processes."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "faulty.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    sys.modules.pop("faulty", None)
    import faulty

    return faulty


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in the order of one thread, here and in the processes that share out this one's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def done(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> outfold.Run:
    """Two members of different batches, several views, and an input that counts the rows of the whole table."""
    fit = tiny_recipe["stages"]["fit"]
    fit["phases"][0]["epochs"] = 1
    fit["table"] = {"derived": ["log_group_rows"], "group": "site", "widths": [4]}
    fit["members"] = {"a": {"predict": {"batch_size": 7}}, "b": {"predict": {"average": "probability"}}}
    tiny_recipe["folds"]["only"] = [0]
    del tiny_recipe["data"]["test"], tiny_recipe["stages"]["answer"]
    return outfold.run(Recipe.model_validate(tiny_recipe), tmp_path / "run", data=shapes, device="cpu")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_two_processes_give_the_numbers_of_one(done: outfold.Run, shapes: Path) -> None:
    events: list[dict[str, Any]] = []
    table = shapes / "train.csv"
    one = done.predict(table, device="cpu", emit=events.append)
    two = done.predict(table, device="cpu", processes=2, emit=events.append)
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    told = [event for event in events if event["event"] == "predicting"]
    assert [(event["rows"], event["models"], event["processes"]) for event in told] == [(72, 2, 1), (72, 2, 2)]
    assert told[0]["seconds"] > 0
    work = sum(event["megapixels"] for event in events if event["event"] == "work")
    assert work == pytest.approx(sum(event["megapixels"] for event in told))
    assert not [event for event in events if event["event"] == "warning"]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_rows_of_a_killed_process_are_predicted_again(
    done: outfold.Run, shapes: Path, faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = done.predict(shapes / "train.csv", device="cpu")
    monkeypatch.setattr(processes, "perform", faulty.killed_once)
    events: list[dict[str, Any]] = []
    two = done.predict(shapes / "train.csv", device="cpu", processes=2, emit=events.append)
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    warnings = [event["text"] for event in events if event["event"] == "warning"]
    assert "rows 1 to 35 of 72 (p000 to p034)" in warnings[0]
    assert "SIGKILL" in warnings[0]
    work = sum(event["megapixels"] for event in events if event["event"] == "work")
    assert work == pytest.approx(next(event["megapixels"] for event in events if event["event"] == "predicting"))


@pytest.mark.slow
def test_rows_that_cost_two_processes_are_an_error_and_no_file(
    done: outfold.Run,
    shapes: Path,
    faulty: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(processes, "perform", faulty.killed_twice)
    out = tmp_path / "answers" / "answer.csv"
    with pytest.raises(WorkerError, match=r"rows 1 to 35 of 72 \(p000 to p034\)") as raised:
        predict(done.path, shapes / "train.csv", out=out, device="cpu", processes=2)
    assert str(raised.value).count("SIGKILL") == 2
    printed = capsys.readouterr().out
    assert "72 rows by 2 models in 2 processes: " in printed
    assert "warning: a process was lost over rows 1 to 35" in printed
    assert not out.parent.exists()


def test_an_answer_is_one_prediction_of_each_row_by_each_model() -> None:
    frame = pd.DataFrame({"id": ["a", "b", "c"]})
    rows = Rows(Samples(frame, frame["id"].to_numpy(object), None, "id"))
    codec = TargetCodec("regression", ("y",), (), ("y",), ("float64",))
    piece = Slice((Path("one"), Path("two")), TrainSettings(), codec, rows, 3, 9)
    answer = Predictions(rows.samples.ids, np.ones((3, 1)), ("y",), "value")
    assert piece.title == "rows 4 to 6 of 9 (a to c)"
    assert piece.fault([answer, answer]) is None
    assert piece.fault([answer]) == "it predicted by 1 models of 2"
    for wrong in (answer.take(np.arange(2)), answer.take(np.array([0, 2, 1]))):
        assert "and not the 3 that were asked for" in str(piece.fault([answer, wrong]))


def test_processes_and_devices_that_cannot_be(done: outfold.Run, shapes: Path) -> None:
    def refused(**given: Any) -> None:
        done.predict(shapes / "train.csv", **given)

    with pytest.raises(OutfoldError, match="no work without a process"):
        refused(processes=0)
    with pytest.raises(OutfoldError, match="several GPUs are given one process each"):
        refused(devices=[0, 1], processes=3)
    with pytest.raises(OutfoldError, match="several GPUs are given one process each"):
        refused(devices=[0], device="cpu")
    with pytest.raises(TrainingError, match="there is no GPU 99"):
        refused(devices=[99])


def test_gpus_are_given_a_process_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    slots = processes.slots_of("auto", 1, [1, 0])
    assert [(slot.device, slot.threads) for slot in slots] == [("cuda:1", 4), ("cuda:0", 4)]
    assert [(slot.device, slot.threads) for slot in processes.slots_of("cpu", 3, [])] == [("cpu", 2)] * 3
    with pytest.raises(TrainingError, match="there is no GPU 2 here"):
        processes.slots_of("auto", 1, [0, 2])
    with pytest.raises(TrainingError, match="a GPU is named twice"):
        processes.slots_of("auto", 1, [0, 0])
    with pytest.raises(OutfoldError, match="several processes share a CPU"):
        processes.slots_of("auto", 2, [])


def command(run: Path, table: Path, out: Path, work: str, modules: Path) -> subprocess.Popen[str]:
    """`outfold predict --processes 2` whose processes do other work, as the leader of a group of its own."""
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job has none
        f"import sys; sys.path.insert(0, {str(modules)!r})\n"
        "import faulty; from outfold.runs import processes\n"
        f"processes.perform = faulty.{work}\n"
        "from outfold.cli import main; main()"
    )
    arguments = ["predict", str(run), str(table), "--out", str(out), "--device", "cpu", "--processes", "2"]
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def members_of_group(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, own = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(own) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_ctrl_c_leaves_no_process_and_no_file(done: outfold.Run, shapes: Path, faulty: Any, tmp_path: Path) -> None:
    out = tmp_path / "answer.csv"
    modules = Path(faulty.__file__).parent
    with command(done.path, shapes / "train.csv", out, "slow", modules) as process:
        while len(list(modules.glob("working*"))) < 2:
            assert process.poll() is None
            time.sleep(0.1)
        assert len(members_of_group(process.pid)) == 3
        os.killpg(process.pid, signal.SIGINT)
        try:
            assert process.wait(60) == 130
        finally:
            if process.poll() is None:  # leaving the block would wait for it for ever
                os.killpg(process.pid, signal.SIGKILL)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert not members_of_group(process.pid)
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_vectors_of_a_frozen_backbone_are_made_by_several_processes(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "w.safetensors"
    save_file(timm.create_model("test_efficientnet", num_classes=0).state_dict(), weights)
    phases = [{"name": "head", "epochs": 1, "lr": 1e-2}]
    image = {"size": 32, "resize": "squash"}
    view = {"kind": "embedding", "backbone": "test_efficientnet", "weights": f"file:{weights}", "image": image}
    view["batch_size"] = 7
    fit = {"kind": "train", "view": view, "batch_size": 8, "phases": phases, "members": {"a": {}}}
    tiny_recipe["stages"] = {"fit": fit}
    tiny_recipe["folds"]["only"] = [0]
    del tiny_recipe["data"]["test"]
    done = outfold.run(Recipe.model_validate(tiny_recipe), tmp_path / "run", data=shapes, device="cpu")
    answers, events = [], list[dict[str, Any]]()
    for number in (1, 2):
        monkeypatch.setenv("OUTFOLD_CACHE", str(tmp_path / f"cache{number}"))
        answers.append(done.predict(shapes / "train.csv", device="cpu", processes=number, emit=events.append))
    pd.testing.assert_frame_equal(*answers, check_exact=True)
    assert len(list((tmp_path / "cache2" / "fingerprints").iterdir())) == 1
    assert not [event for event in events if event["event"] == "warning"]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_stages_that_build_on_others_give_the_numbers_of_one_process(
    meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    """Predicted inputs, models served with them, and test-time training of two members, each in a process."""
    stages = meadow_recipe["stages"]
    given = {**stages["fit"], "table": {**stages["fit"]["table"], "training_only": True}}
    del given["table"]["predicted_by"]
    stages["fit"]["members"] = {"a": {}, "b": {"head": {"dropout": 0.2}}}
    stages["given"] = given
    stages["served"] = {"kind": "serve", "from": "given", "inputs": "sensor"}
    more = [{"name": "more", "epochs": 3, "lr": 0.01}]
    stages["adapted"] = {"kind": "adapt", "from": "fit", "labels": "fit", "phases": more}
    stages["all"] = {"kind": "blend", "from": ["served", "adapted"], "method": "mean"}
    for name in ("sensor", "fit", "given"):
        stages[name]["phases"][0]["epochs"] = 2
        stages[name]["predict"] = {"batch_size": 4}
    done = outfold.run(Recipe.model_validate(meadow_recipe), tmp_path / "run", data=meadow, device="cpu")
    one = done.predict(meadow / "later.csv", device="cpu")
    events: list[dict[str, Any]] = []
    two = done.predict(meadow / "later.csv", device="cpu", processes=2, emit=events.append)
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    told = [event["event"] for event in events]
    assert told.count("predicting") == told.count("adapting") == 1
    assert {event["job"] for event in events if event["event"] == "epoch"} == {
        f"adapted/{member}/whole-seed0 fit" for member in "ab"
    }
    assert next(event for event in events if event["event"] == "predicting")["models"] == 3 + 3 * 2 + 3 + 2
    assert "warning" not in told
