"""How many calls to have in flight: a limit that finds what a server takes, as TCP finds what a network takes.

Some servers refuse calls (429) because they have too many, some for reasons of their own. What tells the two apart is
whether the share of refusals rises with the limit, so every change of the limit is an experiment. The limit is always
in one of four phases, and what happened is judged by windows of calls: those that were sent one after another.

- *climb*: it doubles each round trip (slow start; Jacobson, 1988), in steps spread over the round trip, so that the
  first refusal arrives before many more calls are sent. A step is wrong if more than the usual share and half of what
  it added is refused; the limit falls by what was refused, and holds. It holds as well where the server gives no more,
  by BBR's test: the rate of answers grew by less than a quarter (Cardwell et al., 2016).
- *hold*: nothing changes, and the usual share of refusals is learned. After some windows comes a look above.
- *look*: a few calls more for one window. If they are refused, back, and the next look comes later, in doubling steps
  (the plateau of CUBIC, RFC 9438); if not, it climbs again. There are as many more calls as show beside usual refusals.
- *dip*: where refusals are usual, fewer calls for one window. If that halves the share, it was for the load, and the
  limit stays there; if not, it returns, and such a share is not held against the server any more.

A refused call leaves its slot empty for a round trip unless the limit fell by it, so that a server that refuses is not
asked more often than another. Where nothing but refusals comes back, the limit is halved and all calls pause.

*Latency* counts too: if the median of a window is more than twice that of the long run, and the server answers no more
calls for it, the limit falls by the ratio (Gradient2 of Netflix' concurrency-limits). Medians and not means, so that a
heavy tail does not move it; and the long run follows, so that a new normal is accepted. The second condition is ours:
servers that batch answer later and yet more when more is in flight. Nor does it count while this event loop is slow to
go on when it could: then the calls wait for us.
"""

import asyncio
import math
import random
import statistics
import sys
from collections import deque
from types import TracebackType

from synthwright.errors import ConfigError

__all__ = ["AdaptiveLimit", "Slot"]

_START = 8
_STEPS = 8  # steps of a climb in a round trip
_FEWEST = 16  # calls that make a window worth judging
_WHOLE = 0.9  # share of a window's calls that must have ended: a heavy tail would hold it up
_FIRST_HOLD, _LONGEST_HOLD = 8, 32  # windows before a look: after a dip that helped, and at most
_MEMORY = 600  # calls over which the usual share of refusals is learned
_LEAST, _MOST = 0.01, 0.4  # shares of refusals that are worth a dip, and that may be usual
_EVIDENCE = 6  # refusals from which a share is known well enough to be compared
_HOPELESS = 3  # refusals in a row, at least, from which calls pause
_TOLERANCE = 2.0  # rise of the median latency that is called a rise
_BUSY = 1 / 8  # delay of this event loop, as a share of the latency, from which latencies are its own
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds; the first where no round trip is known


