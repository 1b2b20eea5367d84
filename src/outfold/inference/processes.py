"""Pieces of work done by several processes; a piece whose process is lost is done once more by another.

    with WorkerPool(work, [Slot("cpu", threads=4, readers=4)] * 2) as pool:
        answers = pool.map(pieces, name=str, fault=lambda piece, answer: None)

Answers travel through a pipe to each process and are whole or not there: one that the system kills, that crashes or
runs out of memory leaves nothing that could be taken for an answer. A lost process is not replaced as long as another
is left: what killed it, memory above all, would meet the next one too.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import wait
from typing import Generic, Self, TypeVar

from outfold.errors import WorkerError
from outfold.inference.child import Child, Emit, Slot

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")
Work = Callable[[Piece, Slot, Emit], Answer]
"""Does a piece: a function of a module, so that other processes can import it."""


class WorkerPool(Generic[Piece, Answer]):
    """Processes that wait for pieces of work; leaving the context ends them all, however it is left.

    Args:
        work: does one piece. Where it raises an OutfoldError that error is the caller's; any other exception ends its
            process, which is then lost.
        slots: one for each process.
        emit: is told what `work` emits, and {"event": "warning", "text"} of each process that is lost.
    """

    def __init__(self, work: Work[Piece, Answer], slots: Sequence[Slot], emit: Emit = lambda event: None) -> None:
        self.work, self.emit = work, emit
        self._workers: list[Child] = []
        self._free = list(slots)

    def __enter__(self) -> Self:
        try:
            while self._free:
                self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        said = {words: None for worker in self._workers if (words := worker.words())}
        self.close()
        for words in said if failure is None else ():
            self.emit({"event": "warning", "text": f"a process wrote: {words}"})

    def __len__(self) -> int:
        """How many processes are left."""
        return len(self._workers)

    @property
    def pids(self) -> list[int]:
        """The processes' numbers."""
        return [worker.process.pid for worker in self._workers]

    def map(
        self,
        pieces: Sequence[Piece],
        *,
        name: Callable[[Piece], str],
        fault: Callable[[Piece, Answer], str | None] = lambda piece, answer: None,
    ) -> list[Answer]:
        """Have all pieces done.

        Args:
            pieces: what `work` is called with, one by one.
            name: what errors call a piece.
            fault: what is wrong with an answer, or None; a process that gives a wrong one counts as lost.

        Returns:
            The answers, in the order of the pieces.

        Raises:
            WorkerError: two processes were lost over the same piece.
            OutfoldError: `work` raised it.
        """
        order = _Order(pieces, name, fault)
        try:
            while order.is_open:
                self._hand_out(order)
                for worker in self._with_news():
                    self._take(worker, order)
        except BaseException:
            self.close()  # workers may hold pieces whose answers nobody waits for
            raise
        return order.all_answers()

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _hand_out(self, order: "_Order[Piece, Answer]") -> None:
        """Give each idle worker a piece; where no worker is left, start one."""
        if order.todo and not self._workers:
            self._start()
        for worker in self._workers:
            if order.todo and worker.holds is None:
                place = order.todo.popleft()
                worker.give(place, order.pieces[place])

    def _take(self, worker: Child, order: "_Order[Piece, Answer]") -> None:
        """What a worker has to say, and what follows from it."""
        kind, content = worker.receive()
        if kind == "event":
            self.emit(content)
        elif kind == "error":
            raise content
        elif kind == "lost":
            self._lose(worker, content, order)
        elif wrong := order.accept(worker.holds, content):
            self._lose(worker, wrong, order)
        else:
            worker.rest()

    def _with_news(self) -> list[Child]:
        by_connection = {worker.connection: worker for worker in self._workers}
        return [by_connection[connection] for connection in wait(list(by_connection))]  # type: ignore[index]

    def _start(self) -> None:
        self._workers.append(Child(self.work, self._free.pop(0)))

    def _lose(self, worker: Child, why: str, order: "_Order[Piece, Answer]") -> None:
        """Strike a worker off and put its piece back; what it told of its progress is taken back."""
        worker.end()
        self._workers.remove(worker)
        self._free.append(worker.slot)
        if worker.megapixels:
            self.emit({"event": "work", "megapixels": -worker.megapixels})
        if worker.holds is not None:
            piece = order.put_back(worker.holds, why)
            self.emit({"event": "warning", "text": _once_lost(piece, why, len(self))})


@dataclass
class _Order(Generic[Piece, Answer]):
    """What one call of `map` asks for, and how far it is."""

    pieces: Sequence[Piece]
    name: Callable[[Piece], str]
    fault: Callable[[Piece, Answer], str | None]

    def __post_init__(self) -> None:
        self.todo = deque(range(len(self.pieces)))
        self.answers: dict[int, Answer] = {}
        self.lost: dict[int, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether answers are missing."""
        return len(self.answers) < len(self.pieces)

    def accept(self, place: int | None, answer: Answer) -> str | None:
        """Keep an answer, or say what is wrong with it."""
        assert place is not None  # nobody answers who was not asked
        wrong = self.fault(self.pieces[place], answer)
        if wrong is None:
            self.answers[place] = answer
        return wrong

    def put_back(self, place: int, why: str) -> str:
        """Have a piece done again, and say what it is called; WorkerError where that was its second time."""
        piece = self.name(self.pieces[place])
        if place in self.lost:
            raise _twice_lost(piece, self.lost[place], why)
        self.lost[place] = why
        self.todo.append(place)
        return piece

    def all_answers(self) -> list[Answer]:
        """The answers, in the order of the pieces."""
        return [self.answers[place] for place in range(len(self.pieces))]


def slices(rows: int, parts: int, batch_size: int) -> list[range]:
    """Rows in about equal runs, cut between batches only, so that every batch is the one it would be in one process.

    Args:
        rows: how many.
        parts: how many runs at most; fewer where there are fewer batches.
        batch_size: rows in a batch.
    """
    batches = -(-rows // batch_size)
    cuts = [min(rows, part * batches // parts * batch_size) for part in range(parts + 1)]
    return [range(first, last) for first, last in pairwise(cuts) if first < last]


def _once_lost(piece: str, why: str, left: int) -> str:
    others = "1 process is left" if left == 1 else f"{left} processes are left" if left else "another one is started"
    return f"a process was lost over {piece}, which are done again; {others}. {why}"


def _twice_lost(piece: str, first: str, second: str) -> WorkerError:
    return WorkerError(
        f"{piece} could not be done: two processes were lost over them, one after the other",
        got=f"first: {first}\n            then: {second}",
        fix="where memory ran out give fewer processes or a smaller `predict.batch_size`; nothing was written",
    )
