"""The call journal: nothing that was paid for is asked again."""

import asyncio
import sqlite3

import dspy
import pytest

import synthwright as sw
from synthwright.errors import StoreError, UnrecordedCallError, UnusableLMError
from synthwright.filters import Length
from synthwright.lms.adapters import default_adapter
from synthwright.lms.calls import EngineLM
from synthwright.lms.journal import Journal, call_key, new_journal, open_journal
from synthwright.lms.scopes import request_digest
from synthwright.testing import ReplayLM, ScriptedLM


class Step(sw.Row):
    topic: str
    text: str


class Steps(sw.Generator[Step]):
    """Several calls a seed, each with the last answer in it."""

    def __init__(self, length: int = 5) -> None:
        super().__init__()
        self.length = length
        self.write = dspy.Predict("topic, before -> text")

    async def aforward(self, topic):
        text = ""
        for _ in range(self.length):
            text = (await self.write.acall(topic=topic, before=text)).text
        return dspy.Prediction(rows=[Step(topic=topic, text=text)])


def chain(call):
    return {"text": f"{call['before']}{call['topic'][-1]}"}


def seeds(count=3):
    return [{"topic": f"t{i}"} for i in range(count)]


def test_a_seed_cut_off_after_three_calls_goes_on_with_the_fourth(tmp_path):
    lm = ScriptedLM({"write": chain})
    sw.generate(Steps(), seeds=seeds(1), lms=lm, out=tmp_path, budget=sw.Budget(calls=3))
    assert len(lm.calls) == 3
    run = sw.generate(Steps(), seeds=seeds(1), lms=lm, out=tmp_path)
    assert len(lm.calls) == 5 and [row.text for row in run] == ["00000"]
    assert run.total_usage.calls == 5


def test_a_call_that_failed_is_made_again_and_those_before_it_are_not(tmp_path):
    answers = iter([{"text": "a"}, {"text": "b"}, dspy.lm15.InvalidRequestError("no"), {"text": "c"}])
    lm = ScriptedLM({"write": lambda call: next(answers)})
    with pytest.raises(UnusableLMError):
        sw.generate(Steps(3), seeds=seeds(1), lms=lm, out=tmp_path)
    run = sw.generate(Steps(3), seeds=seeds(1), lms=lm, out=tmp_path)
    assert [row.text for row in run] == ["c"] and len(lm.calls) == 4


def test_other_filters_read_the_calls_of_another_run(tmp_path):
    lm = ScriptedLM({"write": chain})
    sw.generate(Steps(), seeds=seeds(), lms=lm, out=tmp_path / "a")
    lm = ScriptedLM({"write": chain})
    run = sw.generate(
        Steps(), seeds=seeds(), lms=lm, out=tmp_path / "b", journal=tmp_path / "a", filters=[Length("text", 2)]
    )
    assert lm.calls == [] and len(run) == 0 and run.funnel.lost == (("length", "too_short", 3),)
    assert run.total_usage.calls == 0


def test_another_model_or_sampling_asks_anew(tmp_path):
    for index, lm in enumerate(
        [ScriptedLM({"write": chain}), ScriptedLM({"write": chain}, model="b"), ScriptedLM({"write": chain}, top_p=0.5)]
    ):
        sw.generate(
            Steps(), seeds=seeds(1), lms=lm, out=tmp_path / str(index), journal=tmp_path / "0" if index else True
        )
        assert len(lm.calls) == 5


def test_without_a_journal_nothing_is_recorded(tmp_path):
    lm = ScriptedLM({"write": chain})
    sw.generate(Steps(), seeds=seeds(1), lms=lm, out=tmp_path, journal=False)
    assert len(open_journal(tmp_path)) == 0


def test_k_equal_calls_are_k_records(tmp_path):
    class Draws(Steps):
        async def aforward(self, topic):
            texts = [(await self.write.acall(topic=topic, before="")).text for _ in range(4)]
            return dspy.Prediction(rows=[Step(topic=topic, text=text) for text in texts])

    lm = ScriptedLM({"write": lambda call: {"text": str(call.seed)}})
    run = sw.generate(Draws(), seeds=seeds(1), lms=lm, out=tmp_path)
    recorded = list(open_journal(tmp_path))
    assert {str(call.seed) for call in recorded} == {row.text for row in run} and len(recorded) == 4


