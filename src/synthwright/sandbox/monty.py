"""The first backend: Monty, a Python interpreter written in Rust that has no access to anything."""

import ast
import asyncio
import builtins
import datetime
import functools
import importlib
import importlib.resources
import itertools
import os
import re
import shlex
import stat
import sys
import tempfile
import threading
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pydantic_monty
from pydantic_monty import AsyncMonty, Monty, MontyCrashedError, MontyError
from pydantic_monty._binary import find_monty_binary

from synthwright.errors import ConfigError
from synthwright.sandbox.order import HELPERS, reorder_sets
from synthwright.sandbox.programs import ALLOWED_IMPORTS
from synthwright.sandbox.results import Arguments, Failure, FailureKind, Limits, Value
from synthwright.sandbox.transit import read_arguments, read_result
from synthwright.sandbox.values import MAX_DEPTH

__all__ = ["MontySandbox"]

_CALL = "namespace.update(helpers)\ncall(program, function, arguments, namespace, room, depth)"
_RESTART = 50_000  # sessions of one worker before it is replaced: bounds what a leak could cost
_BACKSTOP_SECONDS = 700  # above Limits.seconds; each run's own limit is enforced within a second of grace
# Pools inherited through a fork. They belong to the parent; dropping them would stop the parent's workers.
_INHERITED: list[Any] = []
_ALIVE: "weakref.WeakSet[MontySandbox]" = weakref.WeakSet()
_used_in: int | None = None  # the process that first started a worker


def _leave_to_parent() -> None:
    for sandbox in _ALIVE:
        _INHERITED.append((sandbox._pool, sandbox._threads, sandbox._loops, sandbox._launcher))
        if sandbox._launcher:
            sandbox._launcher._finalizer.detach()  # pyright: ignore[reportAttributeAccessIssue]
        sandbox._start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


_Session = tuple[dict[str, Any], dict[str, Any]]


@functools.cache
def _beside(seed: int) -> str:
    """The source of `inside.py` without docstrings, and what `reorder_sets` needs if it is asked."""
    tree = ast.parse(importlib.resources.files("synthwright.sandbox").joinpath("inside.py").read_text("utf-8"))
    for node in (tree, *(part for part in tree.body if isinstance(part, ast.FunctionDef))):
        if ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.unparse(tree) + (HELPERS if seed else "\nhelpers = {}")


def _quiet(stream: str, text: str) -> None:
    """Drops what a program prints."""


