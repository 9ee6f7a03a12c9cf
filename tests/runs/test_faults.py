"""LMs that fail, programs that crash, budgets, full disks: the run stops with a reason and keeps what it has."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from typing import Any

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, MissingExtraError, ModelFileError, ProgramError, StoreError, UnusableLMError
from synthwright.filters import ExactDuplicate
from synthwright.lms.calls import EngineLM
from synthwright.runs import watch
from synthwright.runs.session import Session
from synthwright.testing import Reply, ScriptedLM


class Riddle(sw.Row):
    word: str
    riddle: str


class Riddles(sw.Generator[Riddle]):
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("word -> riddle")

    async def aforward(self, word):
        riddle = (await self.write.acall(word=word)).riddle
        return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle)])


class JudgeRiddle(dspy.Signature):
    """Say whether the riddle is good."""

    riddle: str = dspy.InputField()
    good: bool = dspy.OutputField()


class Endless(Riddles):
    def plan(self, pool):
        number = 0
        while True:
            yield {"word": f"w{number}"}
            number += 1


WORDS = [{"word": f"w{i}"} for i in range(40)]
ONCE = sw.Retry(attempts=1)
echo = ScriptedLM({"write": lambda inputs: {"riddle": "about " + inputs["word"]}})
down = dspy.lm15.ServerError("down")


def written(out):
    return [json.loads(line)["word"] for line in (out / "rows.jsonl").read_text().splitlines()]


class AsyncLate:
    """The asyncio twin of a scripted engine, whose answers come late, so that calls are in flight together."""

    def __init__(self, engine):
        self.engine = engine

    async def complete(self, request):
        await asyncio.sleep(0.002)
        return self.engine.complete(request)


# LMs that fail


@pytest.mark.parametrize("concurrency", [1, 6])
def test_eight_failures_in_a_row_stop_the_run_and_keep_what_was_made(concurrency, tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddle": "x"} if int(inputs["word"][1:]) < 4 else down})
    with pytest.raises(UnusableLMError, match=r"8 seeds in a row failed, the last with LMServerError: .*down") as error:
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, retry=ONCE, concurrency=concurrency)
    assert str(tmp_path) in str(error.value) and isinstance(error.value.__cause__, dspy.LMServerError)
    assert len(lm.calls) <= 4 + 8 + concurrency
    assert written(tmp_path) == ["w0", "w1", "w2", "w3"]
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo)
    assert len(run) == 40 and run.complete


def test_one_success_between_failures_lets_a_run_go_on(tmp_path):
    lm = ScriptedLM({"write": lambda inputs: down if int(inputs["word"][1:]) % 8 else {"riddle": "x"}})
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, retry=ONCE)
    assert written(tmp_path) == ["w0", "w8", "w16", "w24", "w32"] and run.funnel.failed == 35


def test_a_run_in_which_nothing_succeeds_is_an_error_however_short(tmp_path):
    lm = ScriptedLM({"write": dspy.lm15.AuthError("bad key")})
    with pytest.raises(UnusableLMError, match="Not one seed succeeded, the last with LMAuthError"):
        sw.generate(Riddles(), seeds=WORDS[:3], out=tmp_path, lms=lm)
    assert len(lm.calls) == 3, "an authentication error is not repeated"


def test_an_lm_that_is_down_stops_the_retries_of_a_resumed_run_as_well(tmp_path):
    lm = ScriptedLM({"write": lambda inputs: down if int(inputs["word"][1:]) % 4 else {"riddle": "x"}})
    sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, retry=ONCE)
    dead = ScriptedLM({"write": down})
    with pytest.raises(UnusableLMError, match="8 seeds in a row failed"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=dead, retry=ONCE)
    assert len(dead.calls) == 8 and len(written(tmp_path)) == 10


def test_transient_errors_are_repeated_with_the_same_draw(tmp_path):
    lm = ScriptedLM({"write": [down, dspy.lm15.RateLimitError("slow", retry_after=0.001), {"riddle": "fine"}]})
    run = sw.generate(Riddles(), seeds=WORDS[:1], out=tmp_path, lms=lm, retry=sw.Retry(base=0.001))
    assert len(run) == 1 and len({call.seed for call in lm.calls}) == 1 and len(lm.calls) == 3


@pytest.mark.parametrize("error", [dspy.lm15.InvalidRequestError, dspy.lm15.ContextLengthError, dspy.lm15.AuthError])
def test_errors_that_stay_are_not_repeated(error, tmp_path):
    lm = ScriptedLM({"write": lambda inputs: error("no") if inputs["word"] == "w0" else {"riddle": "x"}})
    assert len(sw.generate(Riddles(), seeds=WORDS[:2], out=tmp_path, lms=lm)) == 1
    assert len(lm.calls) == 2


def test_garbage_for_every_seed_stops_with_a_count_and_a_sample(tmp_path):
    lm = ScriptedLM({"write": "I am a teapot."}, model="teapot")
    message = "Not one reply of the first 20 seeds could be read. The first of them was 'I am a teapot.'. Is 'teapot'"
    with pytest.raises(UnusableLMError, match=re.escape(message)):
        sw.generate(Endless(), n=5, out=tmp_path, lms=lm)
    assert len(lm.calls) == 20 and len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 20


def test_garbage_after_something_readable_goes_on(tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddle": "x"} if inputs["word"] in ("w0", "w39") else "garbage"})
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm)
    assert written(tmp_path) == ["w0", "w39"] and run.funnel.parsed == 2 and run.funnel.made == 40


def test_truncated_replies_are_rejects_with_what_was_written(tmp_path):
    lm = ScriptedLM({"write": [Reply('{"riddle": "cut of', "length"), {"riddle": "whole"}]}, max_tokens=7)
    run = sw.generate(Riddles(), seeds=WORDS[:2], out=tmp_path, lms=lm)
    reject = json.loads((tmp_path / "rejected.jsonl").read_text())
    assert reject["reason"] == "truncated" and reject["content"] == {"reply": '{"riddle": "cut of'}
    assert "limit of 7 tokens; raise `max_tokens`" in reject["detail"]
    assert len(run) == 1 and run.funnel.lost == (("riddles", "truncated", 1),)


def test_a_run_that_keeps_nothing_more_stops_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE", 30)
    lm = ScriptedLM({"write": lambda inputs: {"riddle": "x"}})
    run = sw.generate(Endless(), n=50, out=tmp_path, lms=lm, filters=[ExactDuplicate(("riddle",))])
    assert len(run) == 1 and len(lm.calls) == 31
    assert run.stopped == "no row was kept from the last 30 seeds" and not run.complete


def test_failed_seeds_do_not_make_a_fruitless_run_look_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE", 30)
    lm = ScriptedLM({"write": lambda inputs: down if int(inputs["word"][1:]) % 5 == 0 else {"riddle": "x"}})
    drop = [lambda row: "never good enough"]
    run = sw.generate(Endless(), n=5, out=tmp_path, lms=lm, filters=drop, retry=ONCE)
    assert run.stopped == "no row was kept from the last 30 seeds" and len(lm.calls) < 45


def test_artifacts_are_progress_although_they_are_not_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE", 5)

    class Topics(Riddles):
        async def aforward(self, word):
            return dspy.Prediction(rows=[], artifacts=[Riddle(word=word, riddle="topic")])

    run = sw.generate(Topics(), seeds=WORDS, out=tmp_path, lms=echo)
    assert run.complete and len(run) == 0 and run.funnel.asked == 40


@pytest.mark.parametrize(
    "error", [ModelFileError("no weights"), MissingExtraError("xllamacpp", "embedded", "It"), UnusableLMError("mute")]
)
def test_errors_that_no_other_seed_can_escape_come_out_as_they_are(error, tmp_path):
    lm = ScriptedLM({"write": error})
    with pytest.raises(type(error), match=re.escape(str(error))):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm)
    assert len(lm.calls) == 1


def test_an_engine_that_is_dead_is_found_before_anything_is_asked(tmp_path):
    class Dead:
        supports_response_schema = True

        def complete(self, request):
            raise AssertionError("asked")

        def check(self):
            raise UnusableLMError("No LM answers")

    class AsyncDead:
        async def complete(self, request):
            raise AssertionError("asked")

    with pytest.raises(UnusableLMError, match="No LM answers"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=EngineLM("dead", Dead(), AsyncDead(), concurrency=1))


# Programs that crash


def test_a_bug_in_forward_stops_the_run_and_shows_where_it_is(tmp_path):
    class Buggy(Riddles):
        def plan(self, pool):
            return WORDS

        async def aforward(self, word):
            return dspy.Prediction(rows=[{}["missing"]])

    with pytest.raises(ProgramError, match="8 seeds in a row failed, the last with KeyError: 'missing'") as error:
        sw.generate(Buggy(), n=9, out=tmp_path, lms=echo)
    trace = error.value.__cause__.__traceback__ if error.value.__cause__ else None
    while trace and trace.tb_next:
        trace = trace.tb_next
    assert trace is not None and trace.tb_frame.f_code.co_name == "aforward"


def test_a_crash_for_some_seeds_is_a_failed_seed(tmp_path):
    class Fragile(sw.Generator[Riddle]):
        def forward(self, word):
            return dspy.Prediction(rows=[Riddle(word=word, riddle=str(1 / int(word[1:])))])

    run = sw.generate(Fragile(), seeds=WORDS, out=tmp_path, lms=echo)
    assert len(run) == 39 and run.funnel.failed == 1


@pytest.mark.parametrize("where", ["plan", "filter", "progress"])
def test_a_bug_elsewhere_comes_out_as_it_is_and_nothing_stored_is_lost(where, tmp_path):
    def crash(*_):
        raise ZeroDivisionError(where)

    class Crashing(Riddles):
        def plan(self, pool):
            yield from WORDS[:5]
            if where == "plan":
                crash()

    options: dict[str, Any] = {"filter": {"filters": [crash]}, "progress": {"progress": crash}}.get(where, {})
    with pytest.raises(ZeroDivisionError, match=where):
        sw.generate(Crashing(), out=tmp_path, lms=echo, **options)
    assert len(written(tmp_path)) == {"plan": 5, "filter": 0, "progress": 1}[where]


def test_leaving_the_process_from_a_program_leaves_it(tmp_path):
    class Leaving(Riddles):
        def forward(self, word):
            sys.exit(3)

        aforward = sw.Generator.aforward

    async def notebook():
        return sw.generate(Leaving(), seeds=WORDS, out=tmp_path, lms=echo)

    for call in (lambda: asyncio.run(notebook()), lambda: Leaving()(word="w")):
        with pytest.raises(SystemExit):
            call()


# Budgets


@pytest.mark.parametrize("concurrency", [1, 7])
def test_a_budget_in_calls_is_hard_and_a_larger_one_goes_on(concurrency, tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddle": "about " + inputs["word"]}})
    late = EngineLM("scripted", lm.engine, AsyncLate(lm.engine), concurrency=concurrency)
    for most in (10, 25):
        run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=late, budget=sw.Budget(calls=most))
        assert len(lm.calls) == run.total_usage.calls == most and len(run) == most
        assert run.stopped == f"the budget of {most} calls is used up" and not run.complete
    lm.calls.clear()
    assert sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, budget=sw.Budget(calls=25)).stopped
    assert lm.calls == [], "what earlier sessions used counts"
    assert sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm).complete


def test_failed_calls_use_the_budget_up_too(tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddle": "x"} if inputs["word"] == "w0" else down})
    run = sw.generate(
        Riddles(), seeds=WORDS, out=tmp_path, lms=lm, budget=sw.Budget(calls=6), retry=sw.Retry(base=0.001)
    )
    assert len(lm.calls) == run.total_usage.calls == 6 and len(run) == 1
    assert run.stopped == "the budget of 6 calls is used up, and the last call failed: down"


def test_a_budget_in_tokens_stops_the_run(tmp_path):
    lm = ScriptedLM({"write": Reply('{"riddle": "x"}', "stop", 30, 20)})
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, budget=sw.Budget(tokens=300))
    assert run.stopped == "the budget of 300 tokens is used up" and run.total_usage.tokens == 300 and len(run) == 6


def test_a_budget_in_seconds_counts_this_session(tmp_path):
    def slowly(inputs):
        time.sleep(0.02)
        return {"riddle": "x"}

    lm = ScriptedLM({"write": slowly})
    for _ in range(2):
        done = len(lm.calls)
        run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, budget=sw.Budget(seconds=0.1))
        assert run.stopped == "the budget of 0.1 seconds is used up" and done < len(run) < done + 8


def test_a_budget_in_dollars_needs_prices(tmp_path):
    lm = ScriptedLM({"write": Reply('{"riddle": "x"}', "stop", 1000, 500)}, model="big")
    budget = sw.Budget(usd=0.01)
    with pytest.raises(ConfigError, match=r"price of 'big' is not known\. Give it as `prices="):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, budget=budget)
    prices = {"big": sw.Price(input=1.0, output=2.0)}  # 0.002 dollars a call
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, budget=budget, prices=prices)
    assert run.stopped == "the budget of 0.01 usd is used up" and len(run) == 5
    assert run.total_usage.usd == pytest.approx(0.01)


@pytest.mark.parametrize("limit", ["calls", "tokens", "usd", "seconds"])
def test_a_budget_must_be_positive(limit):
    with pytest.raises(ConfigError, match=f"`{limit}` of a Budget must be positive, got 0"):
        sw.Budget(**{limit: 0})


def test_a_budget_must_be_a_budget(tmp_path):
    with pytest.raises(ConfigError, match=r"must be a Budget such as Budget\(calls=1000\), got 100"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=echo, budget=100)  # pyright: ignore[reportArgumentType]


def test_a_seed_cut_off_by_the_budget_goes_on_where_it_was(tmp_path):
    class Pairs(Riddles):
        async def aforward(self, word):
            made = [(await self.write.acall(word=f"{word} {k}")).riddle for k in range(2)]
            return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle) for riddle in made])

    lm = ScriptedLM({"write": lambda inputs: {"riddle": inputs["word"]}})
    assert len(sw.generate(Pairs(), seeds=WORDS[:4], out=tmp_path, lms=lm, budget=sw.Budget(calls=3))) == 2
    run = sw.generate(Pairs(), seeds=WORDS[:4], out=tmp_path, lms=lm)
    assert [row.riddle for row in run] == [f"w{i} {k}" for i in range(4) for k in range(2)]
    assert run.total_usage.calls == len(lm.calls) == 8


# Roles


class Judged(Riddles):
    roles = {"writer": ("write",), "judge": ("judge",)}

    def __init__(self):
        super().__init__()
        self.judge = sw.Frozen(JudgeRiddle)

    async def aforward(self, word):
        made = await super().aforward(word)
        return made if (await self.judge.acall(riddle=made.rows[0].riddle)).good else dspy.Prediction(rows=[])


def test_each_role_is_served_by_its_lm(tmp_path):
    writer, judge = ScriptedLM({"write": {"riddle": "x"}}, model="w"), ScriptedLM({"judge": {"good": True}}, model="j")
    run = sw.generate(Judged(), seeds=WORDS[:2], out=tmp_path, lms={"writer": writer, "judge": judge})
    assert len(writer.calls) == len(judge.calls) == len(run) == 2
    assert set(run.usage) == {("writer", "write"), ("judge", "judge")}
    assert run.rows[0].provenance and run.rows[0].provenance.lms == {"writer": "w", "judge": "j"}


def test_roles_left_out_are_served_by_the_generators_lm(tmp_path):
    lm = ScriptedLM({"write": {"riddle": "x"}}, model="w")
    judge = ScriptedLM({"judge": {"good": False}}, model="j")
    assert len(sw.generate(Judged(), seeds=WORDS[:2], out=tmp_path, lms={"generator": lm, "judge": judge})) == 0
    assert len(lm.calls) == 2


def test_an_lm_set_on_the_predictors_serves_their_role(tmp_path):
    own, other = (
        ScriptedLM({"*": {"riddle": "own", "good": True}}),
        ScriptedLM({"*": {"riddle": "other", "good": True}}),
    )
    judged = Judged()
    judged.set_lm(own)  # DSPy sets it on what is not frozen
    run = sw.generate(judged, seeds=WORDS[:1], out=tmp_path / "own", lms={"judge": other})
    assert [row.riddle for row in run] == ["own"] and (len(own.calls), len(other.calls)) == (1, 1)
    run = sw.generate(judged, seeds=WORDS[:1], out=tmp_path / "all", lms=other)
    assert [row.riddle for row in run] == ["other"], "an LM for all roles is for all"
    with dspy.context(lm=other):
        run = sw.generate(judged, seeds=WORDS[:1], out=tmp_path / "configured")
    assert [row.riddle for row in run] == ["own"] and len(other.calls) == 4


def test_predictors_of_a_role_cannot_have_different_lms(tmp_path):
    class Two(Riddles):
        def __init__(self):
            super().__init__()
            self.second = dspy.Predict("word -> riddle")

    two = Two()
    two.write.lm, two.second.lm = echo, ScriptedLM({})
    with pytest.raises(ConfigError, match="the role 'generator' of Two have different LMs set on them"):
        sw.generate(two, seeds=WORDS, out=tmp_path)
    assert len(sw.generate(two, seeds=WORDS, out=tmp_path, lms=echo)) == 40


def test_an_lm_that_no_predictor_calls_is_neither_checked_nor_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHWRIGHT_MODEL", str(tmp_path / "none.gguf"))  # the embedded LM could not start
    lm = ScriptedLM({"write": {"riddle": "x"}, "judge": {"good": True}}, concurrency=9)
    roles = {"writer": lm, "judge": lm}
    assert Session(Judged(), lms=roles).limit == 9
    assert len(sw.generate(Judged(), seeds=WORDS[:2], out=tmp_path / "run", lms=roles)) == 2
    with dspy.context(lm=echo):
        assert len(sw.generate(Judged(), seeds=WORDS[:2], out=tmp_path / "run", lms=roles)) == 2


def test_a_role_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigError, match="Riddles has no role 'jugde'; its roles: generator"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms={"jugde": echo})


@pytest.mark.parametrize("configured", [True, False])
def test_what_is_not_an_lm_is_named(configured, tmp_path):
    with dspy.context(lm="gpt-4" if configured else None), pytest.raises(ConfigError, match=r"a dspy\.LM, got 'gp"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=None if configured else "gpt-4")  # pyright: ignore


# Disks


def test_a_path_below_a_file_cannot_be_a_run_directory(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"Cannot write to '.*file/run': Not a directory"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path / "file" / "run", lms=echo)


def test_a_read_only_directory_is_named(tmp_path):
    if os.geteuid():
        (tmp_path / "run").mkdir(mode=0o555)
    elif subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("root may write everywhere, and a read-only file system cannot be mounted here")
    try:
        with pytest.raises(StoreError, match=r"Cannot write to '.*run': (Read-only file system|Permission denied)"):
            sw.generate(Riddles(), seeds=WORDS, out=tmp_path / "run", lms=echo)
    finally:
        if not os.geteuid():
            subprocess.run(["umount", tmp_path], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root, outside of a plain container")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_the_run_and_loses_nothing_stored(small_disk, tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddle": inputs["word"] + " x" * 10_000}})
    with pytest.raises(StoreError, match=r"full|No space left") as error:
        sw.generate(Riddles(), seeds=WORDS, out=small_disk / "run", lms=lm)
    assert "free some space and run the same command again; what was stored is kept" in str(error.value)
    left = {path.name for path in (small_disk / "run").iterdir()}
    assert "rows.jsonl.partial" not in left, "half a file would keep the disk full"
    stored = len(lm.calls)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    run = sw.generate(Riddles(), seeds=WORDS, out=small_disk / "run", lms=lm)
    assert [row.word for row in run] == [f"w{i}" for i in range(40)]
    assert 5 < stored and len(lm.calls) <= 40 + 1, "only the seed that could not be stored was asked again"


def test_a_full_disk_while_the_dataset_is_written_keeps_the_rows(small_disk, tmp_path):
    lm = ScriptedLM({"write": lambda inputs: {"riddle": inputs["word"] + " x" * 10_000}})
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    run = sw.generate(Riddles(), seeds=WORDS[:20], out=small_disk / "run", lms=lm)
    before = (run.out / "rows.jsonl").read_text()
    (small_disk / "ballast").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 240_000))
    with pytest.raises(StoreError, match=r"Cannot write '.*rows.jsonl': No space.*the rows are in run.sqlite"):
        sw.generate(Riddles(), seeds=WORDS[:20], out=small_disk / "run", lms=lm)
    assert (run.out / "rows.jsonl").read_text() == before and not (run.out / "rows.jsonl.partial").exists()


def test_a_limit_on_file_sizes_is_reported_like_a_full_disk(tmp_path):
    script = f"""
