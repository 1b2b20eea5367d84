"""Another process that works for this one, seen from this one; `outfold.inference.worker` is what runs in it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import Any

Emit = Callable[[dict[str, Any]], None]

LAST_LINES, QUOTED = 3, 2000
"""How many of its last lines, of so many bytes at most, a lost process is quoted with."""

SECONDS_TO_END = 10.0
"""How long a process that was told to end may take before it is killed."""


@dataclass(frozen=True)
class Slot:
    """What one process may use.

    Attributes:
        device: where it computes: cpu, cuda:0 ..
        threads: threads that compute.
        readers: threads that read samples.
    """

    device: str
    threads: int = 1
    readers: int = 1


class Child:
    """One process and the pipe to it.

    What travels is pickled by `multiprocessing`; nobody but the two processes can reach the pipe.

    Attributes:
        holds: place of the piece that it works on, None while it waits for one.
        megapixels: work that it told of since it was given this piece.
    """

    def __init__(self, work: Callable[..., Any], slot: Slot) -> None:
        self.slot = slot
        self.holds: int | None = None
        self.megapixels = 0.0
        self.killed = False
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        self.connection, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "outfold.inference.worker", str(theirs.fileno())],
                env=_environment(slot),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.said,
                stderr=subprocess.STDOUT,
            )
        with suppress(OSError):  # of a process that is gone already: the next look at it says so
            self.connection.send((work, slot))  # begins to import while the caller still prepares

    def give(self, place: int, piece: object) -> None:
        """Send a piece; a process that is gone is found out when its answer is waited for."""
        self.holds = place
        with suppress(OSError):
            self.connection.send(piece)

    def rest(self) -> None:
        """Wait for a piece."""
        self.holds, self.megapixels = None, 0.0

    def receive(self) -> tuple[str, Any]:
        """The next message: ("event", ..), ("answer", ..), ("error", ..), or ("lost", why) where there is none."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            return "lost", self.last_words()
        if kind == "event" and content["event"] == "work":
            self.megapixels += content["megapixels"]
        return kind, content

    def last_words(self) -> str:
        """How the process ended, and what it wrote last."""
        code = self._wait()
        end = "it left its pipe and did not end" if self.killed else _end(code)
        words = self.words()
        return f"{end}; its last words: {words}" if words else end

    def words(self) -> str:
        """The last lines that the process wrote."""
        text = os.pread(self.said.fileno(), QUOTED, max(0, os.fstat(self.said.fileno()).st_size - QUOTED))
        lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
        return "; ".join([line for line in lines if line][-LAST_LINES:])

    def end(self) -> None:
        """End the process, if it has not ended."""
        self.connection.close()
        self.process.terminate()
        self._wait()
        self.said.close()

    def _wait(self) -> int:
        """The exit code of a process that is ending; one that does not end is killed."""
        try:
            return self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.killed = True
            self.process.kill()
            return self.process.wait()


def _environment(slot: Slot) -> dict[str, str]:
    """Our own environment and import path, with as many threads in every library as the slot has."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(slot.threads)}


def _end(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"it was ended by {name}" + (", as the system does where memory runs out" if name == "SIGKILL" else "")
