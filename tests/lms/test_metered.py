"""Draws, retries, usage, budgets: the layer around every LM of a run."""

import asyncio
import json
import threading
import uuid
from typing import Any, cast

import dspy
import pytest
from dspy.lm15 import Message, Request, Response
from dspy.utils import DummyLM

import synthwright as sw
from synthwright.errors import BudgetExhaustedError, ConfigError, TruncatedResponseError
from synthwright.lms import Budget, Meter, Price, Retry, Usage
from synthwright.lms.calls import EngineLM
from synthwright.lms.metered import metered
from synthwright.lms.raw import RawCompletion
from synthwright.lms.scopes import Scope, draw_scope, names_of, request_digest
from synthwright.testing import Reply, ScriptedLM


class Word(sw.Row):
    text: str


class Words(sw.Generator[Word]):
    """Five equal calls a seed."""

    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("topic -> word")

    async def aforward(self, topic):
        made = await asyncio.gather(*(self.write.acall(topic=topic) for _ in range(5)))
        return dspy.Prediction(rows=[Word(text=m.word) for m in made])


SEEDS = [{"topic": topic} for topic in ("a", "a", "b")]


class SeedEngine:
    """Answers with the sampling seed of the request, as a real engine's sample depends on it."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})

    def __init__(self):
        self.most = self.now = 0

    def reply(self, request):
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(json.dumps({"word": str(request.config.seed)})),
            finish_reason="stop",
            usage=dspy.lm15.Usage(input_tokens=1, output_tokens=1),
        )

    def complete(self, request):
        return self.reply(request)


class AsyncSeedEngine(SeedEngine):
    async def complete(self, request):  # pyright: ignore[reportIncompatibleMethodOverride]  the asyncio twin
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1
        return self.reply(request)


def seed_lm():
    return EngineLM("seeds", SeedEngine(), AsyncSeedEngine(), concurrency=4)


def texts(run):
    return [row.text for row in run]


# Draws


def test_draws_of_equal_calls_differ_and_are_the_same_in_every_run(tmp_path):
    first = texts(sw.generate(Words(), seeds=SEEDS, out=tmp_path / "a", lms=seed_lm()))
    assert len(set(first)) == 15, "equal calls of a seed, and of two equal seeds, are independent"
    assert texts(sw.generate(Words(), seeds=SEEDS, out=tmp_path / "b", lms=seed_lm(), concurrency=1)) == first
    other = texts(sw.generate(Words(), seeds=SEEDS, out=tmp_path / "c", lms=seed_lm(), seed=1))
    assert not set(other) & set(first)


def test_candidates_of_one_call_are_drawn_independently(tmp_path):
    class Several(Words):
        async def aforward(self, topic):
            made = await self.write.acall(topic=topic, config={"n": 3})
            again = await self.write.acall(topic=topic, config={"n": 3})
            words = [word for prediction in (made, again) for word in cast(Any, prediction).completions.word]
            return dspy.Prediction(rows=[Word(text=word) for word in words])

    assert len(set(texts(sw.generate(Several(), seeds=SEEDS[:1], out=tmp_path, lms=seed_lm())))) == 6


def test_roles_that_share_an_lm_draw_independently(tmp_path):
    class Two(Words):
        roles = {"judge": ("second",)}

        def __init__(self):
            super().__init__()
            self.second = dspy.Predict("topic -> word")

        async def aforward(self, topic):
            made = [await self.write.acall(topic=topic), await self.second.acall(topic=topic)]
            return dspy.Prediction(rows=[Word(text=m.word) for m in made])

    assert len(set(texts(sw.generate(Two(), seeds=SEEDS[:1], out=tmp_path, lms=seed_lm())))) == 2


def test_plain_forward_draws_as_well(tmp_path):
    class Plain(sw.Generator[Word]):
        def __init__(self):
            super().__init__()
            self.write = dspy.Predict("topic -> word")

        def forward(self, topic):
            return dspy.Prediction(rows=[Word(text=self.write(topic=topic).word) for _ in range(5)])

    runs = [texts(sw.generate(Plain(), seeds=SEEDS, out=tmp_path / name, lms=seed_lm())) for name in "ab"]
    assert runs[0] == runs[1] and len(set(runs[0])) == 15


def test_a_seed_that_was_asked_for_is_left_alone(tmp_path):
    lm = EngineLM("seeds", SeedEngine(), AsyncSeedEngine(), concurrency=4, seed=7)
    assert set(texts(sw.generate(Words(), seeds=SEEDS, out=tmp_path, lms=lm))) == {"7"}


def test_a_seed_is_a_number_that_every_server_takes():
    scope = Scope(0, "0")
    request = Request("m", messages=(Message.user("\ud83d"),))
    digest = request_digest(request)
    seeds = [scope.sampling_seed(digest, occurrence) for occurrence in range(200)]
    assert len(set(seeds)) == 200 and all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)


# LMs that are not ours


class PlainEngine(SeedEngine):
    supported_params = frozenset({"response_format", "temperature", "max_tokens"})

    def __init__(self):
        super().__init__()
        self.requests = []
        self.lock = threading.Lock()

    def complete(self, request):
        with self.lock:
            self.requests.append(request)
            number = len(self.requests)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(json.dumps({"word": f"word {number}"})),
            finish_reason="stop",
            usage=dspy.lm15.Usage(input_tokens=3, output_tokens=2),
        )


class AsyncPlainEngine:
    def __init__(self, engine):
        self.engine = engine

    async def complete(self, request):
        return self.engine.complete(request)


@pytest.mark.parametrize("cache", [True, False])
def test_a_dspy_lm_with_its_own_engine_gives_independent_draws(cache, tmp_path):
    engine = PlainEngine()
    lm = dspy.LM(f"own/{uuid.uuid4()}", engine=engine, async_engine=AsyncPlainEngine(engine), cache=cache)
    run = sw.generate(Words(), seeds=SEEDS, out=tmp_path, lms=lm)
    assert len(set(texts(run))) == 15 == len(engine.requests), "DSPy's cache did not join equal calls"
    assert run.usage == {("generator", "write"): Usage(15, 45, 30)}
    assert all(request.config.seed is None for request in engine.requests), "it does not say that it takes seeds"


def test_an_own_engine_that_takes_seeds_gets_them(tmp_path):
    lm = dspy.LM("own/seeds", engine=SeedEngine(), async_engine=AsyncSeedEngine(), cache=False)
    runs = [texts(sw.generate(Words(), seeds=SEEDS, out=tmp_path / name, lms=lm)) for name in "ab"]
    assert runs[0] == runs[1] and len(set(runs[0])) == 15 and "None" not in runs[0]


@pytest.mark.parametrize("configured", [True, False])
def test_a_dummy_lm_of_dspy_works(configured, tmp_path):
    lm = DummyLM([{"word": f"w{i}"} for i in range(15)])
    with dspy.context(lm=lm if configured else None):
        run = sw.generate(Words(), seeds=SEEDS, out=tmp_path, lms=None if configured else lm, concurrency=1)
    assert sorted(texts(run)) == sorted(f"w{i}" for i in range(15))
    assert run.rows[0].provenance and run.rows[0].provenance.lms == {"generator": "dummy"}


def test_an_lm_that_does_not_answer_requests_is_named(tmp_path):
    class Strings(dspy.LM):
        async def acall(self, *args, **kwargs):
            return ["a list of strings"]

    lm = Strings("strings", engine=SeedEngine(), async_engine=AsyncSeedEngine())
    with pytest.raises(ConfigError, match=r"The LM 'strings' \(Strings\) answered a request with list"):
        sw.generate(Words(), seeds=SEEDS, out=tmp_path, lms=lm)


def test_reasoning_models_of_openai_can_be_wrapped():
    lm = dspy.LM("openai/gpt-5", temperature=1.0, max_tokens=20_000, api_key="sk-planted")
    wrapped = metered(lm, role="generator", meter=Meter())
    assert wrapped.kwargs["max_completion_tokens"] == 20_000 and "api_key" not in wrapped.kwargs


def test_the_wrapped_lm_has_the_sampling_of_the_lm():
    lm = ScriptedLM({}, temperature=0.3, max_tokens=77, top_p=0.5)
    wrapped = metered(lm, role="generator", meter=Meter())
    assert {name: wrapped.kwargs[name] for name in ("temperature", "max_tokens", "top_p")} == {
        "temperature": 0.3,
        "max_tokens": 77,
        "top_p": 0.5,
    }
    assert wrapped.supports_response_schema and not wrapped.cache


# Limits


@pytest.mark.parametrize("limit", [1, 3, 64])
def test_no_more_calls_are_in_flight_than_asked_for(limit, tmp_path):
    engine = AsyncSeedEngine()
    lm = EngineLM("seeds", SeedEngine(), engine, concurrency=limit)
    sw.generate(Words(), seeds=[{"topic": str(i)} for i in range(20)], out=tmp_path, lms=lm)
    assert engine.most == min(limit, 64) if limit < 64 else 20 < engine.most <= 64


def test_a_slot_is_free_while_a_call_waits_to_be_repeated():
    lm = ScriptedLM({"*": [dspy.lm15.ServerError("wait", retry_after=0.3), "first", "second"]})
    wrapped = metered(lm, role="r", meter=Meter(), limit=1)

    async def main():
        waiting = asyncio.create_task(wrapped.acall("one"))
        await asyncio.sleep(0.1)
        second = await asyncio.wait_for(wrapped.acall("two"), 0.15)
        return second, await waiting

    assert asyncio.run(main()) == (["first"], ["second"])


def test_one_metered_lm_serves_several_loops():
    wrapped = metered(seed_lm(), role="r", meter=Meter(), limit=1)

    async def main():
        return await asyncio.gather(*(wrapped.acall("x") for _ in range(4)))

    for _ in range(2):
        assert len(asyncio.run(main())) == 4


# Retries


def call(lm, meter, retry, *, asynchronous):
    wrapped = metered(lm, role="r", meter=meter, retry=retry)
    return asyncio.run(wrapped.acall("x")) if asynchronous else wrapped("x")


@pytest.mark.parametrize("asynchronous", [True, False])
def test_transient_errors_are_repeated_up_to_the_number_of_attempts(asynchronous):
    errors = [dspy.lm15.TransportError("t"), dspy.lm15.TimeoutError("t"), dspy.lm15.ServerError("t")]
    lm, meter = ScriptedLM({"*": [*errors, "fine"]}), Meter()
    assert call(lm, meter, Retry(attempts=4, base=0.001), asynchronous=asynchronous) == ["fine"]
    assert meter.used.calls == 4
    lm = ScriptedLM({"*": [*errors, "fine"]})
    with pytest.raises(dspy.LMServerError):
        call(lm, Meter(), Retry(attempts=3, base=0.001), asynchronous=asynchronous)
    assert len(lm.calls) == 3


@pytest.mark.parametrize("asynchronous", [True, False])
def test_what_the_server_asks_for_is_waited_and_no_longer_than_the_cap(asynchronous):
    lm = ScriptedLM({"*": [dspy.lm15.RateLimitError("t", retry_after=3600), "fine"]})
    assert call(lm, Meter(), Retry(cap=0.01), asynchronous=asynchronous) == ["fine"]
    lm = ScriptedLM({"*": [dspy.lm15.RateLimitError("t", retry_after=-5), "fine"]})
    assert call(lm, Meter(), Retry(), asynchronous=asynchronous) == ["fine"]


# Budgets, usage and truncation


def test_a_meter_refuses_the_call_beyond_its_budget():
    meter = Meter(Budget(calls=2), Usage(calls=1))
    meter.reserve()
    with pytest.raises(BudgetExhaustedError, match="the budget of 2 calls is used up"):
        meter.reserve()
    meter.release(Usage(1, 5, 5), ("r", "p"))
    assert meter.used == Usage(2, 5, 5)
    assert meter.take() == {("r", "p"): Usage(1, 5, 5)} and meter.take() == {}


def test_prices_are_for_a_million_tokens():
    meter = Meter(prices={"m": Price(input=2.0, output=10.0)})
    response = Response(
        id=None,
        model="m",
        message=Message.assistant("x"),
        finish_reason="stop",
        usage=dspy.lm15.Usage(input_tokens=1_000_000, output_tokens=100_000),
    )
    assert meter.usage("m", response) == Usage(1, 1_000_000, 100_000, 3.0)
    assert meter.usage("other", response).usd == 0.0


def test_the_embedded_lm_is_free():
    lm = EngineLM("embedded/x", SeedEngine(), AsyncSeedEngine(), concurrency=1)
    metered(lm, role="r", meter=Meter(Budget(usd=1)))
    with pytest.raises(ConfigError, match="A budget of 1 US dollars cannot be kept: the price of 'seeds'"):
        metered(seed_lm(), role="r", meter=Meter(Budget(usd=1)))


def test_usage_is_booked_under_the_predictor_that_called():
    class Both(dspy.Module):
        def __init__(self):
            super().__init__()
            self.write = dspy.ChainOfThought("topic -> word")
            self.raw = RawCompletion()

        async def aforward(self):
            await self.write.acall(topic="t")
            return await self.raw.acall(prefix="x")

    program, meter = Both(), Meter()
    lm = metered(ScriptedLM({"write": {"reasoning": "", "word": "w"}, "raw": "y"}), role="r", meter=meter)
    scope = Scope(0, "0", names_of(program))
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()), draw_scope(scope):
        asyncio.run(program.acall())
    assert scope.used == {("r", "write"): Usage(1, 10, 5), ("r", "raw"): Usage(1, 10, 5)} == meter.take()


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_cut_reply_is_an_error_with_its_text_and_counts(asynchronous):
    lm, meter = ScriptedLM({"*": Reply("cut her", "length", 4, 7)}, max_tokens=7), Meter()
    with pytest.raises(TruncatedResponseError, match="limit of 7 tokens; raise `max_tokens`") as error:
        call(lm, meter, None, asynchronous=asynchronous)
    assert error.value.text == "cut her" and meter.used == Usage(1, 4, 7)


def test_a_cut_raw_completion_is_a_result():
    class Raw(dspy.Module):
        def __init__(self):
            super().__init__()
            self.go_on = RawCompletion()

        def forward(self):
            return self.go_on(prefix="Once")

    lm = metered(ScriptedLM({"*": Reply("upon a", "length")}), role="r", meter=Meter())
    with dspy.context(lm=lm):
        made = Raw()()
    assert (made.text, made.truncated) == ("upon a", True)


def test_raw_completions_need_an_lm_that_has_them():
    engine = PlainEngine()
    lm = metered(dspy.LM("hosted", engine=engine, async_engine=AsyncPlainEngine(engine)), role="r", meter=Meter())
    with dspy.context(lm=lm), pytest.raises(ConfigError, match=r"'hosted' cannot continue a bare text.*api_base"):
        asyncio.run(RawCompletion().acall(prefix="x"))
