"""How many calls to have in flight: a limit that finds what a server takes, as TCP finds what a network takes.

The parts and where they come from:

- *Slow start*: the limit doubles each round trip until calls are refused or the server gives no more (Jacobson, 1988).
  The growth is spread over the round trip, so that the first refusal arrives before many more calls are sent. "Gives
  no more" is BBR's test: the rate of answers grew by less than a quarter (Cardwell et al., 2016).
- *Refusals* (429): at once down to what is in flight and accepted, at most halved; at the end of the round trip by half
  of the share that was refused, as DCTCP does with marked packets (RFC 8257): halved if all were refused, hardly if
  one in thirty. The number at which calls were refused is a ceiling that is tried again one higher, seldom at first
  and in doubling steps once it has given way (the plateau of CUBIC, RFC 9438).
- *Refusals that are not ours*: a call that is refused alone, or while more than were in flight are answered, was not
  refused for the load. The share of such refusals is learned and stops counting. And the slot of a refused call rests
  for a round trip unless the limit has just lost one, so that a server that refuses is not asked more than another.
- *Latency*: if the median of a round is more than twice that of the long run, and the server answers no more calls for
  it, the limit falls by the ratio (Gradient2 of Netflix' concurrency-limits). Medians and not means, so that a heavy
  tail does not move it; and the long run follows, so that a new normal is accepted. The second condition is ours:
  servers that batch answer later and yet more when more is in flight.
"""

import asyncio
import math
import random
import statistics
from collections import deque
from types import TracebackType

from synthwright.errors import ConfigError

__all__ = ["AdaptiveLimit", "Slot"]

_START = 8
_STEPS = 8  # parts that the growth of a round trip is spread over
_FEWEST = 16  # latencies that make a median worth comparing
_TOLERANCE = 2.0  # rise of the median that is called a rise
_HOLD, _LONGEST_HOLD = 8.0, 32.0  # round trips between two looks above the ceiling
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds; the first where no round trip is known
_MEMORY = 50  # calls that the usual share of refusals is learned over
_LEAST_USUAL, _MOST_USUAL = 0.05, 0.3


