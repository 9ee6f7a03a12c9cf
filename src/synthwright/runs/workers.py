"""Seeds in worker processes: the run plans, filters and stores, its workers make the calls.

A worker is this module run as a program. It gets the generator once, then seeds, and sends back every answered call as
it comes (so that a killed run loses nothing) and what each seed gave, rows as JSON, with the spans of its calls if the
run is traced. One process writes the store.
"""

import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import dspy

from synthwright.errors import ConfigError, ProgramError
from synthwright.lms.budgets import Budget, Meter, Price, Retry, SharedLedger
from synthwright.lms.journal import Journal, open_journal
from synthwright.lms.remote_spans import EndedSpan, collect_spans, current_trace, flush_spans, in_trace, remake
from synthwright.lms.scopes import Scope, names_of
from synthwright.programs.base import Generator
from synthwright.runs.event_loop import new_event_loop
from synthwright.runs.outcome import Outcome, pack_outcome, unpack_outcome
from synthwright.runs.roles import assign_lms, close_engines
from synthwright.runs.scheduler import ask

if TYPE_CHECKING:
    from synthwright.runs.session import Session

__all__ = ["Job", "Workers"]


@dataclass
class Job:
    """What a worker needs to ask seeds of a run.

    Attributes:
        generator: The generator, without LMs of the run.
        lms: The LMs by role.
        adapter: The adapter of the run.
        seed: Random seed of the run.
        limit: Calls in flight at a time in this worker.
        budget: Limits of the whole run.
        ledger: File of the shared ledger.
        prices: US dollars by model.
        retry: How failed calls are repeated.
        journals: Runs whose journals are read, the own one first; empty for no journal.
        traced: Whether the run has OpenTelemetry spans.
    """

    generator: Generator[Any]
    lms: Mapping[str, dspy.BaseLM]
    adapter: dspy.Adapter
    seed: int
    limit: int
    budget: Budget | None
    ledger: Path
    prices: Mapping[str, Price] | None
    retry: Retry | None
    journals: tuple[Path, ...]
    traced: bool


_Answer = tuple[Outcome | Exception, list[EndedSpan]]
"""What a worker sends back of a seed: what it gave or raised, and the spans of its calls."""


