"""The process of one run of `SubprocessSandbox`: lock the doors, run the program, write its value to a pipe, end.

Started as a script, by the standard library alone. It reads one JSON request from stdin; then it supervises: a second
process, made by fork, is locked in and runs the program, and is killed when its time is over. Its answer is a line with
the locks that held and then the text that `inside.py` makes.

Locks, each where the system allows it: user, mount, network, IPC and process namespaces; an empty root directory; no
capabilities and no way to gain any; limits on CPU time, memory, processes, file size and open files.
"""

import ctypes
import importlib
import json
import math
import os
import signal
import sys
import time
from typing import Any

__all__ = ["untag"]

TIMED_OUT = 124
DIED = 125
_NOBODY = 65534
_NAMESPACES = {"user": 0x10000000, "files": 0x00020000, "network": 0x40000000, "ipc": 0x08000000}
_PROCESSES = 0x20000000
_SPARE_MB = 64  # what the interpreter still takes for itself after the start


def untag(form: Any) -> Any:
    """The value behind the JSON forms of `inside.py`.

    Raises:
        ValueError: It is not of that form.
        TypeError: Likewise.
        KeyError: Likewise.
        IndexError: Likewise.
    """
    if type(form) is list:
        return [untag(part) for part in form]
    if type(form) is not dict:
        return form
    ((tag, body),) = form.items()
    if tag == "d":
        parts = [untag(part) for part in body]
        return dict(zip(parts[::2], parts[1::2], strict=True))
    if tag == "i":
        return int(body, 16)
    if tag == "b":
        return bytes.fromhex(body)
    if tag == "c":
        return complex(float(body[0]), float(body[1]))
    return {"t": tuple, "s": set, "f": frozenset}[tag](untag(part) for part in body)


def _lock_in() -> tuple[list[str], "ctypes.CDLL | None"]:
    """Leave the system's namespaces and root directory; the names of what was left."""
    held: list[str] = []
    if not sys.platform.startswith("linux"):
        return held, None
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() == 0:  # limits on processes do not bind root
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        held.append("uid")
    if libc.unshare(sum(_NAMESPACES.values())) == 0:
        held += ["user", "network", "ipc"]
        try:
            os.chroot(".")
            os.chdir("/")
            held.append("files")
        except OSError:
            pass
        if libc.unshare(_PROCESSES) == 0:
            held.append("processes")
    return held, libc


def _drop(libc: "ctypes.CDLL | None") -> list[str]:
    """Give up capabilities, for good."""
    if libc is None:
        return []
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: no life after the supervisor
    libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    return ["capabilities"] if libc.capset(ctypes.byref(header), ctypes.byref(nothing)) == 0 else []


def _limit(request: dict[str, Any], base: int) -> None:
    resource = sys.modules["resource"]  # imported before the root directory went away
    cpu = math.ceil(request["seconds"]) + 1
    memory = base + ((request["memory_mb"] + _SPARE_MB) << 20)
    for name, limit in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_CPU", cpu),
        ("RLIMIT_AS", memory),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_NOFILE", 16),
        ("RLIMIT_NPROC", 1),
    ):
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), (limit, limit))


def _address_space() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 256 << 20


def _run(request: dict[str, Any], held: list[str], libc: "ctypes.CDLL | None", out: int, base: int) -> None:
    namespace: dict[str, Any] = {}
    exec(request["inside"], namespace)
    arguments = tuple(untag(request["arguments"]))
    if "random" in sys.modules:
        sys.modules["random"].seed(request["seed"])
    held = held + _drop(libc)
    _limit(request, base)
    os.environ.clear()
    os.write(out, (json.dumps(held) + "\n").encode())
    sys.setrecursionlimit(request["recursion"] + 60)
    text: str = namespace["call"](
        request["program"], request["function"], arguments, {"__name__": "program"}, request["room"], request["depth"]
    )
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(out, data) :]


def _supervise(child: int, seconds: float) -> int:
    """Wait for the program, or end it; the exit status that tells the host how it went."""
    deadline = time.monotonic() + seconds
    pause = 0.0005
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                cpu = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM)
                return TIMED_OUT if cpu else DIED
            return 0
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return TIMED_OUT
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def _main() -> None:
    request = json.loads(sys.stdin.buffer.read())
    for module in ("resource", *request["modules"]):
        try:
            importlib.import_module(module)  # now: later there is no file to read
        except ImportError:
            pass
    out = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    base = _address_space()
    held, libc = _lock_in()
    child = os.fork()
    if child == 0:
        try:
            _run(request, held, libc, out, base)
        finally:
            os._exit(0)
    os.close(out)
    os._exit(_supervise(child, request["seconds"]))


if __name__ == "__main__":
    _main()
