"""Pieces of work shared by processes: every piece is done or the whole fails, and nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.errors import DataError, WorkerError
from outfold.inference.child import Slot
from outfold.inference.processes import WorkerPool, slices

CHORES = '''
import os, signal, time
from pathlib import Path

from outfold.errors import DataError


def doubled(piece, slot, emit):
    emit({"event": "work", "megapixels": 1.0})
    return 2 * piece


def threads(piece, slot, emit):
    return slot.device, os.environ["OMP_NUM_THREADS"]


def killed(piece, slot, emit):
    """A piece is (number, folder, times): its process is killed the first so many times."""
    number, folder, times = piece
    emit({"event": "work", "megapixels": 1.0})
    deaths = len(list(Path(folder).glob(f"{number}-*")))
    if deaths < times:
        (Path(folder) / f"{number}-{deaths}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def crashed(piece, slot, emit):
    raise MemoryError(f"no room for {piece}")


def refused(piece, slot, emit):
    raise DataError("row 3 is wrong", got=piece, fix="mend it")


def forgetful(piece, slot, emit):
    """Loses rows the first time."""
    rows, folder = piece
    try:
        Path(folder, "forgotten").mkdir()
    except FileExistsError:
        return rows
    return rows[:1]


def sleeps(piece, slot, emit):
    emit({"event": "work", "megapixels": float(os.getpid())})
    time.sleep(0.05)
    while True:
        emit({"event": "work", "megapixels": 0.0})
        time.sleep(0.05)


def stares(piece, slot, emit):
    time.sleep(600)


def talks(piece, slot, emit):
    print("something is odd")
    return piece
'''


@pytest.fixture
def chores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that other processes can import."""
    (tmp_path / "chores.py").write_text(CHORES)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("chores", None)
    import chores

    return chores


def two(work: Any, emit: Any = lambda event: None) -> WorkerPool[Any, Any]:
    return WorkerPool(work, [Slot("cpu"), Slot("cpu")], emit)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while any(map(is_there, pids)):
        assert time.monotonic() < end, "processes were left behind"
        time.sleep(0.05)


@given(rows=st.integers(0, 500), parts=st.integers(1, 9), batch_size=st.integers(1, 70))
def test_slices_are_all_rows_cut_between_batches(rows: int, parts: int, batch_size: int) -> None:
    found = slices(rows, parts, batch_size)
    assert [row for run in found for row in run] == list(range(rows))
    assert all(run.start % batch_size == 0 for run in found)
    batches = [-(-len(run) // batch_size) for run in found]
    assert len(found) == min(parts, -(-rows // batch_size))
    assert not batches or max(batches) - min(batches) <= 1


def test_answers_come_in_the_order_of_the_pieces(chores: Any) -> None:
    events: list[dict[str, Any]] = []
    with two(chores.doubled, events.append) as pool:
        assert pool.map(range(7), name=str) == [0, 2, 4, 6, 8, 10, 12]
        assert pool.map([], name=str) == []
        assert pool.map([np.arange(3)], name=str)[0].tolist() == [0, 2, 4]
        pids = pool.pids
    assert len(pids) == 2
    assert [event["event"] for event in events] == ["work"] * 8
    wait_until_gone(pids)


def test_a_slot_says_where_and_with_how_many_threads(chores: Any) -> None:
    with WorkerPool(chores.threads, [Slot("cpu", threads=3)]) as pool:
        assert pool.map([0], name=str) == [("cpu", "3")]


def test_a_piece_whose_process_is_killed_is_done_again_by_another(chores: Any, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with two(chores.killed, events.append) as pool:
        pieces = [(number, str(tmp_path), int(number == 1)) for number in range(4)]
        assert pool.map(pieces, name="piece {0[0]}".format) == [0, 1, 2, 3]
        assert len(pool) == 1
    warned = [event["text"] for event in events if event["event"] == "warning"]
    assert len(warned) == 1
    assert "piece 1" in warned[0]
    assert "SIGKILL" in warned[0]
    assert "1 process is left" in warned[0]
    assert sum(event["megapixels"] for event in events if event["event"] == "work") == 4.0


def test_all_processes_lost_at_once_are_followed_by_one(chores: Any, tmp_path: Path) -> None:
    with two(chores.killed) as pool:
        pieces = [(number, str(tmp_path), 1) for number in range(2)]
        assert pool.map(pieces, name=str) == [0, 1]


def test_a_piece_that_costs_two_processes_is_an_error_that_names_it(chores: Any, tmp_path: Path) -> None:
    with two(chores.killed) as pool:
        pieces = [(number, str(tmp_path), 2 * (number == 1)) for number in range(4)]
        with pytest.raises(WorkerError, match="piece 1 could not be done") as raised:
            pool.map(pieces, name="piece {0[0]}".format)
        assert len(pool) == 0
    assert str(raised.value).count("SIGKILL") == 2
    assert len(list(tmp_path.glob("1-*"))) == 2


def test_a_crash_is_quoted(chores: Any) -> None:
    with two(chores.crashed) as pool, pytest.raises(WorkerError, match="MemoryError: no room for 5"):
        pool.map([5], name=str)


def test_an_error_that_the_user_can_mend_comes_through_as_it_is(chores: Any) -> None:
    with two(chores.refused) as pool, pytest.raises(DataError) as raised:
        pool.map([7], name=str)
    assert (raised.value.problem, raised.value.got, raised.value.fix) == ("row 3 is wrong", 7, "mend it")
    assert str(raised.value).count("row 3 is wrong") == 1


def test_too_few_rows_are_no_answer(chores: Any, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []

    def fault(piece: Any, answer: list[int]) -> str | None:
        return None if answer == piece[0] else f"{len(answer)} rows of {len(piece[0])}"

    with two(chores.forgetful, events.append) as pool:
        pieces = [([1, 2, 3], str(tmp_path)), ([4, 5], str(tmp_path))]
        assert pool.map(pieces, name=str, fault=fault) == [[1, 2, 3], [4, 5]]
        assert len(pool) == 1
    assert "1 rows of" in events[0]["text"]


def test_what_a_process_writes_is_told(chores: Any) -> None:
    events: list[dict[str, Any]] = []
    with two(chores.talks, events.append) as pool:
        pool.map([1, 2], name=str)
    assert [event["text"] for event in events] == ["a process wrote: something is odd"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_no_process(chores: Any, interruption: type[BaseException]) -> None:
    seen: set[int] = set()

    def emit(event: dict[str, Any]) -> None:
        seen.add(int(event["megapixels"]))
        if len(seen) == 3:  # both pids and a zero
            raise interruption

    with pytest.raises(interruption), two(chores.sleeps, emit) as pool:
        pool.map([1, 2], name=str)
    wait_until_gone([pid for pid in seen if pid])


@pytest.mark.parametrize(("chore", "stop"), [("sleeps", "SIGTERM"), ("stares", "SIGKILL")])
def test_processes_end_with_the_one_that_started_them(chores: Any, tmp_path: Path, chore: str, stop: str) -> None:
    """Also one that is killed, and can end nothing any more."""
    script = (
        "import chores; from outfold.inference.processes import Slot, WorkerPool\n"
        f"with WorkerPool(chores.{chore}, [Slot('cpu')] * 2) as pool:\n"
        "    print(*pool.pids, flush=True)\n"
        "    pool.map([1, 2], name=str)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        time.sleep(0.5)
        assert all(map(is_there, pids))
        parent.send_signal(signal.Signals[stop])
    wait_until_gone(pids)