def test_a_record_says_who_asked_what_and_got_what(tmp_path):
    lm = ScriptedLM({"write": chain}, model="m", temperature=0.5)
    sw.generate(Steps(1), seeds=seeds(1), lms=lm, out=tmp_path)
    (call,) = open_journal(tmp_path)
    assert (call.role, call.predictor, call.response.model) == ("generator", "write", "m")
    assert call.messages == lm.calls[0].messages and call.seed == lm.calls[0].seed
    assert '"temperature": 0.5' in call.sampling and '"response_format"' in call.sampling
    assert (call.response.usage.input_tokens, call.response.usage.output_tokens) == (10, 5)


def test_a_system_message_is_stored_once(tmp_path):
    lm = ScriptedLM({"write": chain})
    sw.generate(Steps(), seeds=seeds(20), lms=lm, out=tmp_path)
    db = sqlite3.connect(tmp_path / "run.sqlite")
    assert db.execute("SELECT count(*) FROM texts").fetchone() == (2,)  # the system message and the sampling
    mean = db.execute("SELECT avg(length(body)) FROM calls").fetchone()[0]
    assert mean < 500 < len(lm.calls[0].messages[0]["content"])


def request(text, seed=1):
    return dspy.lm15.Request(
        "m", messages=(dspy.lm15.Message.user(text),), system="s", config=dspy.lm15.Config(seed=seed)
    )


def response(text):
    return dspy.lm15.Response(
        id=None,
        model="m",
        message=dspy.lm15.Message.assistant(text),
        finish_reason="stop",
        usage=dspy.lm15.Usage(input_tokens=1, output_tokens=2),
    )


def put(journal, number):
    asked = request(f"{number}")
    digest = request_digest(asked)
    key = call_key(asked, digest, "m", "")
    journal.put(key, ("generator", "write"), asked, digest, response(f"answer {number} " + "x" * 50))
    return key


def test_a_full_journal_forgets_the_oldest_tenth():
    journal = new_journal(None)
    journal.limit = 5000
    keys = []
    for number in range(200):
        keys.append(put(journal, number))
        journal.write()
    assert 10 < len(journal) < 100
    assert journal.get(keys[0]) is None
    last = journal.get(keys[-1])
    assert last is not None and (last.message.text or "").startswith("answer 199")
    stored = journal._db.execute("SELECT sum(length(body)) FROM calls").fetchone()[0]
    assert stored == journal._bytes <= 5000


def test_its_size_is_known_after_it_was_closed(tmp_path):
    journal = new_journal(tmp_path / "journal.sqlite")
    put(journal, 1)
    journal.write()
    size = journal._bytes
    journal.close()
    journal = new_journal(tmp_path / "journal.sqlite")
    put(journal, 2)
    journal.write()
    assert journal._bytes > size > 0


def test_what_is_not_written_yet_is_found():
    journal = new_journal(None)
    found = journal.get(put(journal, 1))
    assert found is not None and (found.message.text or "").startswith("answer 1 ")


def test_log_probabilities_survive():
    journal = new_journal(None)
    token = dspy.lm15.TokenLogprob("a", -0.5, top=(dspy.lm15.TopLogprob("a", -0.5), dspy.lm15.TopLogprob("b", -1.0)))
    asked = request("x")
    answer = dspy.lm15.Response(
        id="i",
        model="m",
        message=dspy.lm15.Message.assistant("a"),
        finish_reason="length",
        usage=dspy.lm15.Usage(),
        logprobs=(token,),
    )
    journal.put(b"k" * 16, ("r", "p"), asked, request_digest(asked), answer)
    journal.write()
    found = journal.get(b"k" * 16)
    assert found is not None and found.logprobs == (token,) and found.finish_reason == "length" and found.id == "i"


