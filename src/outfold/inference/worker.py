"""What runs in each process of a `WorkerPool`: pieces of work from a pipe, one after the other, and answers into it.

    python -m outfold.inference.worker DESCRIPTOR

The pipe is private to two processes of one command. When the first of them ends, however it ends, so does this one.
"""

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from outfold.errors import OutfoldError


def main(descriptor: int) -> None:
    """Work until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is sent to all processes; the first one ends the others
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(descriptor)

    def tell(kind: str, content: object) -> None:
        try:
            connection.send((kind, content))
        except BrokenPipeError:
            raise SystemExit from None

    work, slot = _next(connection)
    while True:
        piece = _next(connection)
        try:
            answer = work(piece, slot, lambda event: tell("event", event))
        except OutfoldError as error:
            tell("error", error)
        else:
            tell("answer", answer)


def _next(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, ConnectionResetError):
        raise SystemExit from None


def _end_with(parent: int) -> None:
    """End this process soon after the one that started it, also in the middle of a long piece."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