class _Step:
    """A step of a climb.

    Attributes:
        first: The first call that was sent in it.
        end: The first call that was sent after it.
        before: The limit before it, less what the step before had refused.
        after: The limit after it, less the same.
        refused: Calls that were sent in it and refused.
    """

    __slots__ = ("after", "before", "end", "first", "refused")

    def __init__(self, first: int, before: int, after: int) -> None:
        self.first, self.before, self.after = first, before, after
        self.end, self.refused = sys.maxsize, 0

    def excess(self, usual: float) -> float:
        """Refusals beyond the usual share."""
        return self.refused - usual * (self.end - self.first)


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
        limit: Calls in flight that are allowed now.
        in_flight: Calls in flight now.
    """

    def __init__(self, cap: int, start: int = _START) -> None:
        if cap < 1:
            raise ConfigError(f"The number of calls in flight must be 1 or more, got {cap!r}.")
        self.cap = cap
        self.limit = max(1, min(start, cap))
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[float]] = deque()
        self._resting = self._forgiven = 0  # slots of refused calls; how often all of them were given back at once
        self._paused_until, self._streak, self._in_a_row = 0.0, 0, 0
        self._phase = "hold"
        self._base = 1  # limit to return to from a look or dip
        self._ceiling = 0  # where the last climb ended
        self._hold = self._next_hold = 1  # windows until the next look
        self._earned, self._ticking = 0, False  # answers that were not turned into growth yet
        self._steps: deque[_Step] = deque(maxlen=4 * _STEPS)
        self._failed: _Step | None = None  # the step that ended the last climb, while its calls come back
        self._usual, self._known = 0.0, 0  # share of refusals, and calls that it comes from
        self._dipped_to, self._dip_hold = 0, 1
        self._doubted = self._believed = 0.0  # shares that a dip is to judge, and that are not for the load
        self._sent = 0  # calls so far: their number is the identity of a call
        self._round_trip: float | None = None
        self._long: float | None = None
        self._best_rate, self._flat, self._held = 0.0, 0, False
        self._samples: list[float] = []
        self._sampled_since = self._lag = 0.0
        self._lags = 0  # calls that got a slot while they waited, and how long it took them to go on then
        self._open(_FEWEST)
        if self.limit < cap:
            self._start_climbing()

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

    # Slots

    async def _acquire(self, again: bool) -> tuple[float, int]:
        """Wait for a slot; returns the time and the number of the call."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._waiting and self._free() and now >= self._paused_until:
            self.in_flight += 1
        else:
            self._full = True
            future: asyncio.Future[float] = loop.create_future()
            (self._waiting.appendleft if again else self._waiting.append)(future)
            self._wake()
            try:
                given = await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():  # the slot was given in the same step
                    self.in_flight -= 1
                    self._wake()
                raise
            now = loop.time()
            self._lag += now - given
            self._lags += 1
        self._sent += 1
        return now, self._sent

    def _free(self) -> bool:
        return self.in_flight + self._resting < self.limit

    def _release(self, call: int, rest: bool) -> None:
        self.in_flight -= 1
        if rest:
            self._resting += 1
            pause = (self._round_trip or _FIRST_PAUSE) * random.uniform(0.75, 1.25)
            asyncio.get_running_loop().call_later(pause, self._rested, self._forgiven)
        if self._first <= call < self._first + self._size:
            self._ended += 1
            if self._ended >= _WHOLE * self._size:
                self._close()
        self._wake()

    def _rested(self, forgiven: int) -> None:
        if forgiven == self._forgiven:
            self._resting -= 1
            self._wake()

    def _wake(self) -> None:
        waiting = self._waiting
        if not waiting or not self._free() or self._paused_until > (now := asyncio.get_running_loop().time()):
            return
        while waiting and self._free():
            future = waiting.popleft()
            if not future.done():
                self.in_flight += 1
                future.set_result(now)

    # What happens to calls

    def _answered(self, since: float, latency: float | None) -> None:
        now = asyncio.get_running_loop().time()
        latency = now - since if latency is None else latency
        if self._round_trip is None:
            self._round_trip, self._sampled_since = latency, now - latency
        self._in_a_row = 0
        if self._streak:  # it takes calls again
            self._streak = 0
            self._start_climbing()
        self._samples.append(latency)
        if self._phase == "climb" and self._full:
            self._earned += 1
            if not self._ticking:
                self._climb()

    def _turned_away(self, call: int, retry_after: float | None) -> bool:
        """Take note of a refusal, and say whether its slot should rest."""
        loop = asyncio.get_running_loop()
        before = self.limit
        self._in_a_row += call >= self._first
        self._refused += self._first <= call < self._first + self._size
        if self._in_a_row >= max(self.limit, _HOPELESS):
            self._nothing_but_refusals(loop)
        elif self._phase == "climb":
            self._refused_on_the_way(call)
        elif call < self._first:
            if self._failed and self._failed.first <= call < self._failed.end:
                self.limit = self._ceiling = max(self.limit - 1, self._failed.before, 1)
        elif self._phase == "look":
            if self._refused >= (self.limit - self._base) / 2 + self._usual * (self._sent - self._first + 1):
                self._look_failed()
        elif self._phase == "dip":
            if self._doubted / 2 * self._size < self._refused < _MOST * (self._sent - self._first + 1):
                self._dip_failed()  # it is clear already
        if retry_after is not None:
            wait = min(max(retry_after, 0.0), _LONGEST_PAUSE)
            if self.limit < before:  # so that looking higher costs at most a twentieth
                self._hold = max(self._hold, math.ceil(20 * wait / (self._round_trip or _FIRST_PAUSE)))
            self._pause(loop, loop.time() + wait)
        return self.limit >= before and call >= self._first

    def _nothing_but_refusals(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop.time() >= self._paused_until:  # else it is one of those in flight, and no news
            pause = min((self._round_trip or _FIRST_PAUSE) * 2**self._streak, _LONGEST_PAUSE)
            self._pause(loop, loop.time() + pause * random.uniform(0.5, 1.0))
            self._streak = min(self._streak + 1, 30)
        self._in_a_row = 0
        self._settle(self.limit // 2)

    def _pause(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        if until > max(self._paused_until, loop.time()):
            self._paused_until = until
            loop.call_at(until + 0.001, self._wake)  # a timer may come early by the clock's resolution

    # Phases

    def _start_climbing(self) -> None:
        self._phase, self._earned = "climb", 0
        self._steps.clear()
        self._steps.append(_Step(self._sent + 1, 0, self.limit))

    def _climb(self) -> None:
        """Take the step that answers have earned, and come back for the next."""
        self._ticking = False
        step = max(1, self.limit // _STEPS)
        if self._phase != "climb" or self._earned < step:
            return
        if self.limit >= self.cap:
            return self._settle(self.limit)
        last, self._earned = self._steps[-1], self._earned - step
        last.end = self._sent + 1
        refused = round(max(0.0, last.excess(self._usual)))
        before, self.limit = self.limit, min(self.limit + step, self.cap)
        self._steps.append(_Step(last.end, before - refused, self.limit - refused))
        self._ticking = True
        asyncio.get_running_loop().call_later((self._round_trip or 0.0) / _STEPS, self._climb)
        self._wake()

    def _refused_on_the_way(self, call: int) -> None:
        """Stop climbing if the step that a refused call was sent in was one too many."""
        step = next((step for step in reversed(self._steps) if step.first <= call), None)
        if step is None:
            return
        step.refused += 1
        usual = self._usual * (min(step.end, self._sent + 1) - step.first)
        if step.refused >= max(1.0, step.after / _STEPS / 2) + usual + 2 * math.sqrt(usual):
            limit = max(step.after - max(1, step.refused - round(usual)), step.before)
            self._put_off(limit > 1.1 * self._ceiling)
            self._settle(limit)
            step.end = min(step.end, self._sent + 1)
            self._failed = step

    def _look(self) -> None:
        more = max(1, round(4 * math.sqrt(self._usual * self.limit)))  # twice as many as chance makes of refusals
        if self._flat >= 2:
            more = max(more, math.isqrt(self.limit))
        self._phase, self._base = "look", self.limit
        self.limit = min(self.limit + more, self.cap)
        self._open(max(self.limit, _FEWEST))

    def _look_failed(self) -> None:
        self._put_off(False)
        self._settle(self._base)

    def _put_off(self, progress: bool) -> None:
        """Set when to look next: soon if the limit came further than the last time, else later and later."""
        self._hold = self._next_hold = 1 if progress else min(2 * self._next_hold, _LONGEST_HOLD)

    def _dip(self, share: float) -> None:
        if self._phase != "dip":
            self._phase, self._base = "dip", self.limit
        self._doubted = share
        self.limit = max(1, int(self.limit * (1 - min(max(1.5 * share, 1 / 8), 1 / 2))))
        self._forgive()
        self._open(max(math.ceil(_EVIDENCE / share), _FEWEST))

    def _dip_helped(self, share: float) -> None:
        further = self.limit > 1.1 * self._dipped_to
        self._hold = self._dip_hold = _FIRST_HOLD if further else min(2 * self._dip_hold, _LONGEST_HOLD)
        self._usual, self._known, self._dipped_to = share, self._ended, self.limit
        self._settle(self.limit)

    def _dip_failed(self) -> None:
        self._believed = self._doubted
        self._hold = 1
        self._settle(self._base)

    def _settle(self, limit: int) -> None:
        """Hold at a limit."""
        self._phase, self.limit, self._ceiling = "hold", max(1, limit), max(1, limit)
        self._earned = 0
        self._forgive()
        self._open(max(self.limit, _FEWEST))

    def _forgive(self) -> None:
        self._resting = 0
        self._forgiven += 1

    # Windows

    def _open(self, size: int) -> None:
        """Begin a window: the next `size` calls."""
        self._first, self._size = self._sent + 1, size
        self._ended = self._refused = 0
        self._failed = None
        self._full = bool(self._waiting)

    def _close(self) -> None:
        """Judge a window that has ended."""
        share = self._refused / self._ended
        if len(self._samples) >= _FEWEST and self._judge_latency(asyncio.get_running_loop().time()):
            return None
        if self._phase == "dip":
            if share > self._doubted / 2:
                return self._dip(share) if share >= _MOST else self._dip_failed()
            return self._dip_helped(share)
        if self._phase == "climb":
            return self._open(max(self.limit, _FEWEST))
        jump = self._refused > _EVIDENCE / 2 + self._usual * self._ended + 3 * math.sqrt(self._usual * self._ended)
        self._learn(share)
        if self._phase == "look":
            if self._held:
                return self._look_failed()
            if self._flat >= 2:
                return self._look() if self.limit < self.cap else self._settle(self.limit)
            self._start_climbing()
        elif self._doubtful(share if jump else self._usual):
            return self._dip(share if jump else self._usual)
        elif self._full and self.limit < self.cap:
            self._hold -= 1
            if self._hold <= 0 and not self._held:
                return self._look()
        return self._open(max(self.limit, _FEWEST))

    def _learn(self, share: float) -> None:
        self._usual += (share - self._usual) * self._ended / (min(self._known, _MEMORY) + self._ended)
        self._known += self._ended
        self._believed *= 0.98  # so that it is looked into again some day

    def _doubtful(self, share: float) -> bool:
        """Whether refusals are so many that it should be seen whether they are for the load."""
        enough = self._usual * min(self._known, _MEMORY) >= _EVIDENCE
        return enough and share > max(_LEAST, 2 * self._believed) and self.limit > 1

    def _judge_latency(self, now: float) -> bool:
        """Look at the latencies since the last time; returns whether the limit holds now for what they say."""
        samples, elapsed = self._samples, max(now - self._sampled_since, 1e-9)
        short = self._round_trip = statistics.median(samples)
        rate, busy = len(samples) / elapsed, self._lag > _BUSY * short * self._lags
        self._samples, self._sampled_since, self._lag, self._lags = [], now, 0.0, 0
        long = self._long = short if self._long is None else min(self._long + (short - self._long) / 32, 2 * self._long)
        no_more, flat = rate < 1.1 * self._best_rate and not busy, rate < 1.25 * self._best_rate and not busy
        self._best_rate = max(rate, 0.98 * self._best_rate)
        if self._full and not flat:
            self._flat = 0
        elif self._full and self._phase == "climb":
            self._flat += 1
        self._held = self._full and no_more and short > 0.75 * _TOLERANCE * long
        if self._full and no_more and short > _TOLERANCE * long:
            self._settle(int(self.limit * max(0.5, _TOLERANCE * long / short)))
            return True
        if self._flat >= 2 and self._phase == "climb":
            self._hold = 1
            self._settle(self.limit)
            return True
        return False


class Slot:
    """Leave for one call; made by `AdaptiveLimit.slot`."""

    __slots__ = ("_again", "_call", "_limit", "_rest", "_since")

    def __init__(self, limit: AdaptiveLimit, again: bool) -> None:
        self._limit, self._again, self._rest = limit, again, False
        self._since, self._call = 0.0, 0

    async def __aenter__(self) -> "Slot":
        self._since, self._call = await self._limit._acquire(self._again)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit._release(self._call, self._rest)

    def done(self, latency: float | None = None) -> None:
        """The call was answered.

        Args:
            latency: Seconds that it took; by default the time since the slot was given.
        """
        self._limit._answered(self._since, latency)

    def refused(self, retry_after: float | None = None) -> None:
        """The server refused the call because it has too many.

        Args:
            retry_after: Seconds after which the server wants to be asked again, if it said so.
        """
        self._rest = self._limit._turned_away(self._call, retry_after)