class Workers:
    """The worker processes of a run.

    Args:
        session: The run.
        count: Number of processes, 2 or more.
        job: What they work on.

    Raises:
        ConfigError: The generator or an LM cannot be sent to another process.
    """

    def __init__(self, session: "Session[Any]", count: int, job: Job) -> None:
        self.session, self.count = session, count
        try:
            self._job = cloudpickle.dumps(job)
        except Exception as error:  # whatever the objects of the user raise
            raise ConfigError(
                f"`workers={count}` sends the generator and its LMs to other processes, and one of them cannot be "
                f"sent: {error}. Use `workers=1`, or keep open files, locks and connections out of them."
            ) from error
        self._waiting: list[dict[int, asyncio.Future[_Answer]]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the processes and send them the job."""
        for _ in range(self.count):
            ours, theirs = socket.socketpair()
            with theirs:
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "-c", _PROGRAM.format(theirs.fileno(), sys.path)],
                        pass_fds=[theirs.fileno()],
                        start_new_session=True,  # Ctrl-C is for the run, which lets its workers finish
                    )
                )
            reader, writer = await asyncio.open_connection(sock=ours)
            _send(writer, self._job)
            waiting: dict[int, asyncio.Future[_Answer]] = {}
            self._waiting.append(waiting)
            self._writers.append(writer)
            self._readers.append(asyncio.create_task(self._listen(reader, waiting)))

    async def ask(self, index: int, inputs: str) -> Outcome:
        """The outcome of one seed, asked in the worker that has the fewest."""
        least = min(range(self.count), key=lambda i: len(self._waiting[i]))
        future = self._waiting[least][index] = asyncio.get_running_loop().create_future()
        try:
            _send(self._writers[least], cloudpickle.dumps(("ask", index, (inputs, current_trace()))))
            outcome, spans = await future
        except asyncio.CancelledError:
            _send(self._writers[least], cloudpickle.dumps(("cancel", index, None)))
            raise
        finally:
            self._waiting[least].pop(index, None)
        remake(spans)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self) -> None:
        """End the processes."""
        for writer in self._writers:
            writer.close()
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for process in self._processes:
            try:
                await asyncio.to_thread(process.wait, 5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    async def _listen(self, reader: asyncio.StreamReader, waiting: dict[int, asyncio.Future[_Answer]]) -> None:
        try:
            while True:
                kind, index, content, spans = cloudpickle.loads(await _receive(reader))
                if kind == "calls":
                    self.session.calls_arrived(*content)
                    continue
                future = waiting.get(index)
                if future is not None and not future.done():  # else it was given up meanwhile
                    future.set_result((unpack_outcome(*content) if kind == "outcome" else content, spans))
        except (asyncio.IncompleteReadError, ConnectionError):
            for future in waiting.values():
                if not future.done():
                    future.set_exception(
                        ProgramError(
                            "A worker process died. What was made is kept in "
                            f"{str(self.session.out)!r}; run the same command to go on. If it dies again, look for "
                            "code that exits or crashes the interpreter, and for the memory of the machine."
                        )
                    )


class _Worker:
    """One worker process."""

    def __init__(self, job: Job, writer: asyncio.StreamWriter) -> None:
        self.job, self.writer = job, writer
        self.loop = asyncio.get_running_loop()
        self.meter = Meter(job.budget, None, job.prices, changed=self._changed, ledger=SharedLedger(job.ledger))
        self.journal: Journal | None = None
        if job.journals:
            own, *earlier = [open_journal(path) for path in job.journals]
            own.earlier = tuple(earlier)
            self.journal = own
        if job.traced:
            collect_spans()
        self.wrapped = assign_lms(job.generator, job.lms, self.meter, job.retry, job.limit, self.journal)
        self.names = names_of(job.generator)
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self._due = False
        self._recalled = 0

    async def work(self, reader: asyncio.StreamReader) -> None:
        """Ask what comes until the run closes the connection."""
        settings: dict[str, Any] = {"adapter": self.job.adapter, "disable_history": True, "max_trace_size": 0}
        try:
            with dspy.context(lm=next(iter(self.wrapped.values())), **settings):
                while True:
                    kind, index, content = cloudpickle.loads(await _receive(reader))
                    if kind == "ask":
                        self.tasks[index] = asyncio.create_task(self._ask(index, *content))
                    elif index in self.tasks:
                        self.tasks[index].cancel()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the run is over, or was killed
        finally:
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)
            await close_engines(self.job.lms)

    async def _ask(self, index: int, inputs: str, trace: dict[str, str] | None) -> None:
        with in_trace(trace) as spans:
            try:
                outcome = await ask(self.job.generator, Scope(self.job.seed, str(index), self.names), inputs)
                message = ("outcome", index, pack_outcome(outcome), spans)
            except Exception as error:
                message = ("error", index, error, spans)
            finally:
                self.tasks.pop(index, None)
        self._send_calls()
        try:
            content = cloudpickle.dumps(message)
        except Exception:
            error = ProgramError(f"Seed {index} gave {message[:3]!r}, which no other process can read.")
            content = cloudpickle.dumps(("error", index, error, spans))
        _send(self.writer, content)

    def _changed(self) -> None:
        if not self._due:
            self._due = True
            self.loop.call_soon_threadsafe(self._send_calls)

    def _send_calls(self) -> None:
        self._due = False
        records, texts = self.journal.take() if self.journal is not None else ([], [])
        usage, recalled = self.meter.take(), self.meter.recalled - self._recalled
        if records or usage or recalled:
            self._recalled += recalled
            _send(self.writer, cloudpickle.dumps(("calls", 0, (records, texts, usage, recalled), [])))


_PROGRAM = "import sys; sys.path[:] = {1!r}; from synthwright.runs.workers import main; main({0})"


def main(descriptor: int) -> None:
    """Be a worker.

    Args:
        descriptor: File descriptor of the socket to the run.
    """

    async def serve() -> None:
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
        job = cloudpickle.loads(await _receive(reader))
        await _Worker(job, writer).work(reader)

    with asyncio.Runner(loop_factory=new_event_loop()) as runner:
        runner.run(serve())
    flush_spans()
    sys.stdout.flush()
    os._exit(0)  # threads of plain `forward` programs that nobody waits for any more


def _send(writer: asyncio.StreamWriter, content: bytes) -> None:
    if not writer.is_closing():
        writer.write(struct.pack(">I", len(content)) + content)


async def _receive(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    return await reader.readexactly(size)
