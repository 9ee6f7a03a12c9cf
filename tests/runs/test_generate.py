import asyncio
import contextvars
import json
import random
import threading
import time
from typing import Any, cast

import dspy
import pytest
from dspy.clients import execution

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import ExactDuplicate, Length
from synthwright.lms.calls import EngineLM
from synthwright.runs.store import Store
from synthwright.testing import Reply, ScriptedLM


class Riddle(sw.Row):
    word: str
    riddle: str


class Rhyme(Riddle):
    rhyme: str = ""


class Hint(sw.Row):
    word: str


class Riddles(sw.Generator[Riddle]):
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("word -> riddle")

    async def aforward(self, word):
        riddle = (await self.write.acall(word=word)).riddle
        return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle)])


class PlainRiddles(sw.Generator[Riddle]):
    def __init__(self):
        super().__init__()
        self.write = dspy.ChainOfThought("word -> riddle")

    def forward(self, word):
        return dspy.Prediction(rows=[Riddle(word=word, riddle=self.write(word=word).riddle)])


class Family(sw.Generator[Riddle]):
    """Each round asks about what the last one kept; one seed gives none to three rows, some of them copies."""

    filters = (ExactDuplicate(("riddle",)), Length("riddle", max_words=4))

    def __init__(self, seed=0):
        super().__init__()
        self.seed = seed
        self.write = dspy.Predict("word -> riddles: list[str]")

    def plan(self, pool):
        if pool.round == 0:
            yield from ({"word": f"w{i}"} for i in range(12))
            return
        rng = random.Random(f"{self.seed}:{pool.round}")
        yield from ({"word": f"{row.riddle} {pool.round}"} for row in rng.sample(pool[:], min(9, len(pool))))
        yield from ({"word": f"hint {hint.word}"} for hint in pool.artifacts(Hint)[-2:])

    async def aforward(self, word):
        riddles = (await self.write.acall(word=word)).riddles
        return dspy.Prediction(
            rows=[Riddle(word=word, riddle=riddle) for riddle in riddles],
            rejected=[sw.Rejected(stage="write", reason="none_made", content={"word": word})] if not riddles else [],
            artifacts=[Hint(word=riddles[0])] if riddles else [],
        )


WORDS = [{"word": f"w{i}"} for i in range(30)]
echo = ScriptedLM({"write": lambda inputs: {"reasoning": "so", "riddle": "about " + inputs["word"]}})


def family_answer(inputs):
    rng = random.Random(inputs["word"])
    return {
        "riddles": [" ".join(["word"] * rng.randint(1, 5)) + str(rng.randint(0, 60)) for _ in range(rng.randint(0, 3))]
    }


