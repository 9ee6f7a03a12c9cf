"""One process that reads and compares formulas, started when first needed, killed and started again when it hangs."""

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from synthwright.errors import SynthwrightError

__all__ = ["MathWorker", "shared_worker"]

MEMORY = 1 << 30
"""Bytes of address space that the process may take; SymPy with its parser needs about a fifth."""

START_SECONDS = 60.0
"""Longest start, which imports SymPy: under a second on a free machine."""


class MathWorker:
    """A subprocess that compares formulas, one at a time, and is replaced when it exceeds its time or dies.

    Safe to use from several threads; a forked child starts a process of its own.

    Attributes:
        starts: How often a process was started.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self.memory = memory
        self.starts = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._replies: queue.Queue[str] = queue.Queue()
        self._owner = 0

    def ask(self, seconds: float, **request: str) -> Any:
        """The reply to one request, `timeout` if it took too long, or `unreadable` if it brought the process down.

        Args:
            seconds: Time allowed, more than 0; a start of the process is not counted.
            **request: `do` (`equal` or `show`), `first`, and `second` for `equal`.

        Raises:
            SynthwrightError: The process cannot be started at all.
        """
        with self._lock:
            if self._owner != os.getpid() or self._process is None or self._process.poll() is not None:
                self._start()
            process = self._process
            assert process is not None and process.stdin is not None
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                reply = self._replies.get(timeout=seconds)
            except queue.Empty:
                self._stop()
                return "timeout"
            except OSError:
                reply = ""
            if not reply:  # the process died: out of memory, most likely
                self._stop()
                return "unreadable"
            return json.loads(reply)

    def close(self) -> None:
        """End the process; the next request starts another."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        if self._owner == os.getpid():
            self._stop()
        command = [sys.executable, "-I", str(Path(__file__).with_name("math_server.py"))]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
            start_new_session=os.name == "posix",  # Ctrl-C is for the program that waits, not for its worker
        )
        self._process, self._owner, self._replies = process, os.getpid(), queue.Queue()
        self.starts += 1
        threading.Thread(target=_forward, args=(process, self._replies), daemon=True).start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"path": sys.path, "memory": self.memory}) + "\n")
            process.stdin.flush()
            ready = self._replies.get(timeout=START_SECONDS)
        except (queue.Empty, OSError):
            ready = ""
        if not ready:
            self._stop()
            raise SynthwrightError(
                f"The process for formulas did not start: {' '.join(command)}. Is `math-verify` installed?"
            )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


def _forward(process: "subprocess.Popen[str]", replies: "queue.Queue[str]") -> None:
    """Put each line of the process in the queue, and an empty one at its end."""
    with contextlib.suppress(ValueError, OSError):
        for line in process.stdout or ():
            replies.put(line)
    replies.put("")


_shared = MathWorker()
atexit.register(_shared.close)


def shared_worker() -> MathWorker:
    """The worker of this Python process."""
    return _shared