class AdaptiveLimit:
    """A limit on calls in flight, between 1 and a cap, that adapts to refusals and latency. For one event loop.

    Those who wait are served first come, first served; a call that was refused goes first. A `Retry-After` holds back
    every call of the limiter, not only the one that was told.

    ```python
    async with limit.slot() as slot:
        try:
            response = await engine.complete(request)
        except RateLimitError as error:
            slot.refused(error.retry_after)      # then enter `limit.slot(again=True)`: that is the wait
        else:
            slot.done()                          # any other error: say nothing
    ```

    Args:
        cap: Most calls in flight, 1 or more.
        start: Calls in flight at the beginning; the cap if that is lower.

    Attributes:
        limit: Calls in flight that are allowed now; its whole part counts.
        in_flight: Calls in flight now.
    """

    def __init__(self, cap: int, start: int = _START) -> None:
        if cap < 1:
            raise ConfigError(f"The number of calls in flight must be 1 or more, got {cap!r}.")
        self.cap = cap
        self.limit = float(max(1, min(start, cap)))
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until, self._streak = 0.0, 0
        self._slow_start, self._owed, self._ticking = True, 0, False
        self._ceiling, self._hold, self._next_hold, self._step = float(cap), 0.0, _HOLD, 1
        self._round_trip: float | None = None
        self._long: float | None = None
        self._best_rate, self._flat = 0.0, 0
        self._samples: list[float] = []
        self._sampled_since = self._round_end = 0.0
        self._done = self._refused = 0
        self._full = self._held = self._cut = False
        self._floor = 1.0
        self._usual, self._unexplained = 0.0, 0
        self._resting = 0
        self._peak = self._last_peak = 0  # most calls in flight when one was sent that was then answered, by round
        self._round_start = self._last_start = 0.0

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        return sum(not future.done() for future in self._waiting)

    def slot(self, *, again: bool = False) -> "Slot":
        """Leave for one call, as an asynchronous context manager.

        Args:
            again: The call was refused before; it goes before those that wait.
        """
        return Slot(self, again)

    async def _acquire(self, again: bool) -> float:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._waiting and self.in_flight + self._resting < int(self.limit) and now >= self._paused_until:
            self.in_flight += 1
            return now
        self._full = True
        future = loop.create_future()
        (self._waiting.appendleft if again else self._waiting.append)(future)
        self._wake()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # the slot was given in the same step
                self._release()
            raise
        return loop.time()

    def _release(self, rest: bool = False) -> None:
        self.in_flight -= 1
        if rest:
            self._resting += 1
            pause = (self._round_trip or _FIRST_PAUSE) * random.uniform(0.75, 1.25)
            asyncio.get_running_loop().call_later(pause, self._rested)
        self._wake()

    def _rested(self) -> None:
        self._resting -= 1
        self._wake()

    def _wake(self) -> None:
        waiting = self._waiting
        if not waiting or self._paused_until > asyncio.get_running_loop().time():
            return
        while waiting and self.in_flight + self._resting < int(self.limit):
            future = waiting.popleft()
            if not future.done():
                self.in_flight += 1
                future.set_result(None)

    def _answered(self, since: float, level: int, latency: float | None) -> None:
        now = asyncio.get_running_loop().time()
        latency = now - since if latency is None else latency
        if self._round_trip is None:
            self._round_trip = latency
            self._sampled_since, self._round_end = now - latency, now
        self._streak = 0
        self._done += 1
        if since >= self._last_start:
            self._peak = max(self._peak, level)
        self._samples.append(latency)
        if self._slow_start and self._full:
            self._owed += 1
            self._tick()
        if now >= self._round_end:
            self._end_round(now)

    def _tick(self) -> None:
        """Pay out a part of the growth that answers have earned, and come back for the next."""
        if self._ticking or not self._owed or not self._slow_start:
            return
        part = min(self._owed, max(1, int(self.limit) // _STEPS))
        self._owed -= part
        self.limit = min(self.limit + part, self.cap)
        self._slow_start = self.limit < self.cap
        self._ticking = True
        asyncio.get_running_loop().call_later((self._round_trip or 0.0) / _STEPS, self._tock)
        self._wake()

    def _tock(self) -> None:
        self._ticking = False
        self._tick()

    def _turned_away(self, level: int, retry_after: float | None) -> bool:
        """Take note of a refusal, and say whether its slot should rest."""
        loop = asyncio.get_running_loop()
        now, round_trip, before = loop.time(), self._round_trip or _FIRST_PAUSE, int(self.limit)
        self._refused += 1
        self._unexplained += level == 1 or level < 0.9 * max(self._peak, self._last_peak) - 1
        if retry_after is not None:
            wait = min(max(retry_after, 0.0), _LONGEST_PAUSE)
            self._hold = max(self._hold, 20 * wait / round_trip)  # so that looking higher costs at most a twentieth
            self._pause(loop, now + wait)
        if self._too_many(self._done + self._refused + self.in_flight):
            self._slow_start, self._owed = False, 0
            if not self._cut:  # the first of this round trip; what is in flight was sent before we knew
                self._cut, self._floor = True, max(1.0, self.limit / 2)
                self._hold, self._next_hold = max(self._hold, self._next_hold), 2 * self._next_hold
                most = max(_LONGEST_HOLD, 128 / self.limit)  # so that looking costs one call in a hundred
                self._next_hold = _HOLD if level == 1 else min(self._next_hold, most)  # alone: not for the load
                self._step = 1
                self._round_end = max(self._round_end, now + round_trip)
            self.limit = max(min(self.limit, self.in_flight - 1), self._floor)
            self._ceiling = self.limit
        if not self._done and self._refused == 1:  # nothing but refusals for a round trip
            self._pause(loop, now + min(round_trip * 2**self._streak, _LONGEST_PAUSE) * random.uniform(0.5, 1.0))
            self._streak = min(self._streak + 1, 30)
        if now >= self._round_end:
            self._end_round(now)
        return int(self.limit) >= before

    def _too_many(self, calls: int) -> bool:
        """Whether the refusals of this round are more than chance makes of their usual share of so many calls."""
        usual = self._usual * calls if self._usual >= _LEAST_USUAL else 0.0
        return self._refused > usual + 2 * math.sqrt(usual)

    def _pause(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        if until > max(self._paused_until, loop.time()):
            self._paused_until = until
            self._round_end = max(self._round_end, until)
            loop.call_at(until + 0.001, self._wake)  # a timer may come early by the clock's resolution

    def _end_round(self, now: float) -> None:
        """Judge what happened since the last round ended: at least a median latency ago."""
        if len(self._samples) >= _FEWEST or (self._refused and self._samples):
            self._judge_latency(now)
        calls = self._refused + self._done
        share = self._refused / calls if calls else 0.0
        if self._cut:
            self.limit = max(self.limit * (1 - share / 2), self._floor)
        elif self._full and not self._held and not self._slow_start:
            self._grow()
        weight = calls / (calls + _MEMORY)
        if 4 * self._unexplained >= self._refused:
            self._usual = min(self._usual + (share - self._usual) * weight, _MOST_USUAL)
        else:  # as many as before, but where the load is highest: believe it less and less
            self._usual *= 1 - weight if self._cut else 0.95
        self._last_peak, self._peak = self._peak, 0
        self._last_start, self._round_start = self._round_start, now
        self._done = self._refused = self._unexplained = 0
        self._cut = False
        self._full = bool(self._waiting)
        self._round_end = max(self._round_end, now + (self._round_trip or 0.0))
        self._wake()

    def _judge_latency(self, now: float) -> None:
        samples, elapsed = self._samples, max(now - self._sampled_since, 1e-9)
        short = self._round_trip = statistics.median(samples)
        rate = len(samples) / elapsed
        self._samples, self._sampled_since = [], now
        long = self._long = short if self._long is None else min(self._long + (short - self._long) / 32, 2 * self._long)
        if self._slow_start and self._full:
            self._flat = self._flat + 1 if rate < 1.25 * self._best_rate else 0
            self._slow_start = self._flat < 2
        no_more = rate < 1.1 * self._best_rate
        self._best_rate = max(rate, 0.98 * self._best_rate)
        self._held = self._full and no_more and short > 0.75 * _TOLERANCE * long
        if self._full and no_more and short > _TOLERANCE * long:
            self._slow_start = False
            self.limit = max(1.0, self.limit * max(0.5, _TOLERANCE * long / short))

    def _grow(self) -> None:
        if self.limit < self._ceiling:
            self.limit = min(self.limit + max(1.0, math.sqrt(self.limit)), self._ceiling)
        elif self._ceiling < self.cap:
            self._hold -= 1
            if self._hold <= 0:
                self.limit = self._ceiling = min(self._ceiling + self._step, float(self.cap))
                self._step, self._hold = 2 * self._step, 2
                if self._step > 2:  # it gave way
                    self._next_hold = _HOLD


class Slot:
    """Leave for one call; made by `AdaptiveLimit.slot`."""

    __slots__ = ("_again", "_level", "_limit", "_rest", "_since")

    def __init__(self, limit: AdaptiveLimit, again: bool) -> None:
        self._limit, self._again, self._rest = limit, again, False
        self._since, self._level = 0.0, 0

    async def __aenter__(self) -> "Slot":
        self._since = await self._limit._acquire(self._again)
        self._level = self._limit.in_flight
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit._release(self._rest)

    def done(self, latency: float | None = None) -> None:
        """The call was answered.

        Args:
            latency: Seconds that it took; by default the time since the slot was given.
        """
        self._limit._answered(self._since, self._level, latency)

    def refused(self, retry_after: float | None = None) -> None:
        """The server refused the call because it has too many.

        Args:
            retry_after: Seconds after which the server wants to be asked again, if it said so.
        """
        self._rest = self._limit._turned_away(self._level, retry_after)
