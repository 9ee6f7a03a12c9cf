"""The adaptive limit: in simulated time against servers of every temper, and on loopback against a real one."""

import asyncio
import random
import selectors
import time

import pytest
from dspy.lm15 import Message, RateLimitError, Request

from synthwright.errors import ConfigError
from synthwright.lms.concurrency import AdaptiveLimit
from synthwright.lms.openai import OpenAIEngine

# Simulated time: an event loop whose clock jumps to the next timer, so that an hour of calls takes a second


class _Jump(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0.0
        return super().select(0)


def simulate(main):
    selector = _Jump()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


class Served:
    """What happened to calls that a limit let through to `server(in_flight, rng)`, which gives (latency, refused)."""

    def __init__(self, cap, server, calls, *, retry_after=None, tasks=None, seed=0, refusal=0.001):
        self.limit, self.server, self.retry_after, self.refusal = AdaptiveLimit(cap), server, retry_after, refusal
        self.in_service = self.refused = 0
        self.trace, self.starts, self.refusals, self.done = [], [], [], []
        self.rng = random.Random(seed)
        random.seed(seed)  # the limit draws its pauses from there
        self.left = calls
        simulate(lambda: self._main(tasks or 4 * cap))

    async def _main(self, tasks):
        await asyncio.gather(*(self._work() for _ in range(tasks)))

    async def _work(self):
        loop = asyncio.get_running_loop()
        while self.left > 0:
            self.left -= 1
            again = False
            while True:
                async with self.limit.slot(again=again) as slot:
                    self.starts.append(loop.time())
                    latency, refused = self.server(self.in_service, self.rng)
                    if refused:
                        await asyncio.sleep(self.refusal)
                        self.refused += 1
                        self.refusals.append(loop.time())
                        slot.refused(self.retry_after)
                    else:
                        self.in_service += 1
                        await asyncio.sleep(latency)
                        self.in_service -= 1
                        slot.done()
                        self.trace.append(self.limit.limit)
                        self.done.append(loop.time())
                        break
                again = True

    @property
    def later(self):
        """Mean limit in the second half of the calls."""
        half = self.trace[len(self.trace) // 2 :]
        return sum(half) / len(half)


def refuses_above(most, latency=1.0):
    return lambda in_flight, rng: (latency, in_flight >= most)


def noisy(rng, latency=1.0):
    return latency * rng.lognormvariate(0, 1)


def test_a_server_that_never_refuses_gets_the_cap_within_a_few_round_trips():
    served = Served(256, lambda n, rng: (1.0, False), 8000)
    first = next(at for at, limit in zip(served.done, served.trace, strict=True) if limit == 256)
    assert first <= 8 and served.later == 256
    assert max(served.done) < 1.2 * 8000 / 256  # the ramp included


@pytest.mark.parametrize("most", [1, 5, 32, 200])
def test_a_server_that_refuses_is_kept_full_and_hardly_bothered(most):
    served = Served(256, refuses_above(most), max(3000, 60 * most))
    assert 0.95 * most <= served.later <= most + 1
    assert served.refused / len(served.starts) < 0.02


def test_noisy_and_heavy_tailed_latencies_leave_the_limit_alone():
    for seed in range(5):
        assert Served(64, lambda n, rng: (noisy(rng), False), 6000, seed=seed).later > 0.95 * 64


def test_a_server_that_batches_answers_later_and_keeps_its_calls():
    served = Served(256, lambda n, rng: (1.0 + n / 128, False), 12000)
    assert served.later > 0.9 * 256


def test_latency_that_rises_for_nothing_lowers_the_limit():
    served = Served(256, lambda n, rng: (max(1.0, n / 16), False), 3000)
    assert max(served.trace) < 200 and served.trace[1000] < 64
    assert max(served.done) < 1.15 * 3000 / 16  # and costs no throughput


def test_latency_that_stays_high_is_a_new_normal():
    calls = iter(range(10**6))
    served = Served(64, lambda n, rng: (1.0 if next(calls) < 3000 else 5.0, False), 20000)
    assert served.later > 0.9 * 64


def test_a_server_that_grows_is_followed():
    calls = iter(range(10**6))
    served = Served(256, lambda n, rng: (1.0, n >= (16 if next(calls) < 2000 else 128)), 30000)
    assert 15 <= served.trace[1900] <= 17 and served.later > 0.9 * 128
    assert served.refused < 0.02 * 30000


def test_a_server_that_shrinks_is_spared():
    calls = iter(range(10**6))
    served = Served(256, lambda n, rng: (noisy(rng), n >= (128 if next(calls) < 6000 else 16)), 12000)
    assert 13 <= served.later <= 18 and served.refused < 0.1 * 12000


@pytest.mark.parametrize("share", [0.005, 0.025, 0.1, 0.2, 0.3])
def test_refusals_that_have_nothing_to_do_with_the_load_do_not_hold_the_limit_back(share):
    for seed in range(3):
        served = Served(128, lambda n, rng: (1.0, rng.random() < share), 8000, seed=seed)
        assert served.later > 0.85 * 128
        first = next(at for at, limit in zip(served.done, served.trace, strict=True) if limit > 0.85 * 128)
        assert first < 40 if share < 0.3 else 120  # round trips; four without any refusal


def test_rare_refusals_at_hardly_any_latency_do_not_end_in_a_crawl():
    for seed in range(5):
        served = Served(128, lambda n, rng: (0.002, rng.random() < 0.025), 1500, seed=seed)
        assert served.later > 0.8 * 128 and max(served.done) < 0.1  # 1500 calls, 128 at a time, 0.023 s at best


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_a_server_that_refuses_above_its_limit_and_now_and_then_is_kept_full(share):
    served = Served(256, lambda n, rng: (noisy(rng), n >= 64 or rng.random() < share), 10_000)
    assert 0.85 * 64 <= served.later <= 1.25 * 64
    assert served.refused / len(served.starts) < share + 0.12


def test_refusals_that_come_late_are_laid_to_the_step_that_they_were_sent_in():
    for most in (8, 32):
        served = Served(256, lambda n, rng, most=most: (1.0, n >= most), 3000, refusal=0.4)
        assert 0.9 * most <= served.later <= most + 1
        assert served.refused / len(served.starts) < 0.03


def test_a_limit_on_the_rate_of_calls_is_found_by_sending_fewer():
    class Bucket:  # 40 calls a second
        tokens, last = 40.0, 0.0

        def __call__(self, n, rng):
            now = asyncio.get_running_loop().time()
            self.tokens, self.last = min(40.0, self.tokens + 40 * (now - self.last)), now
            served = self.tokens >= 1
            self.tokens -= served
            return 1.0, not served

    served = Served(256, Bucket(), 6000)
    assert 30 < served.later < 48 and served.refused / len(served.starts) < 0.1
    assert max(served.done) < 1.2 * 6000 / 40


def test_latency_that_is_our_own_does_not_lower_the_limit():
    """A client that has other work from the 2000th call on, 10 ms for each call, and sees the answers late."""

    class Busy(asyncio.SelectorEventLoop):
        cost = 0.0

        def _run_once(self):
            ready = len(self._ready)  # pyright: ignore[reportAttributeAccessIssue]  asyncio's own
            super()._run_once()  # pyright: ignore[reportAttributeAccessIssue]
            selector.now += self.cost / 4 * ready  # a call passes the loop about four times

    selector = _Jump()
    loop = Busy(selector)
    loop.time = lambda: selector.now
    limit, left, lowest = AdaptiveLimit(64), iter(range(6000)), 64

    async def work():
        nonlocal lowest
        for number in left:
            if number == 2000:
                assert limit.limit == 64
                loop.cost = 0.01
            async with limit.slot() as slot:
                await asyncio.sleep(0.05)
                slot.done()
            lowest = min(lowest, limit.limit if number > 2000 else 64)

    async def main():
        await asyncio.gather(*(work() for _ in range(128)))

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert lowest == 64


def test_a_server_that_refuses_everything_is_asked_less_and_less():
    served = Served(64, lambda n, rng: (1.0, 20 < asyncio.get_running_loop().time() < 140), 2500)
    assert (
        len(served.refusals) < 2 * 64 + 40
    )  # those in flight, halved and halved, then one now and then for two minutes
    assert served.trace[-1] > 48
    gaps = [b - a for a, b in zip(served.refusals, served.refusals[1:], strict=False)]
    assert max(gaps) > 20


def test_retry_after_holds_back_every_call():
    served = Served(64, refuses_above(8), 600, retry_after=5.0)
    for told in served.refusals:
        assert not any(told < at < told + 5.0 for at in served.starts)
    assert served.refused < 20


def test_the_limit_is_halved_at_most_once_in_a_round_trip():
    async def main():
        limit = AdaptiveLimit(64, start=64)
        async with limit.slot() as slot:
            slot.done(1.0)
        slots = [limit.slot() for _ in range(64)]
        for slot in slots:
            await slot.__aenter__()
        for slot in slots:
            slot.refused()
            await slot.__aexit__(None, None, None)
        return limit.limit

    assert simulate(main) == 32


def test_those_who_wait_are_served_in_order_and_the_refused_first():
    async def main():
        limit, order = AdaptiveLimit(1), []

        async def call(name, **options):
            async with limit.slot(**options):
                order.append(name)

        async with limit.slot():
            waiting = [asyncio.create_task(call(name)) for name in "abc"]
            await asyncio.sleep(0)
            assert limit.waiting == 3
            waiting.append(asyncio.create_task(call("refused", again=True)))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        assert limit.in_flight == 0
        return order

    assert simulate(main) == ["refused", "a", "b", "c"]


def test_a_call_that_is_cancelled_leaves_no_hole():
    async def main():
        limit = AdaptiveLimit(1)

        async def call():
            async with limit.slot():
                await asyncio.sleep(1)

        tasks = [asyncio.create_task(call()) for _ in range(4)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()  # in flight
        tasks[1].cancel()  # waiting
        await asyncio.sleep(0)
        tasks[2].cancel()  # was given the slot in this step
        await asyncio.wait(tasks)
        return limit.in_flight, limit.waiting, tasks[3].exception()

    assert simulate(main) == (0, 0, None)


def test_an_error_says_nothing_about_the_load():
    async def main():
        limit = AdaptiveLimit(4)
        with pytest.raises(ZeroDivisionError):
            async with limit.slot():
                raise ZeroDivisionError
        return limit.limit, limit.in_flight

    assert simulate(main) == (4.0, 0)


def test_a_limit_of_none_is_no_limit():
    with pytest.raises(ConfigError, match="must be 1 or more, got 0"):
        AdaptiveLimit(0)


def test_a_slot_costs_microseconds_however_many_wait():
    def cost(waiting):
        async def wait(limit):
            async with limit.slot() as slot:
                slot.done(0.001)

        async def main():
            limit = AdaptiveLimit(1)
            async with limit.slot():
                tasks = [asyncio.create_task(wait(limit)) for _ in range(waiting)]
                await asyncio.sleep(0)
                started = time.process_time()
            await asyncio.gather(*tasks)
            return (time.process_time() - started) / waiting

        return asyncio.run(main())

    few, many = (min(cost(waiting) for _ in range(3)) for waiting in (1000, 16_000))
    assert many < 3 * few < 300e-6  # seconds of CPU, the task included


# On loopback, against a server process


async def drive(engine, limit, count, tasks=512):
    """`count` calls through a limit; returns (seconds, refusals, in flight at each 5 ms until the last call began)."""
    numbers, refused, seen = iter(range(count)), 0, []

    async def one(number):
        nonlocal refused
        request = Request("m", messages=(Message.user(f"Write the word number {number}."),))
        again = False
        while True:
            async with limit.slot(again=again) as slot:
                try:
                    await engine.complete(request)
                except RateLimitError as error:
                    refused += 1
                    slot.refused(error.retry_after)
                else:
                    slot.done()
                    return
            again = True

    async def work():
        for number in numbers:
            await one(number)

    async def watch():
        while True:
            await asyncio.sleep(0.005)
            if limit.waiting:
                seen.append(limit.in_flight)

    watching = asyncio.create_task(watch())
    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(tasks)))
    seconds = time.perf_counter() - started
    watching.cancel()
    await engine.aclose()
    return seconds, refused, seen


def test_a_real_server_that_refuses_above_32_is_kept_full_and_wastes_few_calls(stub_server):
    stub_server.set(latency=0.05, limit=32)
    engine = OpenAIEngine(stub_server.base, "m").twin
    _, refused, seen = asyncio.run(drive(engine, AdaptiveLimit(256), 3000))
    stats = stub_server.stats()
    assert stats["calls"] == 3000 + refused == stats["answered"] + stats["refused"]
    assert refused / stats["calls"] < 0.02
    settled = seen[len(seen) // 5 :]  # after about a second
    assert sum(settled) / len(settled) >= 0.95 * 32
    assert stats["max_in_flight"] == 32


def test_a_real_server_that_never_refuses_is_soon_asked_by_the_whole_cap(stub_server):
    stub_server.set(latency=0.2)
    limit = AdaptiveLimit(256)
    asyncio.run(drive(OpenAIEngine(stub_server.base, "m").twin, limit, 5000))  # enough for a machine with other work
    assert limit.limit == 256 and stub_server.stats()["max_in_flight"] > 230
