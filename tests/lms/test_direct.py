"""Direct calls: the prompt, draw, result and account of DSPy's way, and DSPy's way wherever somebody could notice."""

import copy
import logging
from typing import Literal

import cloudpickle
import dspy
import pytest
from dspy.utils.callback import BaseCallback

import synthwright as sw
from synthwright.lms import direct
from synthwright.lms.direct import DirectChainOfThought, DirectPredict, take_shortcuts


class Fact(sw.Row):
    text: str
    kind: str
    why: str


class WriteFact(dspy.Signature):
    """Write a fact about the topic: "short", with {braces}."""

    topic: str = dspy.InputField()
    length: int = dspy.InputField()
    tags: list[str] = dspy.InputField()
    fact: str = dspy.OutputField()


class JudgeFact(dspy.Signature):
    """Say what kind of fact it is."""

    fact: str = dspy.InputField()
    kind: Literal["true", "false"] = dspy.OutputField()
    scores: list[int] = dspy.OutputField()


class Facts(sw.Generator[Fact]):
    roles = {"judge": ("judge",)}

    def __init__(self):
        super().__init__()
        self.write = dspy.Predict(WriteFact, temperature=0.5)
        self.judge = dspy.ChainOfThought(JudgeFact)
        self.write.demos = [dspy.Example(topic="ice", length=3, tags=["cold"], fact="Ice is cold.")]

    async def aforward(self, topic):
        made = [await self.write.acall(topic=topic, length=2, tags=["a", topic]) for _ in range(2)]  # two draws
        judged = await self.judge.acall(fact=made[0].fact)
        text = made[0].fact + made[1].fact
        return dspy.Prediction(rows=[Fact(text=text, kind=judged.kind, why=judged.reasoning)])


SEEDS = [{"topic": f"topic {number}"} for number in range(12)]


def made(stub, out, **options):
    """(rows, request bodies with how often they came, usage by role and predictor) of a run."""
    stub.reset()
    lm = sw.openai_lm("stub", stub.base, concurrency=8)
    run = sw.generate(Facts(), seeds=SEEDS, lms={"generator": lm, "judge": lm}, out=out, **options)
    requests = {body: asked for body, (asked, _) in stub.stats(requests=True)["requests"].items()}
    return (out / "rows.jsonl").read_bytes(), requests, run.usage


@pytest.fixture
def by_dspy(monkeypatch):
    """Count the calls that take DSPy's way."""
    taken = []
    own = dspy.Predict.aforward

    async def aforward(self, **inputs):
        taken.append(type(self).__name__)
        return await own(self, **inputs)

    monkeypatch.setattr(direct, "_untouched", lambda: True)
    monkeypatch.setattr(dspy.Predict, "aforward", aforward)
    return taken


def test_requests_draws_rows_and_accounts_are_those_of_dspys_way(stub_server, tmp_path, monkeypatch, by_dspy):
    directly = made(stub_server, tmp_path / "direct")
    assert not by_dspy
    monkeypatch.setattr("synthwright.runs.roles.take_shortcuts", lambda program: None)
    usual = made(stub_server, tmp_path / "usual")
    assert len(by_dspy) == 36
    assert directly == usual and len(directly[1]) == 36
    assert set(directly[2]) == {("generator", "write"), ("judge", "judge")}


def test_what_was_paid_on_one_way_is_not_paid_on_the_other(stub_server, tmp_path, monkeypatch):
    before = made(stub_server, tmp_path / "a")
    monkeypatch.setattr("synthwright.runs.roles.take_shortcuts", lambda program: None)
    rows, requests, usage = made(stub_server, tmp_path / "b", journal=tmp_path / "a")
    assert rows == before[0] and not requests and sum(used.calls for used in usage.values()) == 0


class Watching(BaseCallback):
    def __init__(self):
        self.started = []

    def on_module_start(self, call_id, instance, inputs):
        self.started.append(type(instance).__name__)


def test_callbacks_history_and_usage_trackers_see_every_call(stub_server, tmp_path, by_dspy):
    watching = Watching()
    with dspy.context(callbacks=[watching]):
        made(stub_server, tmp_path / "callbacks")
    assert len(by_dspy) == 36 and watching.started.count("Facts") == 12
    with dspy.context(track_usage=True):
        made(stub_server, tmp_path / "usage")
    assert len(by_dspy) == 72