class Late:
    """A scripted engine whose answers arrive late and in any order."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})

    def __init__(self, engine):
        self.engine = engine

    def complete(self, request):
        return self.engine.complete(request)


class AsyncLate(Late):
    async def complete(self, request):
        await asyncio.sleep(random.random() / 100)
        return self.engine.complete(request)


def late(lm):
    return EngineLM("scripted", Late(lm.engine), AsyncLate(lm.engine), concurrency=4)


def text(run, name="rows.jsonl"):
    return (run.out / name).read_text(encoding="utf-8")


# What a run gives


def test_rows_come_in_seed_order_with_provenance(tmp_path):
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo, concurrency=7)
    assert [row.riddle for row in run] == [f"about w{i}" for i in range(30)]
    assert [row.provenance.seed for row in run if row.provenance] == list(range(30))
    first = run.rows[0].provenance
    assert first is not None and first.method == "riddles" and first.lms == {"generator": "scripted"}
    assert run.complete and run.funnel.kept == run.funnel.made == 30
    assert run.stopped == "there is nothing more to ask" and not run.interrupted


def test_n_limits_the_rows_and_a_larger_n_goes_on_without_asking_again(tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddle": "about " + inputs["word"]}})
    assert len(sw.generate(Riddles(), seeds=WORDS, n=3, out=tmp_path, lms=lm)) == 3
    assert len(lm.calls) == 3
    assert len(sw.generate(Riddles(), seeds=WORDS, n=5, out=tmp_path, lms=lm)) == 5
    assert [call.inputs["word"] for call in lm.calls] == ["w0", "w1", "w2", "w3", "w4"]


def test_a_smaller_n_gives_a_smaller_dataset_and_loses_nothing(tmp_path):
    sw.generate(Riddles(), seeds=WORDS, n=9, out=tmp_path, lms=echo)
    small = sw.generate(Riddles(), seeds=WORDS, n=2, out=tmp_path, lms=ScriptedLM({}))
    assert len(small) == len(small.rows) == 2 and small.complete
    assert len(sw.generate(Riddles(), seeds=WORDS, n=9, out=tmp_path, lms=ScriptedLM({})).rows) == 9


def test_rows_beyond_n_wait_for_a_larger_n(tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddles": [f"{inputs['word']}-{k}" for k in range(3)]}})
    run = sw.generate(Family(), n=4, out=tmp_path, lms=lm, filters=[])
    assert [row.riddle for row in run] == ["w0-0", "w0-1", "w0-2", "w1-0"] and len(run) == run.funnel.kept == 4
    lm.calls.clear()
    assert len(sw.generate(Family(), n=6, out=tmp_path, lms=lm, filters=[]).rows) == 6
    assert lm.calls == []


def test_a_finished_run_asks_nothing_more(tmp_path):
    first = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo)
    again = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=ScriptedLM({}))
    assert again.complete and text(again) == text(first) and len(again) == 30


def test_a_garbled_reply_is_kept_as_a_reject(tmp_path):
    lm = ScriptedLM({"write": [{"riddle": "fine"}, "not json at all", Reply('{"riddle": "cut', "length")]})
    run = sw.generate(Riddles(), seeds=WORDS[:3], out=tmp_path, lms=lm)
    assert [row.riddle for row in run] == ["fine"]
    assert sorted((reason, count) for _, reason, count in run.funnel.lost) == [("truncated", 1), ("unparsable", 1)]
    rejects = [json.loads(line) for line in text(run, "rejected.jsonl").splitlines()]
    assert [(r["seed"], r["content"]["reply"]) for r in rejects] == [(1, "not json at all"), (2, '{"riddle": "cut')]
    assert [(reject.stage, reject.reason) for reject in run.rejects()] == [
        ("riddles", "unparsable"),
        ("riddles", "truncated"),
    ]


def test_line_separators_of_unicode_stay_within_one_line(tmp_path):
    odd = "one\u2028two\u2029three\x85four\nfive\r\x0bsix"
    run = sw.generate(Riddles(), seeds=WORDS[:2], out=tmp_path, lms=ScriptedLM({"write": {"riddle": odd}}), filters=[])
    assert len(text(run).splitlines()) == 2 and [row.riddle for row in run] == [odd, odd]


def test_half_a_character_in_a_reply_is_an_unparsable_reply(tmp_path):
    lm = ScriptedLM({"write": [r'{"riddle": "\ud83d"}', r'{"riddle": "\ud83d\ude00"}', '{"riddle": "\\\\ud83d"}']})
    run = sw.generate(Riddles(), seeds=WORDS[:3], out=tmp_path, lms=lm)
    assert [row.riddle for row in run] == ["\U0001f600", r"\ud83d"]
    assert [(reason, n) for _, reason, n in run.funnel.lost] == [("unparsable", 1)]


def test_rows_of_a_subclass_are_read_back_as_what_they_were(tmp_path):
    class Rhymes(Riddles):
        async def aforward(self, word):
            return dspy.Prediction(rows=[Rhyme(word=word, riddle="r", rhyme="y"), Riddle(word=word, riddle="r")])

    rows = sw.generate(Rhymes(), seeds=WORDS[:2], out=tmp_path, lms=echo).rows
    assert [type(row) for row in rows] == [Rhyme, Riddle, Rhyme, Riddle]


@pytest.mark.filterwarnings("ignore")
def test_the_rows_are_a_dataset_also_if_there_are_none(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    columns = ["id", "word", "riddle", "parent_ids", "provenance"]
    full = sw.generate(Riddles(), seeds=WORDS[:3], out=tmp_path / "full", lms=echo).dataset()
    assert full.column_names == columns and full["riddle"][:] == ["about w0", "about w1", "about w2"]
    none = sw.generate(
        Riddles(), seeds=WORDS[:3], out=tmp_path / "none", lms=echo, filters=[lambda row: "no"]
    ).dataset()
    assert none.column_names == columns and len(none) == 0


def test_progress_is_reported_for_each_seed_and_at_the_end(tmp_path):
    seen = []
    sw.generate(Riddles(), seeds=WORDS[:4], out=tmp_path, lms=echo, progress=lambda p: seen.append((p.rows, p.done)))
    assert seen == [(1, False), (2, False), (3, False), (4, False), (4, True)]


def test_a_rejects_content_may_be_anything(tmp_path):
    class Odd(Riddles):
        async def aforward(self, word):
            content = {"row": Riddle(word=word, riddle="\ud83d"), "set": {1}, "object": Odd, "text": "\udc80"}
            return dspy.Prediction(rows=[], rejected=[sw.Rejected(stage="write", reason="odd", content=content)])

    run = sw.generate(Odd(), seeds=WORDS[:1], out=tmp_path, lms=echo)
    content = json.loads(text(run, "rejected.jsonl"))["content"]
    assert content["row"]["word"] == "w0" and content["set"] == [1] and content["text"] == "\udc80"


# The same dataset at any concurrency


@pytest.mark.parametrize("concurrency", [1, 3, 32])
def test_the_dataset_does_not_depend_on_concurrency(concurrency, tmp_path):
    want = sw.generate(Family(), n=40, out=tmp_path / "want", lms=ScriptedLM({"write": family_answer}))
    assert want.complete and len({row.riddle for row in want}) == 40
    lm = late(ScriptedLM({"write": family_answer}))
    run = sw.generate(Family(), n=40, out=tmp_path / "run", lms=lm, concurrency=concurrency)
    assert text(run) == text(want)
    assert len(run.funnel.lost) == 3


def test_gathered_equal_calls_are_numbered_in_the_order_of_the_program(tmp_path, monkeypatch):
    prepare = execution.prepare

    def uneven(*args, **options):  # DSPy prepares calls on threads; a busy machine finishes them in any order
        time.sleep(random.random() / 200)
        return prepare(*args, **options)

    monkeypatch.setattr(execution, "prepare", uneven)

    class Votes(Riddles):
        async def aforward(self, word):
            made = await asyncio.gather(*(self.write.acall(word="same") for _ in range(8)))
            return dspy.Prediction(rows=[Riddle(word=word, riddle=m.riddle) for m in made])

    class Sampler(Late):
        def __init__(self):
            super().__init__(self)

        def complete(self, request):
            return dspy.lm15.Response(
                id=None,
                model=request.model,
                message=dspy.lm15.Message.assistant(json.dumps({"riddle": str(request.config.seed)})),
                finish_reason="stop",
                usage=dspy.lm15.Usage(),
            )

    lm = EngineLM("sampler", Sampler(), AsyncLate(Sampler()), concurrency=4)
    runs = [sw.generate(Votes(), seeds=WORDS[:12], out=tmp_path / str(c), lms=lm, concurrency=c) for c in (1, 12, 12)]
    assert len({text(run) for run in runs}) == 1
    assert len({row.riddle for row in runs[0]}) == 12 * 8


# Planning


def test_an_endless_plan_is_taken_as_far_as_needed(tmp_path):
    class Endless(Riddles):
        def plan(self, pool):
            number = 0
            while True:
                yield {"word": f"w{number}"}
                number += 1

    lm = ScriptedLM({"write": lambda inputs: {"riddle": "about " + inputs["word"]}})
    run = sw.generate(Endless(), n=50, out=tmp_path, lms=lm, concurrency=4)
    assert len(run.rows) == 50 and len(lm.calls) <= 50 + 4
    assert len(sw.generate(Endless(), n=60, out=tmp_path, lms=lm).rows) == 60
    assert len(lm.calls) <= 60 + 4


def test_rounds_see_rows_artifacts_target_and_seeds(tmp_path):
    seen = []

    class Watching(Family):
        def plan(self, pool):
            seen.append((pool.round, len(pool), len(pool.artifacts(Hint)), pool.target, pool.seeds, pool.missing))
            yield from super().plan(pool) if pool.round < 2 else ()

    lm = ScriptedLM({"write": lambda inputs: {"riddles": [inputs["word"][-9:]]}})
    run = sw.generate(Watching(), n=90, seeds=[{"word": "own"}], out=tmp_path, lms=lm)
    assert seen == [
        (0, 0, 0, 90, [{"word": "own"}], 90),
        (1, 12, 12, 90, [{"word": "own"}], 78),
        (2, len(run.rows), 23, 90, [{"word": "own"}], 90 - len(run.rows)),
    ]
    assert run.complete and run.stopped == "there is nothing more to ask"
    assert len(run.artifacts(Hint)) == 23 == len(sw.load_run(tmp_path).artifacts(sw.Row))
    assert run.artifacts(Riddle) == []
    seen.clear()
    sw.generate(Watching(), n=95, seeds=[{"word": "own"}], out=tmp_path, lms=lm)
    assert seen == [(2, len(run.rows), 23, 95, [{"word": "own"}], 95 - len(run.rows))]


def test_a_plan_that_is_not_a_function_of_the_pool_cannot_be_resumed(tmp_path):
    drawn = iter(range(1000))

    class Moody(Riddles):
        def plan(self, pool):
            yield from ({"word": f"w{next(drawn)}"} for _ in range(5)) if pool.round == 0 else ()

    sw.generate(Moody(), n=2, out=tmp_path, lms=echo)
    with pytest.raises(ConfigError, match=r'Seed 0 .* \{"word": "w0"\} and is now .* plan of Moody is not a function'):
        sw.generate(Moody(), n=4, out=tmp_path, lms=echo)
    assert len(list(open(tmp_path / "rows.jsonl"))) == 2


def test_a_plan_must_give_seeds(tmp_path):
    class Forgetful(Riddles):
        def plan(self, pool):  # pyright: ignore[reportIncompatibleMethodOverride]  the mistake under test
            return None

    with pytest.raises(ConfigError, match="The plan of Forgetful must return or yield seeds, not None"):
        sw.generate(Forgetful(), n=2, out=tmp_path, lms=echo)


# Arguments


@pytest.mark.parametrize("n", [0, -3, True, 2.5, "3"])
def test_n_must_be_positive(n, tmp_path):
    with pytest.raises(ConfigError, match="at least 1 row"):
        sw.generate(Riddles(), seeds=WORDS, n=n, out=tmp_path, lms=echo)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5])
def test_concurrency_must_be_positive(concurrency, tmp_path):
    with pytest.raises(ConfigError, match=f"whole number of at least 1, got {concurrency}"):
        sw.generate(Riddles(), seeds=WORDS, concurrency=concurrency, out=tmp_path, lms=echo)


def test_a_class_is_not_a_generator(tmp_path):
    with pytest.raises(ConfigError, match=r"Example: generate\(EvolInstruct\(\), n=10\)"):
        sw.generate(Riddles, out=tmp_path)  # pyright: ignore[reportArgumentType]  the mistake under test


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "`seeds` is empty"),
        (["snow"], "Seed 0 is 'snow'; a seed is a dictionary with word"),
        ("snow", "Seed 0 is 's'"),
        ({"word": "snow"}, "Seed 0 is 'word'"),
        ([{1: "snow", "word": "ice"}], "Seed 0 is .*; a seed is a dictionary with word"),
        (7, "`seeds` must be a list of dictionaries, got 7"),
        ([{"word": "ok"}, {"wrod": "snow"}], r"Seed 1 does not fit Riddles, which takes \(word\): missing a required"),
        ([{"word": "snow", "more": 1}], "Seed 0 does not fit Riddles.*unexpected keyword argument 'more'"),
        ([{"word": {1, 2}}], "Seed 0 of Riddles cannot be stored as JSON"),
        (None, "Riddles has no seeds of its own: pass `seeds="),
    ],
)
def test_seeds_that_cannot_be_asked_are_named(seeds, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        sw.generate(Riddles(), seeds=seeds, out=tmp_path, lms=echo)


def test_a_seed_reaches_the_program_as_its_json_says(tmp_path):
    got = []

    class Watching(Riddles):
        async def aforward(self, word):
            got.append(word)
            return dspy.Prediction(rows=[])

    sw.generate(Watching(), seeds=[{"word": ("a", 1)}, {"word": "\u00e4\ud83d"}], out=tmp_path, lms=echo)
    assert got == [["a", 1], "\u00e4\ud83d"]


def test_functions_are_filters(tmp_path):
    def even(row):
        return None if int(row.word[1:]) % 2 == 0 else f"odd_number: {row.word}"

    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo, filters=[even])
    assert len(run) == 15 and run.funnel.lost == (("even", "odd_number", 15),)
    assert json.loads(text(run, "rejected.jsonl").splitlines()[0])["detail"] == "w1"


def test_a_filter_that_answers_yes_or_no_is_told_what_to_answer(tmp_path):
    def good(row):
        return True

    with pytest.raises(ConfigError, match="The filter good returned True; it must return None"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo, filters=[cast(Any, good)])


def test_filters_of_the_generator_object_are_not_used_up(tmp_path):
    generator = Family()
    for name in ("a", "b"):
        run = sw.generate(generator, n=10, out=tmp_path / name, lms=ScriptedLM({"write": family_answer}))
        assert len(run) == 10


# Programs


def test_a_plain_forward_runs_on_threads(tmp_path):
    run = sw.generate(PlainRiddles(), seeds=WORDS, out=tmp_path, lms=echo, concurrency=8)
    assert [row.riddle for row in run] == [f"about w{i}" for i in range(30)]
    assert set(run.usage) == {("generator", "write")} and run.total_usage.calls == 30


def test_a_plain_forward_may_use_a_generator_with_aforward(tmp_path):
    class Outer(sw.Generator[Riddle]):
        def __init__(self):
            super().__init__()
            self.inner = Riddles()

        def forward(self, word):
            return self.inner(word=word)

    nested = ScriptedLM({"inner.write": {"riddle": "x"}})
    run = sw.generate(Outer(), seeds=WORDS, out=tmp_path, lms=late(nested), concurrency=16)
    assert len(run) == 30 and set(run.usage) == {("generator", "inner.write")}


def test_a_generator_without_either_forward_is_told_to_write_one(tmp_path):
    class Empty(sw.Generator[Riddle]):
        pass

    with pytest.raises(ConfigError, match="Empty must define `async def aforward"):
        sw.generate(Empty(), seeds=WORDS, out=tmp_path, lms=echo)
    with pytest.raises(ConfigError, match="Empty must define `async def aforward"):
        Empty()(word="w")


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (None, "must return dspy.Prediction"),
        (dspy.Prediction(answer=1), "must return dspy.Prediction"),
        (dspy.Prediction(rows=[{"word": "w"}]), "as a row; it must be a Riddle"),
        (dspy.Prediction(rows=[Hint(word="w")]), "as a row; it must be a Riddle"),
        (dspy.Prediction(rows=[], artifacts=["topic"]), "as a artifact; it must be a Row"),
        (dspy.Prediction(rows=[], rejected=["bad"]), "as a reject; it must be a Rejected"),
    ],
)
def test_what_a_program_returns_is_checked(prediction, message, tmp_path):
    class Wrong(Riddles):
        async def aforward(self, word):
            return prediction

    with pytest.raises(ConfigError, match=message):
        sw.generate(Wrong(), seeds=WORDS, out=tmp_path, lms=echo)


def test_the_generator_is_not_changed_by_a_run(tmp_path):
    generator = Riddles()
    sw.generate(generator, seeds=WORDS[:2], out=tmp_path, lms=echo)
    assert generator.write.lm is None and generator.write.demos == [] and generator.history == []


# Where it is called from


def test_it_runs_where_a_loop_is_running_already(tmp_path):
    async def notebook():
        return sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo, concurrency=4)

    assert len(asyncio.run(notebook())) == 30


def test_it_runs_on_a_thread(tmp_path):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo)))
    thread.start()
    thread.join()
    assert len(runs[0]) == 30


@pytest.mark.parametrize("inside", [True, False])
def test_the_lm_configured_in_dspy_is_used(inside, tmp_path):
    async def notebook():
        return sw.generate(Riddles(), seeds=WORDS[:3], out=tmp_path)

    with dspy.context(lm=ScriptedLM({"write": {"riddle": "x"}}, model="configured")):
        run = asyncio.run(notebook()) if inside else sw.generate(Riddles(), seeds=WORDS[:3], out=tmp_path)
    assert run.rows[0].provenance and run.rows[0].provenance.lms == {"generator": "configured"}


def test_agenerate_runs_beside_other_tasks(tmp_path):
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        other = asyncio.create_task(tick())
        runs = await asyncio.gather(
            sw.agenerate(Riddles(), seeds=WORDS, out=tmp_path / "a", lms=late(echo)),
            sw.agenerate(Riddles(), seeds=WORDS, out=tmp_path / "b", lms=late(echo)),
        )
        other.cancel()
        return runs, ticks

    runs, ticks = asyncio.run(main())
    assert [len(run) for run in runs] == [30, 30] and ticks > 5


def test_a_cancelled_agenerate_stores_what_was_in_flight_and_goes_on_later(tmp_path):
    async def main():
        task = asyncio.create_task(sw.agenerate(Riddles(), seeds=WORDS, out=tmp_path, lms=late(echo), concurrency=2))
        while not (tmp_path / "run.sqlite").exists():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(list(open(tmp_path / "rows.jsonl"))) < 30
    assert len(sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo).rows) == 30


def test_context_variables_of_the_caller_reach_the_program(tmp_path):
    variable = contextvars.ContextVar("variable", default="unset")

    class Reading(PlainRiddles):
        def forward(self, word):
            return dspy.Prediction(rows=[Riddle(word=word, riddle=variable.get())])

    async def notebook():
        variable.set("set")
        return sw.generate(Reading(), seeds=WORDS[:1], out=tmp_path, lms=echo)

    assert asyncio.run(notebook()).rows[0].riddle == "set"


class Word(sw.Row):
    text: str


class Note(sw.Row):
    text: str


class Words(sw.Generator[Riddle]):
    """Round 0 makes words and notes as artifacts; later rounds make a riddle of each word that was kept."""

    def __init__(self):
        super().__init__()
        self.artifact_filters = {Word: (Length("text", max_words=1), ExactDuplicate(("text",)))}
        self.write = dspy.Predict("word -> riddle")

    def plan(self, pool):
        if pool.round == 0:
            return pool.seeds or ()
        known = {row.word for row in pool}
        return [{"word": word.text, "ask": True} for word in pool.artifacts(Word) if word.text not in known]

    async def aforward(self, word, ask=False):
        if not ask:
            return dspy.Prediction(rows=[], artifacts=[Word(text=word), Note(text=word)])
        return dspy.Prediction(rows=[Riddle(word=word, riddle=(await self.write.acall(word=word)).riddle)])


SOME_WORDS = [{"word": word} for word in ("snow", "two words", "Snow", "rain")]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_filters_of_artifacts_decide_what_later_rounds_see(tmp_path, concurrency):
    lm = ScriptedLM({"write": lambda call: {"riddle": f"about {call['word']}"}})
    run = sw.generate(Words(), seeds=SOME_WORDS, out=tmp_path, lms=lm, concurrency=concurrency)
    assert [row.word for row in run] == ["snow", "rain"]
    assert list(run.funnel.lost) == [("length", "too_long", 1), ("exact_duplicate", "duplicate", 1)]
    with Store(tmp_path) as store:
        kept = [(type(each).__name__, cast(Any, each).text) for each in store.log("artifacts")]
    assert kept.count(("Word", "snow")) == 1 and ("Word", "Snow") not in kept
    assert [text for name, text in kept if name == "Note"] == ["snow", "two words", "Snow", "rain"]
    assert run.config()["artifact_filters"] == {
        "Word": ["Length(field='text', min_words=1, max_words=1)", "ExactDuplicate(fields=('text',))"]
    }


def test_a_resumed_run_remembers_the_artifacts_that_it_kept(tmp_path):
    lm = ScriptedLM({"write": lambda call: {"riddle": f"about {call['word']}"}})
    whole = sw.generate(Words(), seeds=SOME_WORDS, out=tmp_path / "whole", lms=lm, concurrency=1)

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.seeds == 2:
            raise Stop

    with pytest.raises(Stop):
        sw.generate(Words(), seeds=SOME_WORDS, out=tmp_path / "part", lms=lm, concurrency=1, progress=stop)
    resumed = sw.generate(Words(), seeds=SOME_WORDS, out=tmp_path / "part", lms=lm, concurrency=1)
    assert [row.id for row in resumed] == [row.id for row in whole]
    assert list(resumed.funnel.lost) == list(whole.funnel.lost)


def test_a_stored_row_keeps_its_id(tmp_path):
    with Store(tmp_path) as store:
        store.admit(0, [(0, Riddle(word="snow", riddle="I fall."))], [], [Word(text="snow")], stored=False)
        loaded = [store.log("rows")[0], store.log("artifacts")[0]]
    assert [row.id for row in loaded] == [Riddle(word="snow", riddle="I fall.").id, Word(text="snow").id]
    assert loaded[0] == Riddle(word="snow", riddle="I fall.")
    assert loaded[0].model_copy(update={"riddle": "I melt."}).id == Riddle(word="snow", riddle="I melt.").id