class MontySandbox:
    """Runs programs in worker processes of `pydantic-monty`.

    A program sees no file, network, environment, process or host object, because the interpreter has none; time, memory
    and recursion are limited inside it, and again from outside: a worker that overruns is killed and replaced, and the
    operating system limits its memory and open files. It is a subset of Python, see `docs/sandbox.md`; what it lacks
    gives a Failure of kind "unsupported".

    Args:
        workers: Processes; None for one a core.
        limits: For runs that name none.
    """

    def __init__(self, workers: int | None = None, *, limits: Limits | None = None) -> None:
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ConfigError(f"`workers` must be a positive number of processes, or None, got {workers!r}.")
        self.workers = workers
        self.limits: Limits = limits or Limits()
        self._start_empty()

    def _start_empty(self) -> None:
        _ALIVE.add(self)
        self._lock = threading.Lock()
        self._pool: Monty | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Future[AsyncMonty]] = (
            weakref.WeakKeyDictionary()
        )
        self._prepared: dict[tuple[Limits, int], bytes] = {}
        self._launcher: tempfile.TemporaryDirectory[str] | None = None

    # Pools cannot cross a pickle: the copy starts its own.
    def __getstate__(self) -> dict[str, Any]:
        return {"workers": self.workers, "limits": self.limits}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.workers, self.limits = state["workers"], state["limits"]
        self._start_empty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers that `run` and `run_many` started, and those of the loops that `arun` ran on and that ended.

        An asyncio program closes its own with `aclose`.
        """
        with self._lock:
            pool, self._pool = self._pool, None
            threads, self._threads = self._threads, None
            launcher, self._launcher = self._launcher, None
            self._loops = weakref.WeakKeyDictionary({k: v for k, v in self._loops.items() if k.is_running()})
        if threads:
            threads.shutdown()
        if pool:
            pool.__exit__(None, None, None)
        if launcher and not self._loops:
            launcher.cleanup()

    async def aclose(self) -> None:
        """Stop the workers of the running event loop, then the rest."""
        pool = self._loops.pop(asyncio.get_running_loop(), None)
        if pool:
            await (await pool).__aexit__(None, None, None)
        self.close()

    def run(
        self, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None, seed: int = 0
    ) -> Value | Failure:
        """See `Sandbox.run`. A seed other than 0 also turns the order of sets round, see `order.py`."""
        job = self._job(program, inputs, function, limits, seed)
        if isinstance(job, Failure):
            return job
        for attempt in (1, 2):  # a worker may die for reasons that are not the program's
            try:
                pool = self._started()
                blob = self._prepare(pool, limits or self.limits, seed)
                with pool.checkout(**job[0]) as session:
                    session.load_session(blob)
                    text = session.feed_run(_CALL, inputs=job[1], print_callback=_quiet)
                return _blame(read_result(text, limits or self.limits, _is_unsupported), program)
            except MontyError as error:
                failure = _explain(error)
            if failure.kind != "crashed" or attempt == 2:
                return failure
        raise AssertionError("unreachable")

    async def arun(
        self, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None, seed: int = 0
    ) -> Value | Failure:
        """See `Sandbox.run`. Workers are the event loop's own; no thread is involved."""
        job = self._job(program, inputs, function, limits, seed)
        if isinstance(job, Failure):
            return job
        for attempt in (1, 2):
            try:
                async with self._session(limits or self.limits, seed, job[0]) as session:
                    text = await session.feed_run(_CALL, inputs=job[1], print_callback=_quiet)
                return _blame(read_result(text, limits or self.limits, _is_unsupported), program)
            except MontyError as error:
                failure = _explain(error)
            if failure.kind != "crashed" or attempt == 2:
                return failure
        raise AssertionError("unreachable")

    def run_many(
        self,
        calls: Iterable[tuple[str, Arguments]],
        *,
        function: str = "f",
        limits: Limits | None = None,
        seed: int = 0,
    ) -> list[Value | Failure]:
        """See `Sandbox.run_many`."""
        self._started()
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.workers or os.cpu_count() or 1, "sandbox")
            threads = self._threads
        jobs = list(calls)
        # each thread takes a share, because handing over one program costs as much as half a run
        share = max(1, min(64, len(jobs) // (4 * threads._max_workers)))

        def work(start: int) -> list[Value | Failure]:
            part = itertools.islice(jobs, start, start + share)
            return [self.run(program, args, function=function, limits=limits, seed=seed) for program, args in part]

        return [result for part in threads.map(work, range(0, len(jobs), share)) for result in part]

    def _job(
        self, program: str, inputs: Arguments, function: str, limits: Limits | None, seed: int
    ) -> _Session | Failure:
        """The arguments of the checkout and of the call, or why there is nothing to run."""
        limits = limits or self.limits
        arguments = read_arguments(inputs, function)
        if isinstance(arguments, Failure):
            return arguments
        given = {
            "program": reorder_sets(program, always=_has_set(arguments)) if seed else program,
            "function": function,
            "arguments": arguments,
            "namespace": {"__name__": "program"},
            "room": limits.output_chars,
            "depth": MAX_DEPTH,
        }
        for text in (program, function):
            if not text.isascii() and re.search("[\ud800-\udfff]", text):
                return Failure("syntax", "a lone surrogate is not a character")
        return {"limits": _limits(limits)}, given

    def _started(self) -> Monty:
        with self._lock:
            if self._pool is None:
                self._pool = Monty(**self._options()).__enter__()
            return self._pool

    def _options(self) -> dict[str, Any]:
        global _used_in
        _used_in = _used_in or os.getpid()
        if _used_in != os.getpid():
            # Monty's threads do not survive a fork, and without them the first call would wait forever
            raise ConfigError(
                "Monty cannot run in a fork of a process that has used it: start processes by 'spawn' or 'forkserver', "
                "or use get_sandbox('subprocess')."
            )
        workers = self.workers or os.cpu_count() or 1
        return {
            "binary_path": self._binary(),
            "min_processes": workers,
            "max_processes": workers,
            "max_checkouts_per_worker": _RESTART,
            "request_timeout": _BACKSTOP_SECONDS,
        }

    def _binary(self) -> str:
        """A script that starts a worker without environment, core dumps or a voice on our stderr, with few files."""
        binary = find_monty_binary()
        if sys.platform == "win32":
            return binary
        if self._launcher is None:
            self._launcher = tempfile.TemporaryDirectory(prefix="synthwright-sandbox-", ignore_cleanup_errors=True)
            script = Path(self._launcher.name) / "worker"
            script.write_text(
                "#!/bin/sh\nulimit -c 0\nulimit -f 0\nulimit -n 64\nulimit -v 8388608 2>/dev/null\ncd /\n"
                f'exec env -i {shlex.quote(binary)} "$@" 2>/dev/null\n'
            )
            script.chmod(stat.S_IRWXU)
        return str(Path(self._launcher.name) / "worker")

    def _prepare(self, pool: Monty, limits: Limits, seed: int) -> bytes:
        """A session that holds `inside.py`, as bytes: loading them is faster than compiling it for every run."""
        key = (limits, seed)
        if key not in self._prepared:
            with pool.checkout(limits=_limits(limits, preparing=True), os_policy=_policy(seed)) as session:
                session.feed_run(_beside(seed))
                self._keep(key, session.dump())
        return self._prepared[key]

    def _keep(self, key: tuple[Limits, int], blob: bytes) -> None:
        while len(self._prepared) >= 64:
            self._prepared.pop(next(iter(self._prepared)), None)
        self._prepared[key] = blob

    @asynccontextmanager
    async def _session(
        self, limits: Limits, seed: int, options: dict[str, Any]
    ) -> AsyncIterator[pydantic_monty.AsyncMontySession]:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:  # a task, because a hundred first runs may come at once
            self._loops[loop] = asyncio.ensure_future(AsyncMonty(**self._options()).__aenter__())
        pool = await asyncio.shield(self._loops[loop])
        key = (limits, seed)
        blob = self._prepared.get(key)
        if blob is None:
            async with pool.checkout(limits=_limits(limits, preparing=True), os_policy=_policy(seed)) as session:
                await session.feed_run(_beside(seed))
                blob = await session.dump()
                self._keep(key, blob)
        async with pool.checkout(**options) as session:
            await session.load_session(blob)
            yield session


def _limits(limits: Limits, *, preparing: bool = False) -> pydantic_monty.ResourceLimits:
    return {
        "max_feed_duration_secs": max(limits.seconds, 5.0) if preparing else limits.seconds,
        "max_memory": limits.memory_mb << 20,
        "max_recursion_depth": limits.recursion + MAX_DEPTH,
        "max_suspensions": 1000,
        "max_total_sleep_secs": 0.0,
    }


def _policy(seed: int) -> pydantic_monty.OSPolicy:
    """The same random numbers and clock for equal seeds; sleeping takes no time."""
    # another year, month, day, weekday, hour and second for each of the first few hundred seeds
    clock = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC) + seed * datetime.timedelta(days=397, hours=5, seconds=7)
    return {"random_start": {"seed": seed}, "datetime": clock, "sleep": "zero"}


def _has_set(value: Any) -> bool:
    if type(value) in (set, frozenset):
        return True
    if type(value) is dict:
        return any(map(_has_set, value.values())) or any(map(_has_set, value))
    return type(value) in (list, tuple) and any(map(_has_set, value))


def _is_unsupported(exception: str, message: str) -> bool:
    """Whether CPython has what Monty says does not exist."""
    if exception == "NotImplementedError":
        return "monty" in message
    if exception == "RuntimeError":
        return "Internal error in monty" in message or "is not supported in this environment" in message
    words = re.findall(r"'([^']*)'", message)
    if exception == "ModuleNotFoundError" and words:
        return words[0].split(".")[0] in sys.stdlib_module_names
    if exception == "ImportError" and len(words) > 1:
        return _has(words[1], words[0])
    if exception == "NameError" and words:
        return hasattr(builtins, words[0])
    if exception == "AttributeError" and len(words) > 1:
        owner = getattr(builtins, words[0], None)
        if message.startswith("module "):
            return _has(*words[:2])
        return isinstance(owner, type) and hasattr(owner, words[1])
    return False


def _blame(result: Value | Failure, program: str) -> Value | Failure:
    """A TypeError is Monty's where a class defines an operator: it calls some of them, not `__lt__` or `__len__`."""
    if isinstance(result, Failure) and (result.kind, result.exception) == ("error", "TypeError"):
        if re.search(r"def __(?!init__|str__|repr__)\w+__", program):
            return Failure("unsupported", result.detail, result.exception)
    return result


def _has(module: str, name: str) -> bool:
    """Whether CPython's module has a name; only of modules that are harmless to import."""
    return module in ALLOWED_IMPORTS and hasattr(importlib.import_module(module), name)


def _explain(error: MontyError) -> Failure:
    """The failure behind an exception that ended the session."""
    if isinstance(error, MontyCrashedError):
        if error.timed_out or "duration limit" in str(error):
            return Failure("timeout", str(error)[:300])
        return Failure("crashed", str(error)[:300])
    name, _, message = str(error).partition(": ")
    kinds: dict[str, FailureKind] = {"TimeoutError": "timeout", "MemoryError": "memory", "RecursionError": "recursion"}
    if name == "UnicodeEncodeError":
        return Failure("not_a_value", "a lone surrogate cannot enter the sandbox")
    if name in kinds:
        return Failure(kinds[name], message, name)
    if _is_unsupported(name, message):
        return Failure("unsupported", message, name)
    return Failure("error", message, name)