def test_a_directory_without_a_record_is_said(tmp_path):
    with pytest.raises(StoreError, match="no record of LM calls"):
        open_journal(tmp_path)
    (tmp_path / "run.sqlite").write_text("not a database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="Cannot read the call journal"):
        open_journal(tmp_path)
    lm = ScriptedLM({"write": chain})
    with pytest.raises(StoreError, match="no record"):
        sw.generate(Steps(), seeds=seeds(1), lms=lm, out=tmp_path / "x", journal=tmp_path / "y")


def test_journals_do_not_share_a_limit_with_the_rows(tmp_path):
    """A forgotten call is asked again, and no row is lost."""
    lm = ScriptedLM({"write": chain})
    run = sw.generate(Steps(), seeds=seeds(5), lms=lm, out=tmp_path)
    db = sqlite3.connect(tmp_path / "run.sqlite")
    Journal(db, limit=0)._grow(0)
    db.execute("DELETE FROM calls")
    db.commit()
    again = sw.generate(Steps(), seeds=seeds(5), lms=lm, out=tmp_path)
    assert [row.id for row in again] == [row.id for row in run] and len(lm.calls) == 25


class WaitingEngine:
    """Answers after a while, and counts."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})
    asked = 0

    def complete(self, request):
        return response('{"text": "same"}')


class AsyncWaitingEngine(WaitingEngine):
    async def complete(self, request):  # pyright: ignore[reportIncompatibleMethodOverride]
        type(self).asked += 1
        await asyncio.sleep(0.05)
        return response('{"text": "same"}')


def test_equal_calls_under_way_at_the_same_time_are_one(tmp_path):
    """Calls are equal where the user gave a sampling seed: no draw tells them apart."""

    class Same(Steps):
        async def aforward(self, topic):
            made = await asyncio.gather(*(self.write.acall(topic="t", before="") for _ in range(3)))
            return dspy.Prediction(rows=[Step(topic=topic, text=one.text) for one in made])

    lm = EngineLM("waiting", WaitingEngine(), AsyncWaitingEngine(), concurrency=8, seed=7)
    run = sw.generate(Same(), seeds=seeds(5), lms=lm, out=tmp_path)
    assert len(run) == 15 and AsyncWaitingEngine.asked == 1 and run.total_usage.calls == 1


# Replay


def test_a_run_is_replayed_without_its_lm(tmp_path):
    run = sw.generate(Steps(), seeds=seeds(), lms=ScriptedLM({"write": chain}), out=tmp_path / "a")
    again = sw.generate(Steps(), seeds=seeds(), lms=ReplayLM(run), out=tmp_path / "b")
    assert [row.id for row in again] == [row.id for row in run]
    assert again.total_usage.tokens == run.total_usage.tokens


def test_a_replay_outside_a_run_gives_the_recorded_draws_in_turn(tmp_path):
    class Draws(Steps):
        async def aforward(self, topic):
            texts = [(await self.write.acall(topic=topic, before="")).text for _ in range(3)]
            return dspy.Prediction(rows=[Step(topic=topic, text=text) for text in texts])

    lm = ScriptedLM({"write": lambda call: {"text": str(call.seed)}})
    sw.generate(Draws(), seeds=seeds(1), lms=lm, out=tmp_path)
    predict = dspy.Predict("topic, before -> text")
    with dspy.context(lm=ReplayLM(tmp_path), adapter=default_adapter()):
        texts = [predict(topic="t0", before="").text for _ in range(4)]
    assert texts == [str(call.seed) for call in (*lm.calls, lm.calls[0])]


def test_an_unrecorded_request_shows_the_nearest(tmp_path):
    sw.generate(Steps(1), seeds=seeds(), lms=ScriptedLM({"write": chain}), out=tmp_path / "a")
    with pytest.raises(UnrecordedCallError, match=r"(?s)not in the record of 3 .* \(\d\d % alike"):
        sw.generate(Steps(1), seeds=[{"topic": "t7"}], lms=ReplayLM(tmp_path / "a"), out=tmp_path / "b")


class WriteOtherwise(dspy.Signature):
    """Write otherwise."""

    topic: str = dspy.InputField()
    before: str = dspy.InputField()
    text: str = dspy.OutputField()


class Reworded(Steps):
    def __init__(self, length: int = 1) -> None:
        super().__init__(length)
        self.write = dspy.Predict(WriteOtherwise)


def test_a_changed_prompt_is_named(tmp_path):
    sw.generate(Steps(1), seeds=seeds(1), lms=ScriptedLM({"write": chain}), out=tmp_path / "a")
    with pytest.raises(UnrecordedCallError, match="another system message"):
        sw.generate(Reworded(1), seeds=seeds(1), lms=ReplayLM(tmp_path / "a"), out=tmp_path / "b")