def _program(**changes):
    program = Facts()
    for name, value in changes.items():
        setattr(program.write, name, value)
    return program


class Louder(dspy.Predict):
    async def aforward(self, **inputs):
        made = await super().aforward(**inputs)
        return dspy.Prediction(fact=made.fact.upper())


def test_subclasses_and_patched_predictors_keep_their_own_way(stub_server, tmp_path, by_dspy):
    lm = sw.openai_lm("stub", stub_server.base, concurrency=8)
    louder = Facts()
    louder.write = Louder(WriteFact)
    run = sw.generate(louder, seeds=SEEDS[:3], lms=lm, out=tmp_path / "louder")
    assert all(row.text.isupper() for row in run) and by_dspy.count("Louder") == 6
    patched, seen = Facts(), []

    async def aforward(**inputs):
        seen.append(inputs["topic"])
        return dspy.Prediction(fact="patched")

    patched.write.aforward = aforward
    run = sw.generate(patched, seeds=SEEDS[:3], lms=lm, out=tmp_path / "patched")
    assert {row.text for row in run} == {"patchedpatched"} and len(seen) == 6


class Asking(sw.Generator[Fact]):
    """Calls with whatever it is given."""

    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("topic: str -> fact: str")

    async def aforward(self, topic, more):
        made = await self.write.acall(topic=topic, **more)
        return dspy.Prediction(rows=[Fact(text=made.fact, kind="", why=str(len(made.completions or ())))])


@pytest.mark.parametrize(
    ("topic", "more", "warning"),
    [
        ("a", {"config": {"temperature": 0.3}}, ""),
        ("b", {"config": {"n": 2}}, ""),
        ("c", {"extra": 1}, "not in signature"),
        (4, {}, "Type mismatch"),
    ],
)
def test_arguments_that_dspy_reads_or_warns_of_are_left_to_it(
    topic, more, warning, stub_server, tmp_path, by_dspy, caplog
):
    lm = sw.openai_lm("stub", stub_server.base)
    with caplog.at_level(logging.WARNING, logger="dspy.predict.predict"):
        sw.generate(Asking(), seeds=[{"topic": topic, "more": more}], lms=lm, out=tmp_path)
    assert by_dspy == ["DirectPredict"] and warning in caplog.text


def test_copies_and_pickles_of_a_predictor_are_dspys_own():
    program = Facts()
    take_shortcuts(program)
    assert type(program.write) is DirectPredict and type(program.judge) is DirectChainOfThought
    for twin in (copy.deepcopy(program), program.deepcopy(), cloudpickle.loads(cloudpickle.dumps(program))):
        assert type(twin.write) is dspy.Predict and type(twin.judge) is dspy.ChainOfThought
        assert twin.prompts_hash() == program.prompts_hash() and len(twin.write.demos) == 1


def test_nothing_is_taken_over_where_a_library_has_wrapped_dspys_methods(monkeypatch):
    own = dspy.Predict.aforward

    async def traced(self, **inputs):
        return await own(self, **inputs)

    monkeypatch.setattr(dspy.Predict, "aforward", traced)
    program = Facts()
    take_shortcuts(program)
    assert type(program.write) is dspy.Predict


def test_instructions_and_demonstrations_changed_between_calls_change_the_prompt(stub_server, tmp_path):
    class Changing(Facts):
        async def aforward(self, topic):
            texts = []
            for change in range(3):
                if change == 1:
                    self.write.demos.append(dspy.Example(topic="fire", length=1, tags=[], fact="Fire is hot."))
                if change == 2:
                    self.write.signature = WriteFact.with_instructions("Something else.")
                texts.append((await self.write.acall(topic=topic, length=2, tags=[])).fact)
            return dspy.Prediction(rows=[Fact(text=" ".join(texts), kind="", why="")])

    from synthwright.lms.journal import open_journal

    lm = sw.openai_lm("stub", stub_server.base)
    sw.generate(Changing(), seeds=SEEDS[:1], lms=lm, out=tmp_path)
    asked = [call.messages for call in open_journal(tmp_path)]
    assert [len(messages) for messages in asked] == [4, 6, 6]
    assert "Something else." in asked[2][0]["content"] and "Fire is hot." in asked[1][-2]["content"]
