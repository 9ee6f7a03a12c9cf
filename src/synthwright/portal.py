"""Running a coroutine from synchronous code: one event loop on a background thread, started when first needed."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

__all__ = ["run_coroutine"]

T = TypeVar("T")
_LOCK = threading.Lock()
_LOOP: asyncio.AbstractEventLoop | None = None


def _loop() -> asyncio.AbstractEventLoop:
    global _LOOP
    with _LOCK:
        if _LOOP is None or _LOOP.is_closed():
            _LOOP = asyncio.new_event_loop()
            _LOOP.set_default_executor(ThreadPoolExecutor(64, thread_name_prefix="synthwright"))
            threading.Thread(target=_LOOP.run_forever, name="synthwright-loop", daemon=True).start()
        return _LOOP


def run_coroutine(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on the background loop, in the caller's context, and return its result.

    One loop serves all callers, so that HTTP connections outlive a call, and it works where another loop is already
    running, as in a notebook.

    Args:
        make: Called on the background loop; returns the coroutine.

    Raises:
        RuntimeError: The caller is itself on the background loop; it would wait for itself.
    """
    loop = _loop()
    if asyncio._get_running_loop() is loop:
        raise RuntimeError("A plain `forward` was called inside the event loop: use `await program.acall(...)`.")
    future: Future[T] = Future()
    tasks: list[asyncio.Task[None]] = []
    context = contextvars.copy_context()

    async def finish() -> None:
        try:
            result = await make()
        except asyncio.CancelledError:
            future.set_exception(CancelledError())
        except BaseException as error:  # SystemExit too: let out, it would end the loop that all callers share
            future.set_exception(error)
        else:
            future.set_result(result)

    loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(finish(), context=context)))
    try:
        return future.result()
    except BaseException:
        if not future.done():  # Ctrl-C: do not leave while the coroutine still holds files and connections
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
            wait([future], timeout=10)
        raise
