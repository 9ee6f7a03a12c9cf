"""Running a coroutine from synchronous code: one event loop on a background thread, started when first needed."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
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
    tasks: list[asyncio.Task[T]] = []

    def done(task: asyncio.Task[T]) -> None:
        if task.cancelled():
            future.cancel()
        elif error := task.exception():
            future.set_exception(error)
        else:
            future.set_result(task.result())

    context = contextvars.copy_context()

    def start() -> None:
        task = loop.create_task(make(), context=context)
        tasks.append(task)
        task.add_done_callback(done)

    loop.call_soon_threadsafe(start)
    try:
        return future.result()
    except BaseException:
        if not future.done():
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        raise