import resource, sys
sys.path.insert(0, {str(tmp_path)!r})
import dspy, synthwright as sw
from synthwright.errors import StoreError
from synthwright.testing import ScriptedLM

class Riddle(sw.Row):
    word: str

class Riddles(sw.Generator[Riddle]):
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("word -> riddle")
    async def aforward(self, word):
        return dspy.Prediction(rows=[Riddle(word=(await self.write.acall(word=word)).riddle)])

def run(n):
    lm = ScriptedLM({{"write": lambda inputs: {{"riddle": inputs["word"] + "x" * 20000}}}})
    return sw.generate(Riddles(), seeds=[{{"word": str(i)}} for i in range(n)], out={str(tmp_path / "run")!r}, lms=lm)

resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
try:
    run(40)
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print([row.word[:2].rstrip("x") for row in run(40)] == [str(i) for i in range(40)])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    message, same = done.stdout.strip().splitlines()
    assert re.search(r"Cannot use the run store '.*run.sqlite': .*kept", message) and same == "True", done.stderr


@pytest.mark.parametrize("how", ["replaced", "cut", "scribbled"])
def test_a_damaged_store_is_a_store_error(how, tmp_path):
    seeds = [{"word": f"w{i}" + " x" * 500} for i in range(40)]
    sw.generate(Riddles(), seeds=seeds, out=tmp_path, lms=echo)
    path = tmp_path / "run.sqlite"
    data = path.read_bytes()
    path.write_bytes(
        {
            "replaced": b"not a database" * 400,
            "cut": data[:5000],
            "scribbled": data[:9000] + b"\xff" * (len(data) - 9000),
        }[how]
    )
    with pytest.raises(StoreError, match=r"Cannot use the run store .*run\.sqlite.*The file is damaged; `sqlite3"):
        sw.generate(Riddles(), seeds=seeds, out=tmp_path, lms=echo)
    with pytest.raises(StoreError):  # and the lock was given back
        sw.generate(Riddles(), seeds=seeds, out=tmp_path, lms=echo)


def test_rows_of_a_class_that_is_gone_are_named(tmp_path, monkeypatch):
    sw.generate(Riddles(), seeds=WORDS, n=3, out=tmp_path, lms=echo)
    monkeypatch.delitem(globals(), "Riddle")
    with pytest.raises(
        StoreError, match=r"rows of the class .*test_faults:Riddle, which is not there\. Import the module"
    ):
        sw.generate(Riddles(), seeds=WORDS, n=5, out=tmp_path, lms=echo)
