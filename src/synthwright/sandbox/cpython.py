"""The second backend: CPython itself, one process a run, fenced in by the operating system."""

import asyncio
import functools
import importlib.resources
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from synthwright.errors import ConfigError
from synthwright.sandbox.child import DIED, TIMED_OUT
from synthwright.sandbox.inside import encode
from synthwright.sandbox.programs import ALLOWED_IMPORTS, BANNED_NAMES, check_program, imported_modules
from synthwright.sandbox.results import Arguments, Failure, Limits, Value
from synthwright.sandbox.transit import read_arguments, read_result
from synthwright.sandbox.values import MAX_DEPTH

__all__ = ["SubprocessSandbox"]

_GRACE = 10.0  # seconds that a process may take to start on a busy machine
_PRELOADED = ALLOWED_IMPORTS | {"random", "time", "datetime"}

# What modules import only when a function needs it, at a time when there is no file to read.
_LATER = {"collections": "heapq", "datetime": "_strptime", "time": "_strptime"}


@functools.cache
def _beside() -> str:
    return importlib.resources.files("synthwright.sandbox").joinpath("inside.py").read_text("utf-8")


class SubprocessSandbox:
    """Runs programs in real CPython, for features that Monty lacks. Weaker: not a security boundary.

    Every run is a new process with an empty environment in an empty temporary directory, limits on CPU time, memory,
    processes, file size and open files, killed as a group when its time is over. On Linux it also leaves, where the
    system allows it, the network, the other processes and the file system (`isolation` tells what held). Still it is
    the whole of CPython on your kernel: a hole in either is a way out. For programs of strangers use Monty, or put the
    whole of synthwright into a container or a virtual machine.

    Args:
        workers: Processes at once; None for one a core.
        limits: For runs that name none. Interpreter start (20 to 100 ms) is not counted.
        screen: Refuse, before they run, imports outside a list, builtins such as `open` and `eval`, and
            `__attributes__`, see `check_program`. Off, only the fences hold.
    """

    def __init__(self, workers: int | None = None, *, limits: Limits | None = None, screen: bool = True) -> None:
        if os.name != "posix":
            raise ConfigError("The subprocess sandbox needs a POSIX system; use get_sandbox('monty').")
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ConfigError(f"`workers` must be a positive number of processes, or None, got {workers!r}.")
        self.workers = workers
        self.limits: Limits = limits or Limits()
        self.screen = screen
        self._start_empty()

    def _start_empty(self) -> None:
        self._pid = os.getpid()
        self._threads: ThreadPoolExecutor | None = None
        self._isolation: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {"workers": self.workers, "limits": self.limits, "screen": self.screen}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.workers, self.limits, self.screen = state["workers"], state["limits"], state["screen"]
        self._start_empty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the runs in flight; there are no workers between runs."""
        threads, self._threads = self._threads, None
        if threads and self._pid == os.getpid():
            threads.shutdown()

    @property
    def isolation(self) -> tuple[str, ...]:
        """What a program is cut off from here, beyond limits: of `network`, `files`, `processes`, `ipc`, `user`, `uid`,
        `capabilities`. Runs a program if none ran yet.
        """  # noqa: D205
        if not self._isolation:
            self._execute("def f(x): return x", [1], "f", self.limits, 0)
        return self._isolation

    def run(
        self, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None, seed: int = 0
    ) -> Value | Failure:
        """See `Sandbox.run`. The seed is that of `hash` and `random`; the clock is the real one."""
        limits = limits or self.limits
        arguments = read_arguments(inputs, function)
        if isinstance(arguments, Failure):
            return arguments
        if self.screen and (refused := _screen(program)):
            return refused
        form = encode(list(arguments), [10_000_000], MAX_DEPTH)
        result = self._execute(program, form, function, limits, seed)
        if result.ok or result.kind != "crashed":  # pyright: ignore[reportAttributeAccessIssue]
            return result
        return self._execute(program, form, function, limits, seed)

    async def arun(
        self, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None, seed: int = 0
    ) -> Value | Failure:
        """See `Sandbox.run`. A thread waits for the process."""
        call = functools.partial(self.run, program, inputs, function=function, limits=limits, seed=seed)
        return await asyncio.get_running_loop().run_in_executor(self._executor(), call)

    def run_many(
        self,
        calls: Iterable[tuple[str, Arguments]],
        *,
        function: str = "f",
        limits: Limits | None = None,
        seed: int = 0,
    ) -> list[Value | Failure]:
        """See `Sandbox.run_many`."""
        run = functools.partial(self.run, function=function, limits=limits, seed=seed)
        return list(self._executor().map(lambda call: run(*call), calls))

    def _executor(self) -> ThreadPoolExecutor:
        if self._pid != os.getpid():
            self._start_empty()  # threads do not survive a fork
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.workers or os.cpu_count() or 1, "sandbox")
        return self._threads

    def _execute(self, program: str, form: Any, function: str, limits: Limits, seed: int) -> Value | Failure:
        modules = {name for name in imported_modules(program) if {name, name.split(".")[0]} & _PRELOADED}
        request = {
            "program": program,
            "function": function,
            "arguments": form,
            "inside": _beside(),
            "modules": sorted(modules | {_LATER[name] for name in modules & _LATER.keys()}),
            "seed": seed,
            "seconds": limits.seconds,
            "memory_mb": limits.memory_mb,
            "recursion": limits.recursion,
            "room": limits.output_chars,
            "depth": MAX_DEPTH,
        }
        script = importlib.resources.files("synthwright.sandbox").joinpath("child.py")
        with importlib.resources.as_file(script) as path, tempfile.TemporaryDirectory(prefix="synthwright-") as folder:
            os.chmod(folder, 0o755)  # readable, should the process change its user
            process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", "-B", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={"PYTHONHASHSEED": str(seed % 4294967296), "PYTHONUTF8": "1"},
                start_new_session=True,
            )
            try:
                data, late = _talk(process, json.dumps(request).encode(), limits)
                status = process.wait(timeout=_GRACE) if not late else TIMED_OUT
            except (OSError, subprocess.TimeoutExpired) as error:
                return Failure("crashed", str(error)[:300])
            finally:
                _end(process)
        if late == "size":
            return Failure("output_too_large", f"the value has more than {limits.output_chars} characters")
        if status == TIMED_OUT:
            return Failure("timeout", f"more than {limits.seconds} s")
        locks, _, text = data.decode("utf-8", "replace").partition("\n")
        if not locks:
            return Failure("crashed", f"the process ended before the program began (status {status})")
        if not self._isolation:
            self._isolation = tuple(sorted(json.loads(locks)))
        if not text:
            if status == DIED:
                return Failure("crashed", "a signal ended the program")
            return Failure("error", "the program ended its process", "SystemExit")
        return read_result(text, limits, _no_file)


def _screen(program: str) -> Failure | None:
    """What gets near the system is refused; what is only unfit for a task, such as `print`, is not."""
    names = BANNED_NAMES - {"dir", "hash", "id", "object", "print"}
    return check_program(
        program, function="", allowed_imports=_PRELOADED, banned_imports=frozenset(), banned_names=names
    )


def _no_file(exception: str, message: str) -> bool:
    """Whether a module exists, but not behind the fence."""
    name = message.split("'")[1].split(".")[0] if message.count("'") > 1 else ""
    return exception == "ModuleNotFoundError" and name in sys.stdlib_module_names


def _talk(process: "subprocess.Popen[bytes]", request: bytes, limits: Limits) -> tuple[bytes, str]:
    """Send the request, read the answer; what was read, and "time" or "size" if that ended it."""
    assert process.stdin and process.stdout
    process.stdin.write(request)
    process.stdin.close()
    deadline = time.monotonic() + limits.seconds + _GRACE
    room = 4 * limits.output_chars + 4096  # bytes: escapes and the line of locks
    read: list[bytes] = []
    out = process.stdout.fileno()
    while room > 0:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([out], [], [], left)[0]:
            return b"".join(read), "time"
        part = os.read(out, 65536)
        if not part:
            return b"".join(read), ""
        read.append(part)
        room -= len(part)
    return b"".join(read), "size"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the group, whatever is left of it, and free the pipes."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            try:
                pipe.close()
            except BrokenPipeError:
                pass
